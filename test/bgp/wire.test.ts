import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressFromBytes, addressFromValue, parseAddress, parsePrefix, prefixOf } from '../../src/net/index.ts';
import {
  BgpMessageError,
  type BgpMessage,
  createFramer,
  decodeMessage,
  describeNotification,
  encodeMessage,
  endOfRib,
  endOfRibFamily,
  mergeAs4Path,
  packUpdates,
  shutdownMessage,
  type UpdateMessage,
} from '../../src/bgp/wire/index.ts';
import { bytes, golden, hex } from './golden.ts';

const external = { fourOctetAsn: true, internal: false };
const decodeUpdate = (text: string, context = external): UpdateMessage => decodeMessage(bytes(text), context) as UpdateMessage;

describe('messages of other routers', () => {
  it('reads the OPEN of BIRD', () => {
    expect(decodeMessage(bytes(golden.birdOpen), external)).toMatchObject({
      type: 'open',
      version: 4,
      asn: 23_456,
      holdTime: 240,
      routerId: { text: '192.168.88.9' },
      capabilities: [
        { type: 'multiprotocol', afi: 1, safi: 1 },
        { type: 'multiprotocol', afi: 2, safi: 1 },
        { type: 'route-refresh' },
        { type: 'graceful-restart', restarting: false, restartTime: 120, families: [{ afi: 1, safi: 1, forwarding: false }, { afi: 2 }] },
        { type: 'four-octet-asn', asn: 4_200_000_009 },
        { type: 'unknown', code: 70 },
        { type: 'unknown', code: 71 },
      ],
    });
  });

  it('reads IPv4 routes with communities of BIRD', () => {
    const update = decodeUpdate(golden.birdIpv4);
    expect(update.nlri.map(({ text }) => text)).toEqual(['203.0.113.7/32', '10.244.9.0/24', '10.99.0.0/16']);
    expect(update.findings).toEqual([]);
    expect(update.attributes).toMatchObject({
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [4_200_000_009, 65_001, 4_200_000_009] }],
      nextHop: { text: '192.168.88.9' },
      med: 50,
      communities: [((64_512 << 16) >>> 0) + 100, 0xffff_ff01],
      largeCommunities: [[4_200_000_009, 1, 2]],
    });
  });

  it('reads IPv6 routes of BIRD, with an attribute in extended length', () => {
    const update = decodeUpdate(golden.birdIpv6);
    expect(update.mpReach?.nextHop.text).toBe('fd00:88::9');
    expect(update.mpReach?.prefixes.map(({ text }) => text)).toEqual(['::/0', 'fd00:10:244:9::/64']);
  });

  it('puts the true path together when the peer has two-octet AS numbers', () => {
    const update = decodeUpdate(golden.birdIpv4TwoOctet, { fourOctetAsn: false, internal: false });
    expect(update.attributes?.asPath).toEqual([{ type: 'sequence', asns: [4_200_000_009, 65_001, 4_200_000_009] }]);
  });

  it('knows the End-of-RIB of both families', () => {
    expect(endOfRibFamily(decodeUpdate(golden.birdEndOfRibIpv4))).toBe(4);
    expect(endOfRibFamily(decodeUpdate(golden.birdEndOfRibIpv6))).toBe(6);
    expect(endOfRibFamily(decodeUpdate(golden.gobgpWithdraw))).toBeUndefined();
  });

  it('reads what GoBGP sends', () => {
    expect(decodeMessage(bytes(golden.gobgpOpen), external)).toMatchObject({ asn: 23_456, holdTime: 90 });
    expect(decodeUpdate(golden.gobgpIpv4).attributes).toMatchObject({ origin: 'egp', communities: [0xfc00_0064, 0xffff_ff01], med: 50 });
    expect(decodeUpdate(golden.gobgpIpv6).mpReach?.prefixes.map(({ text }) => text)).toEqual(['fd00:10:244:9::/64']);
    expect(decodeUpdate(golden.gobgpWithdraw).withdrawn.map(({ text }) => text)).toEqual(['10.244.9.0/24']);
  });

  it.each(['birdIpv4', 'birdIpv4TwoOctet', 'gobgpIpv4', 'gobgpWithdraw', 'birdEndOfRibIpv4', 'birdEndOfRibIpv6', 'keepalive'] as const)(
    'writes %s byte for byte as it was sent',
    (name) => {
      const context = { fourOctetAsn: name !== 'birdIpv4TwoOctet', internal: false };
      expect(hex(encodeMessage(decodeMessage(bytes(golden[name]), context), context))).toBe(golden[name]);
    },
  );
});

