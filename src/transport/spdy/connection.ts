import type { Duplex } from 'node:stream';
import type { Clock } from '../../runtime/clock.ts';
import { SpdyError } from './error.ts';
import { encodeDataHeader, encodeFrame, type Frame, initialReadState, readFrames } from './frames.ts';
import { createFlowControl } from './flow-control.ts';
import { deflateHeaders, type Headers, inflateHeaders, initialHeaderContext } from './headers.ts';
import { SpdyStream } from './stream.ts';

export interface SpdyOptions {
  /** Who opens streams with odd numbers, and who with even ones. */
  readonly role: 'client' | 'server';
  readonly clock: Clock;
  /** What the peer has sent before this took over. */
  readonly head?: Buffer;
  /** Ends the connection when no stream has carried data for so long (ms); undefined lets it stand. */
  readonly idleTimeout?: number;
  /** Streams that may be open at one time. */
  readonly maxStreams?: number;
}

export interface SpdyConnection {
  /** The peer has opened a stream. It is reset when this throws, or nobody is there to take it. */
  onStream: ((stream: SpdyStream) => void) | undefined;
  /** Called once, whoever ends the connection; `error` when it did not end in order. */
  onClose: ((error?: Error) => void) | undefined;
  readonly closed: boolean;
  /** Opens a stream; data may be written at once. */
  open(headers: Headers): SpdyStream;
  /** Sends what has been written, then GOAWAY, and ends. */
  close(): void;
  /** Ends at once. */
  destroy(error?: Error): void;
}

/** Bytes of one stream that wait for a slow reader before the whole connection waits with it. Two ends, so that it does not stutter. */
const pauseAbove = 1024 * 1024;
const resumeBelow = 256 * 1024;
/** Data is sent in frames of at most this, so that no stream holds up the others for long. */
const largestSent = 64 * 1024;
const protocolError = 1;
const refusedStream = 3;
const cancel = 5;

/**
 * SPDY/3.1 over a byte stream (a TLS socket after its upgrade). Kubernetes' own implementation takes no part in flow control: bytes are held back
 * by TCP, and a stream whose reader is slow holds back the others once {@link pauseAbove} bytes of it wait. A peer that does take part is
 * given its windows and has its own kept.
 */
