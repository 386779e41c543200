import type { Clock } from '../../../runtime/clock.ts';
import { spdyConnection } from '../../../transport/spdy/connection.ts';
import type { SpdyStream } from '../../../transport/spdy/stream.ts';
import type { RemoteCommandOptions } from '../../remote/requests.ts';
import { encodeStatus } from '../../remote/status.ts';
import type { RemoteStreams, Upgraded } from './remote-streams.ts';

/** Protocols of exec and attach over SPDY, the best first. */
export const commandProtocols: readonly string[] = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];

/** How long a client is given to open its streams (ms): kubelet's streamCreationTimeout. */
export const streamCreationTimeout = 30_000;

/** Takes the streams that the client opens, which say by their header what they are. Rejects when they do not come in time. */
export function spdyStreams(
  { socket, head }: Upgraded,
  protocol: string,
  { stdin, stdout, stderr, tty }: RemoteCommandOptions,
  clock: Clock,
  idleTimeout: number,
): Promise<RemoteStreams> {
  const connection = spdyConnection(socket, { role: 'server', clock, head, idleTimeout, maxStreams: 16 });
  const resizes = tty && ['v4.channel.k8s.io', 'v3.channel.k8s.io'].includes(protocol);
  const asked = [true, stdin, stdout, stderr, resizes].filter(Boolean).length;
  const streams = new Map<string, SpdyStream>();
  const closed: (() => void)[] = [];
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(streamCreationTimeout, () => {
      connection.destroy();
      reject(new Error('timed out waiting for client to create streams'));
    });
    connection.onClose = () => {
      cancel();
      reject(new Error('the connection ended before all streams were there'));
      for (const listener of closed) listener();
    };
    connection.onStream = (stream) => {
      const type = stream.headers.get('streamtype') ?? '';
      if (!['error', 'stdin', 'stdout', 'stderr', 'resize'].includes(type) || streams.has(type))
        throw new Error(`unexpected stream type: ${JSON.stringify(type)}`);
      streams.set(type, stream);
      // Those that the client only reads from are ended by it at once; that end must be taken, or they never close.
      if (type !== 'stdin' && type !== 'resize') stream.resume();
      if (streams.size < asked) return;
      cancel();
      resolve({
        stdin: stdin ? streams.get('stdin') : undefined,
        stdout: streams.get('stdout'),
        stderr: streams.get('stderr'),
        resize: streams.get('resize'),
        finish(status) {
          streams.get('error')?.end(encodeStatus(status, protocol === commandProtocols[0]));
          connection.close();
        },
        onClose(listener) {
          if (connection.closed) listener();
          else closed.push(listener);
        },
      });
    };
  });
}
