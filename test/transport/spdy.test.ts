import { createDeflate, createInflate, constants } from 'node:zlib';
import { duplexPair, type Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { spdyConnection, type SpdyConnection, type SpdyOptions } from '../../src/transport/spdy/connection.ts';
import { headerDictionary } from '../../src/transport/spdy/dictionary.ts';
import { SpdyError } from '../../src/transport/spdy/error.ts';
import { encodeFrame, type Frame, initialReadState, readFrames } from '../../src/transport/spdy/frames.ts';
import { deflateHeaders, type Headers, inflateHeaders, initialHeaderContext } from '../../src/transport/spdy/headers.ts';
import type { SpdyStream } from '../../src/transport/spdy/stream.ts';

const id = fc.integer({ min: 1, max: 0x7fff_ffff });
const word = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const control: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant('syn-stream' as const),
    streamId: id,
    associatedTo: fc.integer({ min: 0, max: 0x7fff_ffff }),
    priority: fc.integer({ min: 0, max: 7 }),
    fin: fc.boolean(),
    unidirectional: fc.boolean(),
    block: bytes,
  }),
  fc.record({ type: fc.constantFrom('syn-reply' as const, 'headers' as const), streamId: id, fin: fc.boolean(), block: bytes }),
  fc.record({ type: fc.constant('rst-stream' as const), streamId: id, status: word }),
  fc.record({
    type: fc.constant('settings' as const),
    clear: fc.boolean(),
    entries: fc.array(fc.record({ id: fc.integer({ min: 0, max: 0xff_ffff }), flags: fc.integer({ min: 0, max: 255 }), value: word }), {
      maxLength: 5,
    }),
  }),
  fc.record({ type: fc.constant('ping' as const), id: word }),
  fc.record({ type: fc.constant('goaway' as const), lastStreamId: fc.integer({ min: 0, max: 0x7fff_ffff }), status: word }),
  fc.record({ type: fc.constant('window-update' as const), streamId: fc.integer({ min: 0, max: 0x7fff_ffff }), delta: id }),
);
const data: fc.Arbitrary<Frame> = fc.record({ type: fc.constant('data' as const), streamId: id, fin: fc.boolean(), data: bytes });
const headers: fc.Arbitrary<Headers> = fc
  .dictionary(
    fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.toLowerCase()),
    fc.string({ maxLength: 40 }),
    { maxKeys: 8 },
  )
  .map((object) => new Map(Object.entries(object)));

/** Reads bytes that come in chunks of these lengths. */
function readAll(whole: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = [];
  let state = initialReadState;
  let at = 0;
  for (const length of [...cuts, whole.length]) {
    let read: Frame[];
    [read, state] = readFrames(state, whole.subarray(at, at + length));
    frames.push(...read);
    at += length;
  }
  return frames;
}

/** Pieces of one data frame put together again. */
function joined(frames: readonly Frame[]): Frame[] {
  const out: Frame[] = [];
  let open: { streamId: number; parts: Buffer[] } | undefined;
  for (const frame of frames) {
    if (frame.type !== 'data') out.push(frame);
    else {
      open ??= { streamId: frame.streamId, parts: [] };
      open.parts.push(frame.data);
      if (!frame.fin) continue;
      out.push({ ...frame, data: Buffer.concat(open.parts) });
      open = undefined;
    }
  }
  return out;
}

