import { decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeQuery,
  FormatError,
  nameFromText,
  nameKey,
  nameToText,
  parseQuery,
  readMessage,
  readName,
} from '../../src/dns/wire/index.ts';
import { createAsker, encodeRequest, sampleInput } from './fixtures.ts';
import { createResponder, createZoneCompiler, dnsOptions } from '../../src/dns/index.ts';

const binaryLabel = fc.uint8Array({ minLength: 1, maxLength: 63 });
const binaryName = fc
  .array(binaryLabel, { maxLength: 6 })
  .map((labels) => Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]))
  .filter((wire) => wire.length <= 255);
const hostLabel = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const hostName = fc.array(hostLabel, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));

const query = (bytes: Uint8Array) => {
  const parsed = parseQuery(bytes);
  return parsed.kind === 'query' ? parsed.query : parsed;
};

describe('names', () => {
  it('text and wire form are each other inverse, for any bytes and dots within labels', () => {
    fc.assert(fc.property(binaryName, (wire) => void expect(Buffer.from(nameFromText(nameToText(wire))).equals(wire)).toBe(true)));
  });
  it('a key folds the case of ASCII letters and of nothing else', () => {
    expect(nameKey(nameFromText('WeB.Default'))).toBe(nameKey(nameFromText('web.default')));
    expect(nameKey(Uint8Array.of(1, 0xc0, 0))).not.toBe(nameKey(Uint8Array.of(1, 0xe0, 0)));
    expect(nameKey(nameFromText('a\\.b'))).not.toBe(nameKey(nameFromText('a.b')));
  });
  it('reads what the oracle compressed', () => {
    fc.assert(
      fc.property(hostName, hostName, (name, target) => {
        const bytes = encode({
          type: 'response',
          id: 1,
          questions: [{ type: 'A', name }],
          answers: [{ type: 'CNAME', name, ttl: 1, data: `${target}.${name}` }],
        });
        const message = readMessage(bytes);
        expect(nameToText(message.answers[0]!.owner)).toBe(name);
        expect(nameToText(message.answers[0]!.data!)).toBe(`${target}.${name}`);
      }),
    );
  });
  it.each([
    ['a pointer to itself', [0xc0, 0x00]],
    ['a pointer forwards', [0xc0, 0x05, 0, 0, 0, 0]],
    ['labels that lead into a pointer back to them', [1, 0x61, 0xc0, 0x00]],
    ['a reserved label type', [0x41, 0x61, 0]],
    ['a name without end', [3, 0x61, 0x62]],
    ['half a pointer', [0xc0]],
  ])('refuses %s', (_, bytes) => expect(() => readName(Uint8Array.from(bytes), 0)).toThrow(FormatError));
  it('refuses a name over 255 bytes and labels over 63', () => {
    expect(() => nameFromText(Array(52).fill('abcd').join('.'))).toThrow(/longer than 255/);
    expect(() => nameFromText('a'.repeat(64))).toThrow(/longer than 63/);
    expect(() => nameFromText('a..b')).toThrow(/empty label/);
    const long = Buffer.concat([...Array(5).fill(Buffer.concat([Uint8Array.of(63), Buffer.alloc(63, 0x61)])), Uint8Array.of(0)]);
    expect(() => readName(long, 0)).toThrow(/255/);
  });
});