const asn = fc.integer({ min: 1, max: 0xffff_ffff });
const ipv4 = fc.integer({ min: 0x0100_0000, max: 0x7eff_ffff }).map((value) => addressFromValue(4, BigInt(value)));
const ipv6 = fc.uint8Array({ minLength: 15, maxLength: 15 }).map((tail) => addressFromBytes([0xfd, ...tail]));
const prefix4 = fc
  .tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 32 }))
  .map(([value, length]) => prefixOf(addressFromValue(4, BigInt(value)), length));
const prefix6 = fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })).map(([address, length]) => prefixOf(address, length));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const attributes = fc.record(
  {
    origin: fc.constantFrom('igp', 'egp', 'incomplete'),
    asPath: fc.array(fc.record({ type: fc.constantFrom('sequence', 'set'), asns: fc.array(asn, { minLength: 1, maxLength: 20 }) }), {
      maxLength: 4,
    }),
    localPref: u32,
    med: u32,
    atomicAggregate: fc.constant(true),
    aggregator: fc.record({ asn, address: ipv4 }),
    communities: fc.array(u32, { minLength: 1, maxLength: 70 }),
    originatorId: ipv4,
    clusterList: fc.array(ipv4, { minLength: 1, maxLength: 4 }),
    extendedCommunities: fc.array(
      fc.uint8Array({ minLength: 8, maxLength: 8 }).map((value) => hex(value)),
      { minLength: 1, maxLength: 4 },
    ),
    largeCommunities: fc.array(fc.tuple(u32, u32, u32), { minLength: 1, maxLength: 4 }),
    unknown: fc.uniqueArray(
      fc.record({ type: fc.integer({ min: 100, max: 250 }), flags: fc.constant(0xe0), value: fc.uint8Array({ maxLength: 300 }) }),
      { selector: ({ type }) => type, minLength: 1, maxLength: 2 },
    ),
  },
  { requiredKeys: ['origin', 'asPath', 'localPref'], noNullPrototype: true },
);
const update = fc
  .tuple(
    attributes,
    ipv4,
    ipv6,
    fc.array(prefix4, { minLength: 1, maxLength: 40 }),
    fc.array(prefix6, { maxLength: 20 }),
    fc.array(prefix4, { maxLength: 20 }),
    fc.array(prefix6, { maxLength: 20 }),
  )
  .map(
    ([base, hop4, hop6, nlri, reach, withdrawn, unreach]): UpdateMessage => ({
      type: 'update',
      withdrawn,
      nlri,
      attributes: { ...base, nextHop: hop4 } as NonNullable<UpdateMessage['attributes']>,
      findings: [],
      ...(reach.length > 0 ? { mpReach: { family: 6, nextHop: hop6, prefixes: reach } } : {}),
      ...(unreach.length > 0 ? { mpUnreach: { family: 6, prefixes: unreach } } : {}),
    }),
  );