describe('frames', () => {
  test('are read as they were written, whatever chunks they come in', () => {
    // Data with its fin alone, so that the end of each frame can be told.
    const frame = fc.oneof(
      control,
      data.map((one) => ({ ...one, fin: true }) as Frame),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 }), (frames, cuts) => {
        expect(joined(readAll(Buffer.concat(frames.map(encodeFrame)), cuts))).toEqual(frames);
      }),
    );
  });

  test('what is no SPDY is refused with an error of its own, and never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (array, isControl) => {
        const bytes = Buffer.from(array);
        if (isControl && bytes.length > 1) bytes.writeUInt16BE(0x8003, 0);
        try {
          readFrames(initialReadState, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SpdyError);
        }
      }),
    );
  });

  test('a control frame that is too long is refused before it is kept', () => {
    expect(() => readFrames(initialReadState, Buffer.from('8003000101000000', 'hex').fill(0xff, 5))).toThrow(
      'SPDY: a control frame of 16777215 bytes',
    );
  });

  test('data is handed on before the whole frame is there', () => {
    const [frames] = readFrames(initialReadState, Buffer.concat([Buffer.from('00000001010000ff', 'hex'), Buffer.from('abc')]));
    expect(frames).toEqual([{ type: 'data', streamId: 1, fin: false, data: Buffer.from('abc') }]);
  });

  test('a kind of frame that is not known is passed over', () => {
    const credential = Buffer.from('8003000a000000020000', 'hex');
    const [frames] = readFrames(initialReadState, Buffer.concat([credential, encodeFrame({ type: 'ping', id: 7 })]));
    expect(frames).toEqual([{ type: 'ping', id: 7 }]);
  });
});

describe('header blocks', () => {
  test('are one compressed text in each direction, taken up from block to block', () => {
    fc.assert(
      fc.property(fc.array(headers, { minLength: 1, maxLength: 6 }), (blocks) => {
        let [out, back] = [initialHeaderContext, initialHeaderContext];
        for (const block of blocks) {
          let packed: Buffer;
          let read: Headers;
          [packed, out] = deflateHeaders(out, block);
          [read, back] = inflateHeaders(back, packed);
          expect(read).toEqual(block);
        }
      }),
    );
  });

  test('are what zlib itself reads and writes with the dictionary', async () => {
    const texts = [1, 2, 3].map(
      (number) =>
        new Map([
          ['streamtype', 'data'],
          ['port', '80'],
          ['requestid', String(number)],
        ]),
    );
    const inflate = createInflate({ dictionary: headerDictionary, finishFlush: constants.Z_SYNC_FLUSH });
    const deflate = createDeflate({ dictionary: headerDictionary });
    const plain: Buffer[] = [];
    inflate.on('data', (chunk: Buffer) => plain.push(chunk));
    let [out, back] = [initialHeaderContext, initialHeaderContext];
    for (const text of texts) {
      let packed: Buffer;
      [packed, out] = deflateHeaders(out, text);
      await new Promise((resolve) => inflate.write(packed, resolve));
      const block = Buffer.concat(plain.splice(0));
      expect(block.readUInt32BE(0)).toBe(3);
      expect(block.toString('latin1')).toContain('requestid');
      const written: Buffer[] = [];
      deflate.on('data', (chunk: Buffer) => written.push(chunk));
      deflate.write(block);
      await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
      deflate.removeAllListeners('data');
      let read: Headers;
      [read, back] = inflateHeaders(back, Buffer.concat(written));
      expect(read).toEqual(text);
    }
  });

  test('that unpack to more than is ever needed are refused', () => {
    const [packed] = deflateHeaders(initialHeaderContext, new Map([['a', 'x'.repeat(1_000_000)]]));
    expect(packed.length).toBeLessThan(10_000);
    expect(() => inflateHeaders(initialHeaderContext, packed)).toThrow(SpdyError);
  });

  test('that are none are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
        for (const context of [initialHeaderContext, { ...initialHeaderContext, begun: true }]) {
          try {
            inflateHeaders(context, noise);
          } catch (error) {
            expect(error).toBeInstanceOf(SpdyError);
          }
        }
      }),
    );
  });
});

// What kubectl 1.33 sent after its upgrade for `echo hello | kubectl exec -i POD -- cat` with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false.
const captured =
  '80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff' +
  '800300010000001700000003000000000000c22e555c92929907000000ffff' +
  '800300010000001900000005000000000000c22ac5565c92925f5a02000000ffff' +
  '800300010000001500000007000000000000c229975a5404000000ffff' +
  '000000030000000668656c6c6f0a0000000301000000';

