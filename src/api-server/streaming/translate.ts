import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock } from '../../runtime/clock.ts';
import { spdyConnection } from '../../transport/spdy/connection.ts';
import { channelProtocols, websocketChannels } from '../../transport/websocket-channels.ts';
import type { CommandStreams } from './pod-target.ts';

/** The subprotocol of kubectl since 1.30 (KEP-4006). kubelet knows it only as SPDY. */
export const translatedSubprotocol = 'v5.channel.k8s.io';
/** What the kubelet is asked for instead. */
export const translatedProtocol = 'v4.channel.k8s.io';

/** How long a client may take to read the last of what it is sent (ms). */
const closePatience = 30_000;

/**
 * Joins a client's WebSocket channels (0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize) to SPDY streams of the same names. Ends when either side does;
 * the client gets all that the kubelet has sent.
 */
export function translate(client: WebSocket, kubelet: { socket: Duplex; head: Buffer }, wanted: CommandStreams, clock: Clock): void {
  const connection = spdyConnection(kubelet.socket, { role: 'client', clock, head: kubelet.head });
  const channels = websocketChannels(client, { ...channelProtocols[translatedSubprotocol]!, count: 5 });
  const open = (type: string): Duplex => connection.open(new Map([['streamtype', type]]));
  // kubelet counts the streams that the query asks for; on a terminal there is no standard error.
  const receive = (type: string, channel: Duplex): Promise<void> => {
    const stream = open(type);
    stream.pipe(channel, { end: false });
    return new Promise((resolve) => stream.once('end', resolve).once('close', resolve));
  };
  const send = (type: string, channel: Duplex): void => {
    const stream = open(type);
    stream.resume();
    channel.pipe(stream);
    // A command that reads no more: what is still typed goes nowhere, and must not hold up the rest.
    stream.once('close', () => channel.unpipe(stream).resume());
  };
  const [stdin, stdout, stderr, error, resize] = channels as [Duplex, Duplex, Duplex, Duplex, Duplex];
  const received = [receive('error', error)];
  if (wanted.stdin) send('stdin', stdin);
  else stdin.resume();
  if (wanted.stdout) received.push(receive('stdout', stdout));
  if (wanted.stderr && !wanted.tty) received.push(receive('stderr', stderr));
  if (wanted.tty) send('resize', resize);
  else resize.resume();

  client.once('close', () => connection.destroy());
  void Promise.all(received).then(async () => {
    // What was received may still wait for a client that reads slowly.
    await Promise.all([stdout, stderr, error].map((channel) => whenSent(channel)));
    client.close(1000);
    connection.close();
    if (client.readyState !== client.CLOSED)
      client.once(
        'close',
        clock.setTimer(closePatience, () => client.terminate()),
      );
  });
}

const whenSent = (channel: Duplex): Promise<void> =>
  channel.destroyed || channel.writableLength === 0
    ? Promise.resolve()
    : new Promise((resolve) => void channel.once('close', resolve).write(Buffer.alloc(0), () => resolve()));