describe('requests', () => {
  it('what the oracle encodes is read', () => {
    fc.assert(
      fc.property(
        hostName,
        fc.constantFrom('A', 'AAAA', 'SRV', 'PTR', 'TXT'),
        fc.nat(65_535),
        fc.boolean(),
        fc.integer({ min: 512, max: 4096 }),
        (name, type, id, dnssecOk, size) => {
          const bytes = encode({
            type: 'query',
            id,
            flags: 0x0100,
            questions: [{ name, type } as never],
            additionals: [
              {
                type: 'OPT',
                name: '.',
                udpPayloadSize: size,
                extendedRcode: 0,
                ednsVersion: 0,
                flags: dnssecOk ? 0x8000 : 0,
                flag_do: dnssecOk,
                options: [],
              },
            ],
          });
          expect(query(bytes)).toMatchObject({
            id,
            key: nameKey(nameFromText(name)),
            flags: 0x0100,
            edns: { payloadSize: size, version: 0, dnssecOk },
          });
        },
      ),
    );
  });
  it('what we encode the oracle reads', () => {
    fc.assert(
      fc.property(hostName, fc.nat(65_535), (name, id) => {
        const packet = decode(encodeQuery(id, nameFromText(name), 28, { dnssecOk: true }));
        expect(packet).toMatchObject({
          id,
          type: 'query',
          flag_rd: true,
          questions: [{ name, type: 'AAAA' }],
          additionals: [{ type: 'OPT', udpPayloadSize: 1232, flag_do: true }],
        });
      }),
    );
  });
  it('any bytes whatever are answered or dropped, never thrown at, and every answer is well-formed', () => {
    const responder = createResponder(dnsOptions(), false);
    const zone = createZoneCompiler(dnsOptions())(sampleInput());
    const valid = encodeRequest('_sql._tcp.db.default.svc.cluster.local', 'SRV');
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length)).map(([at, byte, length]) => {
      const bytes = Buffer.from(valid);
      bytes[at] = byte;
      return at < length ? bytes.subarray(0, Math.max(length, 12)) : bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated), (bytes) => {
        const outcome = responder.answer(zone, bytes, 'udp');
        if (outcome.kind !== 'reply') return void expect(outcome.kind).toBe('drop');
        expect(outcome.bytes.length).toBeLessThanOrEqual(1232);
        if (outcome.query) expect(readMessage(outcome.bytes).id).toBe(bytes[0]! * 256 + bytes[1]!);
        else expect(outcome.bytes.length).toBe(12);
      }),
      { numRuns: 3_000 },
    );
  });
  const good = encodeRequest('web.default.svc.cluster.local', 'A');
  const patched = (at: number, ...bytes: number[]): Buffer => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  it.each([
    ['two questions', patched(4, 0, 2)],
    ['no question', patched(4, 0, 0)],
    ['an answer in the request', patched(6, 0, 1)],
    ['a byte too many', Buffer.concat([good, Uint8Array.of(0)])],
    ['the question cut off', good.subarray(0, good.length - 1)],
    ['a compressed question', Buffer.concat([good.subarray(0, 12), Uint8Array.of(0xc0, 0x0c, 0, 1, 0, 1)])],
    ['an additional record that is not there', patched(10, 0, 1)],
  ])('FORMERR: %s', (_, bytes) => expect(query(bytes)).toMatchObject({ kind: 'error', rcode: 1, id: 4711 }));
  it('NOTIMP for another opcode; nothing for a response or less than a header', () => {
    expect(query(patched(2, 0x28))).toMatchObject({ kind: 'error', rcode: 4 });
    expect(query(patched(2, 0x81))).toEqual({ kind: 'drop' });
    expect(query(good.subarray(0, 11))).toEqual({ kind: 'drop' });
  });
});

describe('EDNS', () => {
  const ask = createAsker();
  const opt = (more: object): Partial<Packet> => ({
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
        ...more,
      } as never,
    ],
  });
  it('an OPT is answered with ours, without the options of the client', () => {
    const { packet } = ask(
      'web.default.svc.cluster.local',
      'A',
      opt({ flags: 0x8000, flag_do: true, options: [{ code: 10, data: Buffer.from('0123456789abcdef', 'hex') }] }),
    );
    expect(packet.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, ednsVersion: 0, flag_do: true, options: [] }]);
  });
  it('without OPT there is none in the answer', () => expect(ask('web.default.svc.cluster.local').packet.additionals).toEqual([]));
  it('a later version is BADVERS', () => {
    const { packet, rcode } = ask('web.default.svc.cluster.local', 'A', opt({ ednsVersion: 1 }));
    expect(rcode).toBe('NOERROR');
    expect(packet.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1 }]);
  });
});