test('what kubectl sends is read: its streams, what was typed, and the end of it', () => {
  const [frames] = readFrames(initialReadState, Buffer.from(captured, 'hex'));
  let context = initialHeaderContext;
  const seen = frames.map((frame) => {
    if (frame.type === 'data') return [frame.streamId, frame.data.toString(), frame.fin];
    if (frame.type !== 'syn-stream') return frame;
    let read: Headers;
    [read, context] = inflateHeaders(context, frame.block);
    return [frame.streamId, ...read.entries()];
  });
  expect(seen).toEqual([
    [1, ['streamtype', 'error']],
    [3, ['streamtype', 'stdin']],
    [5, ['streamtype', 'stdout']],
    [7, ['streamtype', 'stderr']],
    [3, 'hello\n', false],
    [3, '', true],
  ]);
});

const clock = createFakeClock();

function pair(server: Partial<SpdyOptions> = {}): { client: SpdyConnection; server: SpdyConnection; wire: Duplex } {
  const [left, right] = duplexPair();
  return {
    client: spdyConnection(left, { role: 'client', clock }),
    server: spdyConnection(right, { role: 'server', clock, ...server }),
    wire: left,
  };
}

const typed = (type: string): Headers => new Map([['streamtype', type]]);

async function textOf(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe('connection', () => {
  test('streams carry bytes both ways and end one side at a time', async () => {
    const { client, server } = pair();
    const asked: string[] = [];
    server.onStream = (stream) => {
      asked.push(stream.headers.get('streamtype')!);
      void textOf(stream).then((text) => stream.end(`${text} and back`));
    };
    const streams = ['one', 'two'].map((name) => client.open(typed(name)));
    for (const stream of streams) stream.end(`said on ${stream.id}`);
    expect(await Promise.all(streams.map(textOf))).toEqual(['said on 1 and back', 'said on 3 and back']);
    expect(asked).toEqual(['one', 'two']);
  });

  test('what was written before the end of the connection arrives', async () => {
    const { client, server } = pair();
    const sizes: Promise<number>[] = [];
    client.onStream = undefined;
    server.onStream = (stream) => {
      stream.resume();
      stream.end(Buffer.alloc(3_000_000));
      server.close();
    };
    const stream = client.open(typed('x'));
    sizes.push(textOf(stream).then((text) => text.length));
    expect(await Promise.all(sizes)).toEqual([3_000_000]);
    await nextTurn();
    expect([client.closed, server.closed]).toEqual([true, true]);
  });

  test('a slow reader holds the sender back, and gets everything in the end', async () => {
    const { client, server } = pair();
    let arrived: SpdyStream | undefined;
    server.onStream = (stream) => void (arrived = stream);
    const stream = client.open(typed('x'));
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    const total = 200;
    const writing = (async () => {
      for (; sent < total; sent++) if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve));
      stream.end();
    })();
    for (let turn = 0; turn < 500; turn++) await nextTurn();
    expect(sent).toBeLessThan(40);
    expect(arrived!.readableLength).toBeLessThan(2_000_000);
    let length = 0;
    for await (const chunk of arrived!) length += (chunk as Buffer).length;
    await writing;
    expect(length).toBe(total * piece.length);
  });

  test('a reset reaches the other side as an error of that stream alone', async () => {
    const { client, server } = pair();
    const opened: SpdyStream[] = [];
    server.onStream = (stream) => void opened.push(stream);
    const [first, second] = [client.open(typed('a')), client.open(typed('b'))];
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    const failed = new Promise((resolve) => opened[0]!.once('error', resolve));
    first.destroy();
    expect(await failed).toMatchObject({ message: 'SPDY: the peer has reset stream 1 (status 5)' });
    opened[1]!.resume();
    opened[1]!.end('still here');
    expect(await textOf(second)).toBe('still here');
  });

  test('a stream that nobody takes, or that is refused, or one too many, is reset', async () => {
    const { client, server } = pair({ maxStreams: 2 });
    server.onStream = (stream) => {
      if (stream.headers.get('streamtype') === 'bad') throw new Error('no');
    };
    const failures = ['bad', 'good', 'more'].map((name) => {
      const stream = client.open(typed(name));
      return new Promise((resolve) => stream.once('error', (error) => resolve(error.message)).once('close', () => resolve('closed')));
    });
    expect(await failures[0]).toMatch(/reset stream 1/);
    expect(await failures[2]).toMatch(/reset stream 5/);
    client.destroy();
    expect(await failures[1]).toBe('closed');
  });

  test('answers pings of the peer, and not the answers to its own', async () => {
    const [left, right] = duplexPair();
    spdyConnection(right, { role: 'server', clock });
    left.write(Buffer.concat([encodeFrame({ type: 'ping', id: 1 }), encodeFrame({ type: 'ping', id: 2 })]));
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(readAll(left.read() as Buffer, [])).toEqual([{ type: 'ping', id: 1 }]);
  });

  test('a peer that takes part in flow control is sent no more than its window, and its own is opened as it is read', async () => {
    const [left, right] = duplexPair();
    const server = spdyConnection(right, { role: 'server', clock });
    server.onStream = (stream) => {
      stream.resume();
      stream.write(Buffer.alloc(100_000));
    };
    const seen: Frame[] = [];
    let state = initialReadState;
    left.on('data', (chunk: Buffer) => {
      let frames: Frame[];
      [frames, state] = readFrames(state, chunk);
      seen.push(...frames);
    });
    const sent = (): number => seen.reduce((sum, frame) => sum + (frame.type === 'data' ? frame.data.length : 0), 0);
    const [block] = deflateHeaders(initialHeaderContext, typed('x'));
    left.write(encodeFrame({ type: 'settings', clear: false, entries: [{ id: 7, flags: 0, value: 1_000 }] }));
    left.write(encodeFrame({ type: 'syn-stream', streamId: 1, associatedTo: 0, priority: 0, fin: false, unidirectional: false, block }));
    left.write(encodeFrame({ type: 'data', streamId: 1, fin: false, data: Buffer.alloc(40_000) }));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    expect(sent()).toBe(1_000);
    expect(seen).toContainEqual({ type: 'window-update', streamId: 1, delta: 40_000 });
    expect(seen).toContainEqual({ type: 'window-update', streamId: 0, delta: 40_000 });
    left.write(encodeFrame({ type: 'window-update', streamId: 1, delta: 200_000 }));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    // The connection's own window: 64 KiB.
    expect(sent()).toBe(65_536);
    left.write(encodeFrame({ type: 'window-update', streamId: 0, delta: 200_000 }));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    expect(sent()).toBe(100_000);
  });

  test('noise ends the connection with GOAWAY, and its streams with an error', async () => {
    const [left, right] = duplexPair();
    const server = spdyConnection(right, { role: 'server', clock });
    const closed = new Promise((resolve) => (server.onClose = resolve));
    left.write('GET / HTTP/1.1\r\n\r\n'.padEnd(64, '\u0080'), 'latin1');
    left.write(Buffer.from('80ff000100000000', 'hex'));
    left.end();
    left.resume();
    await closed;
    expect(server.closed).toBe(true);
  });

  test('no data for the idle time ends it, pings or not', async () => {
    const time = createFakeClock();
    const [left, right] = duplexPair();
    const server = spdyConnection(right, { role: 'server', clock: time, idleTimeout: 10_000 });
    server.onStream = (stream) => void stream.resume();
    const client = spdyConnection(left, { role: 'client', clock: time });
    const stream = client.open(typed('x'));
    await nextTurn();
    await time.advance(9_000);
    stream.write('x');
    await nextTurn();
    await time.advance(9_000);
    expect(server.closed).toBe(false);
    left.write(encodeFrame({ type: 'ping', id: 9 }));
    await nextTurn();
    await time.advance(1_500);
    expect(server.closed).toBe(true);
  });
});