export function spdyConnection(socket: Duplex, { role, clock, head, idleTimeout, maxStreams = 2_000 }: SpdyOptions): SpdyConnection {
  const streams = new Map<number, SpdyStream>();
  const flow = createFlowControl((streamId, delta) => send({ type: 'window-update', streamId, delta }));
  let reading = initialReadState;
  let received = initialHeaderContext;
  let sent = initialHeaderContext;
  let nextId = role === 'client' ? 1 : 2;
  let lastPeerId = 0;
  let paused = false;
  let closing = false;
  let closed = false;
  let carriedAt = clock.monotonic();
  let cancelIdle = (): void => undefined;
  /** Writers that wait for the socket. */
  let waiting: (() => void)[] = [];

  function send(frame: Frame): void {
    if (!closed && !socket.writableEnded) socket.write(encodeFrame(frame));
  }

  function whenWritable(done: () => void): void {
    if (closed || !socket.writableNeedDrain) done();
    else waiting.push(done);
  }

  function wakeWriters(): void {
    const ready = waiting;
    waiting = [];
    for (const done of ready) done();
  }

  function sendData(id: number, data: Buffer, done: () => void): void {
    if (closed) return done();
    const room = flow.room(id);
    if (room <= 0) return flow.wait(id, () => sendData(id, data, done));
    const piece = data.subarray(0, Math.min(room, largestSent));
    socket.cork();
    socket.write(encodeDataHeader(id, piece.length, false));
    socket.write(piece);
    socket.uncork();
    flow.sent(id, piece.length);
    carriedAt = clock.monotonic();
    const rest = data.subarray(piece.length);
    whenWritable(rest.length === 0 ? done : () => sendData(id, rest, done));
  }

  function makeStream(id: number, headers: Headers): SpdyStream {
    const stream: SpdyStream = new SpdyStream(id, headers, {
      send: (data, done) => sendData(id, data, done),
      finish: () => void (closed || socket.writableEnded || socket.write(encodeDataHeader(id, 0, true))),
      reset: () => send({ type: 'rst-stream', streamId: id, status: cancel }),
      consumed(bytes) {
        flow.consumed(id, bytes);
        // Not at once: a reader that reads on is asked again before the socket is.
        if (paused) queueMicrotask(relax);
      },
    });
    streams.set(id, stream);
    stream.once('close', () => {
      streams.delete(id);
      flow.forget(id);
      relax();
    });
    return stream;
  }

  function relax(): void {
    if (!paused || [...streams.values()].some((stream) => stream.readableLength > resumeBelow)) return;
    paused = false;
    socket.resume();
  }

  function handle(frame: Frame): void {
    switch (frame.type) {
      case 'data': {
        carriedAt = clock.monotonic();
        const stream = streams.get(frame.streamId);
        if (!stream) return flow.consumed(0, frame.data.length);
        stream.receive(frame.data, frame.fin);
        if (stream.readableLength > pauseAbove && !paused) {
          paused = true;
          socket.pause();
        }
        return;
      }
      case 'syn-stream':
        return accept(frame);
      case 'syn-reply':
      case 'headers': {
        // Also of streams that are gone: the blocks of a connection are one compressed text.
        [, received] = inflateHeaders(received, frame.block);
        if (frame.fin) streams.get(frame.streamId)?.receive(Buffer.alloc(0), true);
        return;
      }
      case 'rst-stream':
        return streams.get(frame.streamId)?.abort(new SpdyError(`the peer has reset stream ${frame.streamId} (status ${frame.status})`));
      case 'ping':
        // Those with our parity are answers to pings of ours, and we send none.
        if (frame.id % 2 === (role === 'client' ? 0 : 1)) send(frame);
        return;
      case 'settings':
        return flow.settings(frame.entries);
      case 'window-update':
        return flow.grow(frame.streamId, frame.delta);
      case 'goaway':
        // It opens no more streams; those that stand go on.
        return undefined;
    }
  }

  function accept(frame: Frame & { type: 'syn-stream' }): void {
    let headers: Headers;
    [headers, received] = inflateHeaders(received, frame.block);
    const id = frame.streamId;
    if (id % 2 !== (role === 'client' ? 0 : 1) || id <= lastPeerId) throw new SpdyError(`stream ${id} after ${lastPeerId}`);
    lastPeerId = id;
    if (closing || streams.size >= maxStreams || !connection.onStream)
      return send({ type: 'rst-stream', streamId: id, status: refusedStream });
    const stream = makeStream(id, headers);
    let block: Buffer;
    [block, sent] = deflateHeaders(sent, new Map());
    send({ type: 'syn-reply', streamId: id, fin: false, block });
    try {
      connection.onStream(stream);
    } catch (error) {
      stream.destroy(error as Error);
      return;
    }
    if (frame.fin) stream.receive(Buffer.alloc(0), true);
  }

  function read(chunk: Buffer): void {
    let frames: Frame[];
    try {
      [frames, reading] = readFrames(reading, chunk);
      for (const frame of frames) if (!closed) handle(frame);
    } catch (error) {
      send({ type: 'goaway', lastStreamId: lastPeerId, status: protocolError });
      finish(error as Error);
      socket.end();
    }
  }

  function finish(error?: Error): void {
    if (closed) return;
    closed = true;
    cancelIdle();
    for (const stream of [...streams.values()]) stream.abort(error);
    wakeWriters();
    flow.wake();
    connection.onClose?.(error);
  }

  function watchIdle(limit: number): void {
    const left = carriedAt + limit - clock.monotonic();
    if (left <= 0) return connection.destroy(new Error(`no data for ${limit / 1000} s`));
    cancelIdle = clock.setTimer(left, () => watchIdle(limit));
  }

  const connection: SpdyConnection = {
    onStream: undefined,
    onClose: undefined,
    get closed() {
      return closed;
    },
    open(headers) {
      if (closed || closing) throw new SpdyError('the connection is closed');
      const id = nextId;
      nextId += 2;
      let block: Buffer;
      [block, sent] = deflateHeaders(sent, headers);
      const stream = makeStream(id, headers);
      send({ type: 'syn-stream', streamId: id, associatedTo: 0, priority: 0, fin: false, unidirectional: false, block });
      return stream;
    },
    close() {
      if (closed || closing) return;
      closing = true;
      const open = [...streams.values()].filter((stream) => !stream.writableFinished);
      let left = open.length;
      const end = (): void => {
        if (left-- > 0 || closed) return;
        send({ type: 'goaway', lastStreamId: lastPeerId, status: 0 });
        socket.end();
        finish();
        // What the peer still sends is not read any more, but its end is awaited.
        socket.resume();
      };
      for (const stream of open) {
        const once = (): void => {
          stream.off('finish', once).off('close', once);
          end();
        };
        stream.once('finish', once).once('close', once).end();
      }
      end();
    },
    destroy(error) {
      finish(error);
      socket.destroy();
    },
  };

  // Handlers of the owner are set in the same turn.
  queueMicrotask(() => {
    if (head && head.length > 0) read(head);
    socket.on('data', (chunk: Buffer) => void (closed || read(chunk)));
  });
  socket.on('drain', wakeWriters);
  socket.on('error', (error: Error) => finish(error));
  socket.on('end', () => {
    finish();
    socket.end();
  });
  socket.on('close', () => finish());
  if (idleTimeout !== undefined) watchIdle(idleTimeout);
  return connection;
}
