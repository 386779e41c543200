import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createAdjRibOut,
  createRib,
  type ExportContext,
  exportPath,
  importPath,
  type Path,
  type PathSource,
  selectBest,
} from '../../src/bgp/rib/index.ts';
import type { PathAttributes } from '../../src/bgp/wire/index.ts';
import { parseAddress, parsePrefix } from '../../src/net/index.ts';

const prefix = parsePrefix('203.0.113.0/24');
const sequence = (...asns: number[]) => [{ type: 'sequence' as const, asns }];

function path(peer: number, attributes: Partial<PathAttributes> = {}, source: Partial<PathSource> = {}, more: Partial<Path> = {}): Path {
  const address = parseAddress(`192.0.2.${peer}`);
  return {
    prefix,
    nextHop: address,
    attributes: { origin: 'igp', asPath: sequence(65_001), ...attributes },
    source: { kind: 'external', peer: address.text, address, routerId: address, asn: 65_001, ...source },
    ...more,
  };
}

describe('best path selection', () => {
  it.each<[string, Path, Path]>([
    ['locally originated', path(9, { localPref: 1 }, { kind: 'local' }), path(1, { localPref: 500 })],
    ['higher local preference', path(9, { localPref: 200, asPath: sequence(1, 2, 3) }), path(1)],
    ['shorter AS path', path(9, { asPath: sequence(1), origin: 'incomplete' }), path(1, { asPath: sequence(1, 2) })],
    ['shorter AS path', path(9, { asPath: [{ type: 'set', asns: [1, 2, 3] }] }), path(1, { asPath: sequence(1, 2) })],
    ['lower origin', path(9, { origin: 'egp' }), path(1, { origin: 'incomplete' })],
    ['lower MED', path(9, { med: 5 }), path(1, { med: 6 })],
    ['lower MED', path(9), path(1, { med: 6 })],
    ['external over internal', path(9), path(1, {}, { kind: 'internal' })],
    ['lower router id', path(9, {}, { routerId: parseAddress('1.1.1.1') }), path(1)],
    ['lower router id', path(9, { originatorId: parseAddress('1.1.1.1') }), path(1)],
    [
      'shorter cluster list',
      path(9, { originatorId: parseAddress('1.1.1.1') }),
      path(1, { originatorId: parseAddress('1.1.1.1'), clusterList: [parseAddress('2.2.2.2')] }),
    ],
    ['lower peer address', path(1, {}, { routerId: parseAddress('1.1.1.1') }), path(9, {}, { routerId: parseAddress('1.1.1.1') })],
  ])('by %s, and says so', (reason, better, worse) => {
    for (const paths of [
      [better, worse],
      [worse, better],
    ]) {
      expect(selectBest(paths)).toEqual({ best: better, reason, others: [{ path: worse, lostAt: reason }] });
    }
  });

  it('compares MED only between paths by the same neighbouring AS', () => {
    const one = path(1, { med: 50, asPath: sequence(65_001, 7) });
    const two = path(2, { med: 10, asPath: sequence(65_002, 7) });
    expect(selectBest([one, two])).toMatchObject({ best: one, reason: 'lower router id' });
  });

  it('is the same for every order of the paths, where comparing pairs would not be', () => {
    // The classic: by pairs, one of these three always beats the next.
    const a = path(3, { med: 10, asPath: sequence(65_001, 7) });
    const b = path(1, { med: 20, asPath: sequence(65_001, 7) });
    const c = path(2, { med: 0, asPath: sequence(65_002, 7) });
    fc.assert(
      fc.property(fc.shuffledSubarray([a, b, c], { minLength: 3 }), (paths) => {
        expect(selectBest(paths)).toMatchObject({ best: c, reason: 'lower router id' });
      }),
    );
  });

  it('names the step that decided last, and where each of the others lost', () => {
    const best = path(1, { med: 1 });
    const close = path(2, { med: 1 });
    const far = path(3, { localPref: 50 });
    const { reason, others } = selectBest([far, close, best])!;
    expect(reason).toBe('lower router id');
    expect(others.map(({ path: { nextHop }, lostAt }) => [nextHop.text, lostAt])).toEqual([
      ['192.0.2.3', 'higher local preference'],
      ['192.0.2.2', 'lower router id'],
    ]);
  });

  it('leaves out what may not be used', () => {
    expect(selectBest([path(1, {}, {}, { ineligible: 'loop' })])).toBeUndefined();
    expect(selectBest([path(1, {}, {}, { ineligible: 'loop' }), path(2)])).toMatchObject({
      reason: 'only path',
      best: { nextHop: { text: '192.0.2.2' } },
    });
  });
});