const capability = fc.oneof(
  fc.record({ type: fc.constant('multiprotocol'), afi: fc.nat(0xffff), safi: fc.nat(255) }),
  fc.constant({ type: 'route-refresh' }),
  fc.record({ type: fc.constant('four-octet-asn'), asn: u32 }),
  fc.record({
    type: fc.constant('graceful-restart'),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartTime: fc.nat(4095),
    families: fc.array(fc.record({ afi: fc.nat(0xffff), safi: fc.nat(255), forwarding: fc.boolean() }), { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant('unknown'), code: fc.integer({ min: 100, max: 200 }), value: fc.uint8Array({ maxLength: 20 }) }),
);
const message: fc.Arbitrary<BgpMessage> = fc.oneof(
  update,
  fc.record({
    type: fc.constant('open'),
    version: fc.nat(255),
    asn: fc.nat(0xffff),
    holdTime: fc.nat(0xffff),
    routerId: ipv4,
    capabilities: fc.array(capability, { maxLength: 6 }),
  }) as fc.Arbitrary<BgpMessage>,
  fc.record({
    type: fc.constant('notification'),
    code: fc.nat(255),
    subcode: fc.nat(255),
    data: fc.uint8Array({ maxLength: 300 }),
  }) as fc.Arbitrary<BgpMessage>,
  fc.record({
    type: fc.constant('route-refresh'),
    afi: fc.nat(0xffff),
    safi: fc.nat(255),
    subtype: fc.nat(255),
  }) as fc.Arbitrary<BgpMessage>,
  fc.constant({ type: 'keepalive' } as const),
);

describe('the codec', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(message, (given) => {
        expect(decodeMessage(encodeMessage(given), { fourOctetAsn: true, internal: true })).toEqual(given);
      }),
      { numRuns: 500 },
    );
  });

  it('reads back paths over two-octet sessions', () => {
    fc.assert(
      fc.property(fc.array(asn, { maxLength: 30 }), fc.option(fc.record({ asn, address: ipv4 })), (asns, aggregator) => {
        const given: UpdateMessage = {
          type: 'update',
          withdrawn: [],
          nlri: [parsePrefix('10.0.0.0/8')],
          findings: [],
          attributes: {
            origin: 'igp',
            asPath: asns.length > 0 ? [{ type: 'sequence', asns }] : [],
            nextHop: parseAddress('192.0.2.1'),
            localPref: 1,
            // An aggregator with a small AS number takes AS4_PATH out of use (RFC 6793 section 4.2.3).
            ...(aggregator && aggregator.asn > 0xffff ? { aggregator } : {}),
          },
        };
        const context = { fourOctetAsn: false, internal: true };
        expect(decodeMessage(encodeMessage(given, context), context)).toEqual(given);
      }),
    );
  });

  it('throws nothing but BgpMessageError, whatever comes in', () => {
    const mangled = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.boolean())
      .map(([given, changes, fixLength]) => {
        const out = encodeMessage(given);
        for (const [at, value] of changes) out[at % out.length] = value;
        if (fixLength) {
          out.fill(0xff, 0, 16);
          out[16] = out.length >> 8;
          out[17] = out.length & 0xff;
        }
        return out;
      });
    const garbage = fc
      .uint8Array({ maxLength: 200 })
      .map((body) => Uint8Array.from([...new Uint8Array(16).fill(0xff), 0, body.length + 19, 2, ...body]));
    fc.assert(
      fc.property(
        fc.oneof(mangled, garbage, fc.uint8Array({ maxLength: 100 })),
        fc.boolean(),
        fc.boolean(),
        (input, fourOctetAsn, internal) => {
          try {
            const decoded = decodeMessage(input, { fourOctetAsn, internal });
            // What was let through can be written again.
            if (decoded.type === 'update') encodeMessage(decoded, { fourOctetAsn: true });
          } catch (error) {
            // Four-octet AS numbers may make a message too long that came with two-octet ones.
            if (!(error instanceof BgpMessageError) && !(error instanceof RangeError && /over 4096/.test(error.message))) throw error;
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('cuts a stream into messages however it is split', () => {
    const stream = bytes(golden.birdOpen + golden.keepalive + golden.birdIpv4 + golden.birdEndOfRibIpv4);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
        const framer = createFramer();
        const points = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const messages = points.slice(1).flatMap((end, index) => [...framer.push(stream.subarray(points[index], end))].map(hex));
        expect(messages).toEqual([golden.birdOpen, golden.keepalive, golden.birdIpv4, golden.birdEndOfRibIpv4]);
      }),
    );
  });

  it.each([
    ['a marker that is not all ones', '00'.repeat(16) + '001304', '1/1', ''],
    ['a length below the header', 'ff'.repeat(16) + '001204', '1/2', '0012'],
    ['a length over 4096', 'ff'.repeat(16) + '100102', '1/2', '1001'],
    ['a KEEPALIVE with a body', 'ff'.repeat(16) + '001404' + '00', '1/2', '0014'],
    ['an OPEN that is too short', 'ff'.repeat(16) + '001c01' + '00'.repeat(9), '1/2', '001c'],
    ['an unknown message type', 'ff'.repeat(16) + '001309', '1/3', '09'],
  ])('refuses %s', (_, text, code, data) => {
    const framer = createFramer();
    try {
      for (const whole of framer.push(bytes(text))) decodeMessage(whole, external);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof BgpMessageError)) throw error;
      expect(`${error.code}/${error.subcode}`).toBe(code);
      expect(hex(error.data)).toBe(data);
    }
  });
});

