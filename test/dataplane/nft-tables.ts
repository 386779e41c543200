import fc from 'fast-check';
import type { NftChain, NftMatch, NftPorts, NftRule, NftSet, NftTable, NftVerdict } from '../../src/dataplane/nft.ts';
import { addressSelector, intervalKey } from '../../src/dataplane/nft.ts';
import { addressFromValue, type Family } from '../../src/net/index.ts';

/** A table with one of everything. */
export function sampleNftTable(): NftTable {
  const accept: NftVerdict = { verdict: 'accept' };
  return {
    name: 'podwire-test',
    counters: new Set(['dropped']),
    sets: new Map<string, NftSet>([
      [
        'pods',
        {
          key: ['ipv4_addr'],
          interval: false,
          verdicts: false,
          elements: new Map([
            ['10.0.0.1', undefined],
            ['10.0.0.2', undefined],
          ]),
        },
      ],
      [
        'block',
        {
          key: ['ipv4_addr'],
          interval: true,
          verdicts: false,
          elements: new Map([
            ['10.0.0.0-10.0.0.9', undefined],
            ['10.1.0.0-10.1.255.255', undefined],
          ]),
        },
      ],
      ['block6', { key: ['ipv6_addr'], interval: true, verdicts: false, elements: new Map([[`::-${'ffff:'.repeat(7)}ffff`, undefined]]) }],
      ['ports', { key: ['ipv6_addr', 'inet_service'], interval: false, verdicts: false, elements: new Map([['fd00::1 . 80', undefined]]) }],
      [
        'pod-map',
        { key: ['ipv4_addr'], interval: false, verdicts: true, elements: new Map([['10.0.0.1', { verdict: 'goto', chain: 'pod' }]]) },
      ],
    ]),
    chains: new Map<string, NftChain>([
      [
        'ingress',
        {
          hook: { type: 'filter', hook: 'forward', priority: 1, policy: 'accept' },
          rules: [
            {
              matches: [
                { match: 'ct-direction', direction: 'reply' },
                { match: 'ct-state', states: ['established'] },
              ],
              verdict: accept,
            },
            { matches: [{ match: 'ct-state', states: ['established', 'related'] }], verdict: accept },
            { matches: [], verdict: { verdict: 'vmap', of: ['ip daddr'], map: 'pod-map' } },
          ],
        },
      ],
      [
        'pod',
        {
          rules: [
            { matches: [], verdict: { verdict: 'jump', chain: 'web' } },
            { matches: [], counter: 'dropped', count: true, verdict: { verdict: 'drop' }, comment: 'default/web' },
          ],
        },
      ],
      [
        'web',
        {
          rules: [
            {
              matches: [
                { match: 'in', of: ['ip saddr'], set: 'pods' },
                {
                  match: 'port',
                  side: 'dport',
                  protocol: 'tcp',
                  ports: [
                    [80, 80],
                    [90, 99],
                  ],
                },
              ],
              verdict: accept,
            },
            {
              matches: [
                { match: 'in', of: ['ip saddr'], set: 'block' },
                { match: 'is', of: 'meta l4proto', values: ['udp'] },
              ],
              verdict: accept,
            },
            {
              matches: [
                { match: 'in', of: ['ip6 saddr'], set: 'block6' },
                { match: 'in', of: ['ip6 daddr', 'sctp dport'], set: 'ports' },
              ],
              verdict: accept,
            },
            { matches: [{ match: 'is', of: 'ip6 saddr', values: ['fd00::7'] }], verdict: { verdict: 'return' } },
          ],
        },
      ],
    ]),
  };
}

