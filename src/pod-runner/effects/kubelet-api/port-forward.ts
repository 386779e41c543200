import type { Socket } from 'node:net';
import { type Duplex, finished, type Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock } from '../../../runtime/clock.ts';
import { spdyConnection } from '../../../transport/spdy/connection.ts';
import type { SpdyStream } from '../../../transport/spdy/stream.ts';
import { channelProtocols, websocketChannels } from '../../../transport/websocket-channels.ts';
import { parsePort } from '../../remote/requests.ts';
import type { Upgraded } from './remote-streams.ts';
import { streamCreationTimeout } from './spdy-streams.ts';

export const forwardProtocol = 'portforward.k8s.io';
export const forwardSubprotocols: readonly string[] = ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io'];

export interface ForwardParts {
  readonly clock: Clock;
  readonly idleTimeout: number;
  /** What the messages call the pod: its name and uid. */
  readonly pod: { readonly name: string; readonly namespace: string; readonly uid: string };
  /** Connects inside the pod; the connection is not read from yet. */
  readonly connect: (port: number) => Promise<Socket>;
}

/** Streams that may be open at one time; each connection needs two. */
const maxStreams = 4_000;

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  readonly cancel: () => void;
}

/** Port-forward over SPDY: the client opens a stream for data and one for errors for each connection, told to belong together by their request id. */
export function forwardOverSpdy({ socket, head }: Upgraded, parts: ForwardParts): { readonly destroy: () => void } {
  const { clock, idleTimeout } = parts;
  const connection = spdyConnection(socket, { role: 'server', clock, head, idleTimeout, maxStreams });
  const pairs = new Map<string, Pair>();
  connection.onClose = () => {
    for (const { cancel } of pairs.values()) cancel();
    pairs.clear();
  };
  connection.onStream = (stream) => {
    const type = stream.headers.get('streamtype');
    const port = parsePort(stream.headers.get('port') ?? '');
    if (type !== 'error' && type !== 'data') throw new Error(`invalid stream type ${JSON.stringify(type)}`);
    const id = stream.headers.get('requestid') ?? String(type === 'data' ? stream.id - 2 : stream.id);
    const pair = pairs.get(id) ?? newPair(id);
    if (pair[type]) throw new Error(`${type} stream already assigned`);
    pair[type] = stream;
    // The client only reads errors, and ends its side at once.
    if (type === 'error') stream.resume();
    if (!pair.data || !pair.error) return;
    pair.cancel();
    pairs.delete(id);
    void forward(port, pair.data, pair.error, true, parts);
  };

  function newPair(id: string): Pair {
    const cancel = clock.setTimer(streamCreationTimeout, () => {
      const late = pairs.get(id);
      pairs.delete(id);
      late?.error?.end(`(request=${id}) timed out waiting for streams`);
      late?.data?.destroy();
    });
    const pair: Pair = { cancel };
    pairs.set(id, pair);
    return pair;
  }

  return connection;
}

/** Port-forward over WebSocket: two channels for each port that the query names, data and errors, each beginning with the port's number. */
export function forwardOverWebsocket(socket: WebSocket, ports: readonly number[], parts: ForwardParts): void {
  const protocol = channelProtocols[socket.protocol] ?? { base64: false, closeSignal: false };
  const channels = websocketChannels(socket, { ...protocol, count: ports.length * 2 });
  const done = ports.map((port, index) => {
    const [data, error] = [channels[index * 2]!, channels[index * 2 + 1]!];
    const number = Buffer.of(port & 0xff, port >> 8);
    data.write(number);
    error.write(number);
    error.resume();
    // Before v5 a channel cannot be ended alone, so the client's side ends with the server's.
    return forward(port, data, error, false, parts);
  });
  void Promise.all(done).then(() => socket.close(1000));
}

/** Carries one connection until both sides have ended, or one of them broke. */
async function forward(port: number, data: Duplex, error: Writable, canHalfClose: boolean, { pod, connect }: ForwardParts): Promise<void> {
  try {
    await carry(await connect(port), data, canHalfClose);
  } catch (problem) {
    const name = `${pod.name}_${pod.namespace}`;
    error.end(`error forwarding port ${port} to pod ${name}, uid ${pod.uid}: ${(problem as Error).message}`);
  }
  if (!error.writableEnded) error.end();
  // Nothing more is wanted of a client that goes on sending.
  if (!data.writableEnded) data.end();
  data.resume();
}

/** Until the connection inside the pod is over: the client ending its side ends ours, and its answer is awaited. */
function carry(socket: Socket, data: Duplex, canHalfClose: boolean): Promise<void> {
  // A socket that came from another process would end its side when the other does.
  socket.allowHalfOpen = canHalfClose;
  socket.setNoDelay(true);
  return new Promise((resolve) => {
    finished(socket, () => resolve());
    finished(data, (error) => void (error && socket.destroy()));
    // A server that is done with the whole connection resets it: the client is to learn of it.
    socket.once('error', () => data.destroy());
    socket.pipe(data).pipe(socket);
  });
}