describe('the RIB', () => {
  const text = (rib: ReturnType<typeof createRib>): string[] =>
    [...rib.selections.values()].map(({ best }) => `${best.prefix.text} ${best.nextHop.text}`).sort();

  it('decides anew only for what changed, and tells what it was before', () => {
    const rib = createRib();
    rib.announce(path(2));
    expect(rib.select()).toMatchObject([{ before: undefined, after: { best: { nextHop: { text: '192.0.2.2' } } } }]);
    rib.announce(path(1));
    expect(rib.select()).toMatchObject([
      { before: { best: { nextHop: { text: '192.0.2.2' } } }, after: { best: { nextHop: { text: '192.0.2.1' } } } },
    ]);
    rib.withdraw('192.0.2.2', prefix);
    expect(rib.select()).toEqual([]);
    rib.removePeer('192.0.2.1');
    expect(rib.select()).toMatchObject([{ after: undefined }]);
  });

  it('holds the same after the same paths in any order', () => {
    const paths = [1, 2, 3].flatMap((peer) =>
      ['10.0.0.0/8', 'fd00::/8', '192.168.0.0/16'].map((cidr) => ({ ...path(peer), prefix: parsePrefix(cidr) })),
    );
    const reference = createRib();
    for (const each of paths) reference.announce(each);
    reference.select();
    fc.assert(
      fc.property(fc.shuffledSubarray(paths, { minLength: paths.length }), fc.array(fc.nat(paths.length - 1)), (order, twice) => {
        const rib = createRib();
        for (const index of twice) {
          rib.announce(paths[index]!);
          rib.select();
          rib.withdraw(paths[index]!.source.peer, paths[index]!.prefix);
        }
        for (const each of order) rib.announce(each);
        rib.select();
        expect(text(rib)).toEqual(text(reference));
      }),
    );
  });

  it('keeps marked paths until they are removed, and unmarks what is announced again', () => {
    const rib = createRib();
    const six = { ...path(1), prefix: parsePrefix('fd00::/8') };
    rib.announce(path(1));
    rib.announce(six);
    rib.markStale('192.0.2.1');
    expect(rib.staleCount('192.0.2.1')).toBe(2);
    rib.announce(path(1, { med: 3 }));
    rib.select();
    expect(rib.isStale(six)).toBe(true);
    expect(rib.isStale(path(1))).toBe(false);
    rib.removeStale('192.0.2.1');
    rib.select();
    expect(text(rib)).toEqual(['203.0.113.0/24 192.0.2.1']);
  });
});

describe('import', () => {
  const context = {
    localAsn: 64_512,
    routerId: parseAddress('192.0.2.100'),
    ownAddresses: new Set(['192.0.2.100', 'fd00::100']),
    importPolicy: 'all',
  } as const;
  const why = (attributes: Partial<PathAttributes>, hop = '192.0.2.1', change = {}): string | undefined =>
    importPath(prefix, parseAddress(hop), path(1, attributes).attributes, path(1).source, { ...context, ...change }).ineligible;

  it('takes a good route', () => expect(why({})).toBeUndefined());
  it.each<[string, string | undefined, RegExp]>([
    ['our AS in the path', why({ asPath: sequence(1, 64_512) }), /AS path holds our own AS 64512/],
    ['ourselves as originator', why({ originatorId: context.routerId }), /we are the originator/],
    ['our identifier in the cluster list', why({ clusterList: [context.routerId] }), /cluster list/],
    ['our own address as next hop', why({}, '192.0.2.100'), /next hop 192\.0\.2\.100 is our own address/],
    ['a next hop of the other family', why({}, 'fd00::1'), /other address family/],
    ['no policy for an external peer', why({}, '192.0.2.1', { importPolicy: 'none' }), /RFC 8212/],
  ])('does not use a route with %s', (_, reason, expected) => expect(reason).toMatch(expected));
});