/** NAT with maps, as a service proxy writes it: one address, three endpoints. */
export function sampleNatTable(): NftTable {
  const chains: [string, NftChain][] = [
    [
      'prerouting',
      {
        hook: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
        rules: [
          { matches: [{ match: 'in', of: ['ip saddr'], set: 'sticky' }], verdict: { verdict: 'jump', chain: 'spread' } },
          { matches: [], verdict: { verdict: 'vmap', of: ['ip daddr', 'meta l4proto', 'th dport'], map: 'services' } },
          {
            matches: [{ match: 'is', of: 'fib daddr type', values: ['local'] }],
            verdict: { verdict: 'vmap', of: ['meta l4proto', 'th dport'], map: 'node-ports' },
          },
        ],
      },
    ],
    [
      'postrouting',
      {
        hook: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
        rules: [
          { matches: [{ match: 'mark', mask: 0x4000, value: 0x4000, not: true }], verdict: { verdict: 'return' } },
          { matches: [], statements: [{ do: 'clear-mark-bits', bits: 0x4000 }], verdict: { verdict: 'masquerade', fullyRandom: true } },
        ],
      },
    ],
    [
      'lb-tcp-3',
      {
        rules: [
          {
            matches: [{ match: 'is', of: 'ip saddr', values: ['10.244.0.0/16'], not: true }],
            statements: [{ do: 'set-mark-bits', bits: 0x4000 }],
          },
          {
            matches: [],
            verdict: { verdict: 'dnat', family: 4, to: { of: ['ip daddr', 'tcp dport', 'numgen random mod 3'], map: 'endpoints' } },
          },
        ],
      },
    ],
    ['spread', { rules: [{ matches: [], verdict: { verdict: 'spread', chains: ['one', 'two'] } }] }],
    [
      'one',
      {
        rules: [
          {
            matches: [{ match: 'is', of: 'meta l4proto', values: ['tcp'] }],
            statements: [{ do: 'update', set: 'sticky', of: ['ip saddr'] }],
            verdict: { verdict: 'dnat', family: 4, to: { address: '10.244.1.2', port: 8080 } },
          },
        ],
      },
    ],
    ['two', { rules: [{ matches: [], verdict: { verdict: 'dnat', family: 4, to: { address: '10.244.1.3' } } }] }],
    [
      'refuse',
      {
        hook: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
        rules: [
          { matches: [{ match: 'is', of: 'meta l4proto', values: ['tcp'] }], verdict: { verdict: 'reject', with: 'port-unreachable' } },
          {
            matches: [{ match: 'port', side: 'dport', protocol: 'tcp', ports: [[7, 7]] }],
            verdict: { verdict: 'reject', with: 'tcp reset' },
          },
        ],
      },
    ],
  ];
  return {
    family: 'ip',
    name: 'podwire-nat',
    counters: new Set(),
    chains: new Map(chains),
    sets: new Map<string, NftSet>([
      [
        'services',
        {
          key: ['ipv4_addr', 'inet_proto', 'inet_service'],
          interval: false,
          verdicts: true,
          elements: new Map([['10.96.0.1 . tcp . 443', { verdict: 'goto', chain: 'lb-tcp-3' }]]),
        },
      ],
      [
        'node-ports',
        {
          key: ['inet_proto', 'inet_service'],
          interval: false,
          verdicts: true,
          elements: new Map([['tcp . 30080', { verdict: 'goto', chain: 'spread' }]]),
        },
      ],
      [
        'endpoints',
        {
          key: ['ipv4_addr', 'inet_service', 'integer'],
          data: ['ipv4_addr', 'inet_service'],
          interval: false,
          verdicts: false,
          elements: new Map([0, 1, 2].map((slot) => [`10.96.0.1 . 443 . ${slot}`, `10.244.1.${slot + 7} . 6443`])),
        },
      ],
      ['sticky', { key: ['ipv4_addr'], interval: false, verdicts: false, timeout: 10_800, elements: new Map() }],
    ]),
  };
}

const smallAddress = (family: Family) =>
  fc.bigInt({ min: 1n, max: 40n }).map((n) => addressFromValue(family, (family === 4 ? 0x0a00_0000n : 0xfd00n << 112n) + n).text);
const unique = <T>(keys: fc.Arbitrary<string>, value: fc.Arbitrary<T>): fc.Arbitrary<Map<string, T>> =>
  fc.dictionary(keys, value, { maxKeys: 5, noNullPrototype: true }).map((entries) => new Map(Object.entries(entries)));
