import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

// Kubernetes' channels over WebSocket: the first byte of a message is its channel (KEP-4006, and k8s.io/apimachinery's wsstream before it).
// `base64` protocols send text: the channel as a digit, then base64.

export interface ChannelOptions {
  readonly base64: boolean;
  /** `v5`: a message of channel 255 ends the reading of the channel that it names. Before v5 a channel ends with the connection alone. */
  readonly closeSignal: boolean;
  /** How many channels there are, from 0 on. */
  readonly count: number;
}

/** Subprotocols of exec and attach by name; those of old have no version. */
export const channelProtocols: Readonly<Record<string, Omit<ChannelOptions, 'count'>>> = {
  'v5.channel.k8s.io': { base64: false, closeSignal: true },
  'v4.channel.k8s.io': { base64: false, closeSignal: false },
  'v4.base64.channel.k8s.io': { base64: true, closeSignal: false },
  'channel.k8s.io': { base64: false, closeSignal: false },
  'base64.channel.k8s.io': { base64: true, closeSignal: false },
};

/** Largest message that is read (bytes). Clients send at most 32 KiB at a time. */
export const largestMessage = 1024 * 1024;
const closeChannel = 255;
const digitZero = 0x30;
const highWaterMark = 64 * 1024;

/**
 * The channels of a WebSocket as streams. A channel whose reader is slow holds back the whole connection, as it is one TCP connection. All are
 * destroyed when the connection ends; ending one does not end it.
 */
export function websocketChannels(socket: WebSocket, { base64, closeSignal, count }: ChannelOptions): Duplex[] {
  const encode = (channel: number, data: Buffer): Buffer | string =>
    base64 ? `${channel}${data.toString('base64')}` : Buffer.concat([Buffer.of(channel), data]);
  const full = new Set<Duplex>();

  const channels = Array.from({ length: count }, (_, channel) => {
    const stream = new Duplex({
      highWaterMark,
      allowHalfOpen: true,
      read() {
        if (full.delete(stream) && full.size === 0) socket.resume();
      },
      write(chunk: Buffer, _encoding, done) {
        send(encode(channel, chunk), done);
      },
      final(done) {
        if (closeSignal) send(Buffer.of(closeChannel, channel), done);
        else done();
      },
    });
    // What goes wrong is told by the connection.
    stream.on('error', () => undefined);
    return stream;
  });

  function send(data: Buffer | string, done: (error?: Error | null) => void): void {
    if (socket.readyState !== socket.OPEN) return done(new Error('the connection is closed'));
    socket.send(data, (error) => done(error ?? null));
  }

  socket.on('message', (raw: RawData, isBinary: boolean) => {
    const bytes = raw as Buffer;
    if (bytes.length === 0 || isBinary === base64) return;
    const channel = base64 ? bytes[0]! - digitZero : bytes[0]!;
    const data = base64 ? Buffer.from(bytes.toString('latin1', 1), 'base64') : bytes.subarray(1);
    if (closeSignal && channel === closeChannel) {
      const ended = channels[data[0] ?? closeChannel];
      if (ended && !ended.readableEnded) ended.push(null);
      return;
    }
    const stream = channels[channel];
    if (!stream || stream.destroyed || data.length === 0) return;
    if (stream.push(data)) return;
    full.add(stream);
    socket.pause();
  });
  socket.on('error', () => undefined);
  socket.once('close', () => {
    for (const stream of channels) stream.destroy();
  });
  return channels;
}