describe('export', () => {
  const internal: ExportContext = {
    localAsn: 64_512,
    internal: true,
    peer: '192.0.2.7',
    peerAddress: parseAddress('192.0.2.7'),
    families: [4, 6],
    exportPolicy: 'all',
    ownNextHop: (family) => parseAddress(family === 4 ? '192.0.2.100' : 'fd00::100'),
    nextHopSelf: false,
  };
  const external: ExportContext = { ...internal, internal: false };

  it('gives our own routes to internal peers with a local preference and an empty path', () => {
    expect(exportPath(path(100, { asPath: [] }, { kind: 'local', peer: 'local' }), internal)).toMatchObject({
      nextHop: { text: '192.0.2.100' },
      attributes: { asPath: [], localPref: 100 },
    });
  });
  it('says nothing to an internal peer that came from another', () =>
    expect(exportPath(path(1, {}, { kind: 'internal' }), internal)).toBeUndefined());
  it('says nothing to the peer it came from', () => expect(exportPath(path(7), external)).toBeUndefined());
  it('keeps the next hop of an external route towards internal peers, unless told to be it', () => {
    expect(exportPath(path(1), internal)?.nextHop.text).toBe('192.0.2.1');
    expect(exportPath(path(1), { ...internal, nextHopSelf: true })?.nextHop.text).toBe('192.0.2.100');
  });
  it('towards an external peer puts our AS and address, and takes out what is of our AS only', () => {
    const exported = exportPath(
      path(1, { localPref: 7, med: 9, originatorId: parseAddress('1.1.1.1'), clusterList: [] }, { kind: 'internal' }),
      external,
    );
    expect(exported).toEqual({ nextHop: parseAddress('192.0.2.100'), attributes: { origin: 'igp', asPath: sequence(64_512, 65_001) } });
  });
  it.each([
    ['NO_ADVERTISE', 0xffff_ff02, false, false],
    ['NO_EXPORT', 0xffff_ff01, true, false],
    ['NO_EXPORT_SUBCONFED', 0xffff_ff03, true, false],
  ])('keeps to %s', (_, community, toInternal, toExternal) => {
    const marked = path(1, { communities: [community] });
    expect(exportPath(marked, internal) !== undefined).toBe(toInternal);
    expect(exportPath(marked, external) !== undefined).toBe(toExternal);
  });
  it('exports nothing without a policy, nor in a family that was not agreed on', () => {
    expect(exportPath(path(1), { ...external, exportPolicy: 'none' })).toBeUndefined();
    expect(exportPath(path(1), { ...external, families: [6] })).toBeUndefined();
  });
});

describe('adj-RIB-out', () => {
  const attributes: PathAttributes = { origin: 'igp', asPath: [] };
  const route = { attributes, nextHop: parseAddress('192.0.2.1') };

  it('tells only what is new', () => {
    const out = createAdjRibOut();
    out.mark(prefix);
    expect(out.take(10, () => route)).toMatchObject({ withdrawals: [], announcements: [{ prefixes: [prefix] }] });
    out.mark(prefix);
    expect(out.take(10, () => ({ ...route, attributes: { ...attributes } }))).toEqual({ withdrawals: [], announcements: [] });
    out.mark(prefix);
    expect(out.take(10, () => undefined)).toEqual({ withdrawals: [prefix], announcements: [] });
    out.mark(prefix);
    expect(out.take(10, () => undefined)).toEqual({ withdrawals: [], announcements: [] });
  });

  it('puts prefixes with equal attributes together', () => {
    const out = createAdjRibOut();
    for (let index = 0; index < 20; index++) out.mark(parsePrefix(`10.0.${index}.0/24`));
    const { announcements } = out.take(15, ({ text }) =>
      text === '10.0.3.0/24' ? { ...route, attributes: { ...attributes, med: 1 } } : { ...route, attributes: { ...attributes } },
    );
    expect(announcements.map(({ prefixes }) => prefixes.length)).toEqual([14, 1]);
    expect(out.pending).toBe(5);
  });
});