const nothing = fc.constant(undefined);
const chainNames = ['c0', 'c1', 'c2', 'c3'] as const;

/** Disjoint ranges from cutting points; also the ends of the address space. */
const intervals = (family: Family): fc.Arbitrary<Map<string, undefined>> => {
  const end = family === 4 ? (1n << 32n) - 1n : (1n << 128n) - 1n;
  return fc
    .uniqueArray(fc.oneof(fc.bigInt({ min: 0n, max: end }), fc.bigInt({ min: 0n, max: 300n }), fc.constantFrom(0n, end)), {
      minLength: 2,
      maxLength: 8,
    })
    .map((cuts) => {
      const sorted = cuts.sort((a, b) => (a < b ? -1 : 1));
      const elements = new Map<string, undefined>();
      for (let index = 0; index + 1 < sorted.length; index += 2) {
        const [first, last, next] = [sorted[index]!, sorted[index + 1]!, sorted[index + 2]];
        // Touching ranges would be one.
        elements.set(
          intervalKey(family, first, next !== undefined && next === last + 1n ? last - (last > first ? 1n : 0n) : last),
          undefined,
        );
      }
      return elements;
    });
};

const set = (family: Family): fc.Arbitrary<NftSet> => {
  const key = [family === 4 ? 'ipv4_addr' : 'ipv6_addr'] as const;
  return unique(smallAddress(family), nothing).map((elements) => ({ key, interval: false, verdicts: false, elements }));
};
const intervalSet = (family: Family): fc.Arbitrary<NftSet> =>
  intervals(family).map((elements) => ({ key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'], interval: true, verdicts: false, elements }));
const portSet = (family: Family): fc.Arbitrary<NftSet> =>
  unique(
    fc.tuple(smallAddress(family), fc.integer({ min: 1, max: 65_535 })).map(([address, port]) => `${address} . ${port}`),
    nothing,
  ).map((elements) => ({
    key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr', 'inet_service'],
    interval: false,
    verdicts: false,
    elements,
  }));
const verdict = fc.oneof(
  fc.constantFrom<NftVerdict>({ verdict: 'accept' }, { verdict: 'drop' }),
  fc.record({ verdict: fc.constantFrom('jump' as const, 'goto' as const), chain: fc.constantFrom(...chainNames) }),
);
const verdictMap = (family: Family): fc.Arbitrary<NftSet> =>
  unique(smallAddress(family), verdict).map((elements) => ({
    key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
    interval: false,
    verdicts: true,
    elements,
  }));

const family = fc.constantFrom<Family>(4, 6);
const protocol = fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const);
const ports: fc.Arbitrary<NftPorts[]> = fc
  .uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 5 })
  .map((numbers) => {
    const made: [number, number][] = [];
    for (const first of numbers.sort((a, b) => a - b)) {
      const before = made.at(-1);
      if (!before || first > before[1] + 4) made.push([first, Math.min(65_535, first + (first % 3))]);
    }
    return made;
  });