describe('AS4_PATH', () => {
  const sequence = (...asns: number[]) => ({ type: 'sequence' as const, asns });
  it('is ignored when it is longer than AS_PATH, and otherwise takes its tail', () => {
    expect(mergeAs4Path([sequence(1)], [sequence(70_000, 70_001)])).toEqual([sequence(1)]);
    expect(mergeAs4Path([sequence(1, 23_456, 23_456)], [sequence(70_000, 70_001)])).toEqual([sequence(1, 70_000, 70_001)]);
    expect(mergeAs4Path([{ type: 'set', asns: [5, 6] }, sequence(23_456)], [sequence(70_000)])).toEqual([
      { type: 'set', asns: [5, 6] },
      sequence(70_000),
    ]);
  });
});

describe('packing', () => {
  it('spreads many prefixes over messages that each fit, and loses none', () => {
    const prefixes = Array.from({ length: 5_000 }, (_, index) => parsePrefix(`10.${index >> 8}.${index & 255}.0/24`));
    const six = Array.from({ length: 2_000 }, (_, index) => parsePrefix(`fd00:${index.toString(16)}::/64`));
    const shared = { origin: 'igp', asPath: [], localPref: 100 } as const;
    const context = { fourOctetAsn: true };
    const { updates, tooLong } = packUpdates(
      [...prefixes.slice(0, 2_000), ...six.slice(0, 500)],
      [
        { family: 4, attributes: shared, nextHop: parseAddress('192.0.2.1'), prefixes },
        { family: 6, attributes: shared, nextHop: parseAddress('fd00::1'), prefixes: six },
      ],
      context,
    );
    expect(tooLong).toEqual([]);
    for (const each of updates) expect(encodeMessage(each, context).length).toBeLessThanOrEqual(4096);
    expect(updates.flatMap(({ nlri }) => nlri)).toHaveLength(5_000);
    expect(updates.flatMap(({ withdrawn }) => withdrawn)).toHaveLength(2_000);
    expect(updates.flatMap(({ mpReach }) => mpReach?.prefixes ?? [])).toHaveLength(2_000);
    expect(updates.flatMap(({ mpUnreach }) => mpUnreach?.prefixes ?? [])).toHaveLength(500);
    expect(updates.length).toBeLessThan(20);
  });

  it('leaves out a route whose attributes alone fill a message', () => {
    const attributes = { origin: 'igp', asPath: [], communities: Array.from({ length: 1_100 }, (_, index) => index) } as const;
    const announcement = { family: 4, attributes, nextHop: parseAddress('192.0.2.1'), prefixes: [parsePrefix('10.0.0.0/8')] } as const;
    expect(packUpdates([], [announcement], { fourOctetAsn: true })).toEqual({ updates: [], tooLong: [announcement] });
  });

  it('writes End-of-RIB as the RFC has it', () => {
    expect(hex(encodeMessage(endOfRib(4)))).toBe(golden.birdEndOfRibIpv4);
    expect(hex(encodeMessage(endOfRib(6)))).toBe(golden.birdEndOfRibIpv6);
  });
});

describe('notifications', () => {
  it('are described by their registered names', () => {
    expect(describeNotification({ code: 2, subcode: 2, data: new Uint8Array() })).toBe('OPEN Message Error / Bad Peer AS (2/2)');
    expect(describeNotification({ code: 6, subcode: 2, data: shutdownMessage('back at five') })).toBe(
      'Cease / Administrative Shutdown (6/2): back at five',
    );
    expect(describeNotification({ code: 99, subcode: 1, data: new Uint8Array() })).toBe('Unknown Error (99/1)');
  });
  it('carry at most 255 octets of text', () => {
    expect(shutdownMessage('ü'.repeat(200))).toHaveLength(255);
  });
});
