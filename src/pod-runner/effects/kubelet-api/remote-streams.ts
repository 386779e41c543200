import type { Duplex, Readable, Writable } from 'node:stream';
import type { RemoteCommandOptions } from '../../remote/requests.ts';
import type { RemoteStatus } from '../../remote/status.ts';

/** The client's end of exec or attach, whatever it is carried by. Streams that it did not ask for are undefined. */
export interface RemoteStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Terminal sizes as JSON. */
  readonly resize: Readable | undefined;
  /** Tells how it ended, once everything before has been sent, and ends the connection. */
  finish(status: RemoteStatus): void;
  /** Called once when the connection is gone. */
  onClose(listener: () => void): void;
}

/** An upgraded connection's socket, with what came along with the request. */
export interface Upgraded {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export type OpenStreams = (options: RemoteCommandOptions) => Promise<RemoteStreams>;