const matches: fc.Arbitrary<NftMatch[]> = fc.oneof(
  fc.constant<NftMatch[]>([]),
  fc
    .tuple(family, fc.constantFrom('saddr' as const, 'daddr' as const), fc.constantFrom('set', 'block'))
    .map(([own, side, kind]): NftMatch[] => [{ match: 'in', of: [addressSelector(own, side)], set: `${kind}-${own}` }]),
  family.chain((own) =>
    smallAddress(own).map((address): NftMatch[] => [{ match: 'is', of: addressSelector(own, 'daddr'), values: [address] }]),
  ),
  fc.tuple(protocol, ports).map(([own, numbers]): NftMatch[] => [{ match: 'port', side: 'dport', protocol: own, ports: numbers }]),
  protocol.map((own): NftMatch[] => [{ match: 'is', of: 'meta l4proto', values: [own] }]),
  fc.tuple(family, protocol).map(([own, proto]): NftMatch[] => [
    { match: 'in', of: [addressSelector(own, 'saddr')], set: `set-${own}` },
    { match: 'in', of: [addressSelector(own, 'daddr'), `${proto} dport`], set: `ports-${own}` },
  ]),
  fc.subarray(['established', 'related', 'invalid'] as const, { minLength: 1 }).map((states): NftMatch[] => [
    { match: 'ct-direction', direction: 'reply' },
    { match: 'ct-state', states: [...states].sort((a, b) => order.indexOf(a) - order.indexOf(b)) },
  ]),
  fc
    .tuple(fc.constantFrom('iifname' as const, 'oifname' as const), fc.constantFrom('eth0', 'pod*'), fc.boolean())
    .map(([of, link, not]): NftMatch[] => [{ match: 'is', of, values: [link], ...(not ? { not } : {}) }]),
  fc.boolean().map((not): NftMatch[] => [{ match: 'mark', mask: 0xff00, value: 0x4000, ...(not ? { not } : {}) }]),
  fc.constantFrom<NftMatch[]>(
    [{ match: 'is', of: 'ip saddr', values: ['10.244.0.0/16'], not: true }],
    [{ match: 'is', of: 'ct status', values: ['dnat'] }],
    [{ match: 'in', of: ['ip saddr'], set: 'set-4', not: true }],
  ),
);
/** The order in which nft lists states: by their bit. */
const order = ['invalid', 'established', 'related'];

/** Jumps only go to chains of a higher number, so that they never make a circle. */
const rule = (above: number): fc.Arbitrary<NftRule> =>
  fc
    .record({
      matches,
      jump: fc.integer({ min: above + 1, max: chainNames.length }),
      what: fc.constantFrom('accept', 'drop', 'jump', 'map', 'count', 'spread', 'mark', 'reject'),
      comment: fc.option(fc.constantFrom('default/web', 'a b')),
    })
    .map(({ matches: own, jump, what, comment }) => {
      const more = comment === null ? {} : { comment };
      const chain = chainNames[jump];
      if (what === 'count') return { matches: own, counter: 'n0', count: true, verdict: { verdict: 'drop' as const }, ...more };
      if (what === 'map' && above < 0)
        return { matches: [], verdict: { verdict: 'vmap' as const, of: ['ip saddr' as const], map: 'map-4' } };
      if (what === 'spread' && jump + 1 < chainNames.length)
        return { matches: own, verdict: { verdict: 'spread' as const, chains: chainNames.slice(jump) }, ...more };
      if (what === 'mark') return { matches: own, statements: [{ do: 'set-mark-bits' as const, bits: 0x4000 }], ...more };
      if (what === 'reject') return { matches: own, verdict: { verdict: 'reject' as const, with: 'port-unreachable' as const } };
      if (what === 'jump' && chain) return { matches: own, verdict: { verdict: 'jump' as const, chain }, ...more };
      return { matches: own, verdict: { verdict: what === 'drop' ? ('drop' as const) : ('accept' as const) }, ...more };
    });

/** Any table of a few chains and sets that the kernel takes. */
export const nftTable: fc.Arbitrary<NftTable> = fc
  .record({
    base: fc.option(fc.array(rule(-1), { maxLength: 4 })),
    priority: fc.constantFrom(0, 1),
    bodies: fc.tuple(...chainNames.map((_, index) => fc.array(rule(index), { maxLength: 4 }))),
    sets: fc.record({
      'set-4': set(4),
      'set-6': set(6),
      'block-4': intervalSet(4),
      'block-6': intervalSet(6),
      'ports-4': portSet(4),
      'ports-6': portSet(6),
      'map-4': verdictMap(4),
    }),
    spare: fc.option(verdictMap(6)),
  })
  .map(({ base, priority, bodies, sets, spare }) => ({
    name: 'podwire-test',
    counters: new Set(['n0']),
    sets: new Map<string, NftSet>([...Object.entries(sets), ...(spare ? [['spare', spare] as const] : [])]),
    chains: new Map<string, NftChain>([
      ...chainNames.map((name, index) => [name, { rules: bodies[index]! }] as const),
      ...(base ? [['base', { hook: { type: 'filter', hook: 'forward', priority, policy: 'accept' }, rules: base }] as const] : []),
    ]),
  }));
