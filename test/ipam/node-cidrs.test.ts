import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NodeCidrInput, planNodeCidrs, readNodeCidrOptions } from '../../src/ipam/index.ts';
import { parsePrefix, prefixesOverlap } from '../../src/net/index.ts';

const { clusterCidrs } = readNodeCidrOptions({
  clusterCidrs: ['10.244.0.0/16', 'fd00:10:244::/56'],
  serviceCidrs: ['10.96.0.0/16', 'fd00:10:96::/112'],
  nodeMaskSizes: { 4: 24, 6: 64 },
});
const plan = (nodes: NodeCidrInput['nodes'], excluded: string[] = []) =>
  planNodeCidrs({ clusterCidrs, excluded: excluded.map((text) => ({ name: 'service CIDR', prefix: parsePrefix(text) })), nodes });
const texts = (result: ReturnType<typeof plan>) =>
  Object.fromEntries([...result.assignments].map(([node, prefixes]) => [node, prefixes.map(({ text }) => text)]));
/** Cluster CIDRs, and the same mask size for each family. */
const clustersOf = (clusterCidrs: string[], v4 = 24, v6 = 64) =>
  readNodeCidrOptions({ clusterCidrs, serviceCidrs: [], nodeMaskSizes: { 4: v4, 6: v6 } }).clusterCidrs;
const fresh = (...names: string[]) => names.map((name) => ({ name, podCIDRs: [] }));

describe('planNodeCidrs', () => {
  test('gives each new node the next block of both families, in the order of their names', () => {
    expect(texts(plan(fresh('b', 'a')))).toEqual({ a: ['10.244.0.0/24', 'fd00:10:244::/64'], b: ['10.244.1.0/24', 'fd00:10:244:1::/64'] });
  });

  test('honours what nodes have, wherever they come in the list', () => {
    const result = plan([
      ...fresh('a'),
      { name: 'z', podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/64'] },
      { name: 'y', podCIDRs: ['10.244.2.0/24'] },
    ]);
    expect(texts(result)).toEqual({ a: ['10.244.3.0/24', 'fd00:10:244:1::/64'] });
    expect(result.conflicts).toEqual([]);
  });

  test('the block of a node that is gone rests until those after the youngest node have been used, also across restarts', () => {
    const small = clustersOf(['10.0.0.0/22', 'fd00::/62']);
    const gone = '10.0.1.0/24';
    const nodes: { name: string; podCIDRs: string[]; createdAt: number }[] = [
      { name: 'first', podCIDRs: ['10.0.0.0/24', 'fd00::/64'], createdAt: 1 },
      { name: 'young', podCIDRs: ['10.0.2.0/24', 'fd00:0:0:2::/64'], createdAt: 3 },
    ];
    const next = (name: string, createdAt: number): string => {
      const result = planNodeCidrs({ clusterCidrs: small, excluded: [], nodes: [...nodes, { name, podCIDRs: [] }] });
      const podCIDRs = texts(result)[name]!;
      nodes.push({ name, podCIDRs, createdAt });
      return podCIDRs.join(' ');
    };
    expect([next('c', 4), next('d', 5)]).toEqual(['10.0.3.0/24 fd00:0:0:3::/64', `${gone} fd00:0:0:1::/64`]);
    expect(planNodeCidrs({ clusterCidrs: small, excluded: [], nodes: [...nodes, ...fresh('e')] }).exhausted).toHaveLength(1);
  });

  test('several cluster CIDRs of a family are used one after the other, each with the whole of its blocks', () => {
    const several = clustersOf(['10.0.0.0/23', 'fd00::/63', '10.9.0.0/23', '172.16.0.0/24', 'fd01::/62']);
    const result = planNodeCidrs({ clusterCidrs: several, excluded: [], nodes: fresh('a', 'b', 'c', 'd', 'e', 'f') });
    expect(texts(result)).toEqual({
      a: ['10.0.0.0/24', 'fd00::/64'],
      b: ['10.0.1.0/24', 'fd00:0:0:1::/64'],
      c: ['10.9.0.0/24', 'fd01::/64'],
      d: ['10.9.1.0/24', 'fd01:0:0:1::/64'],
      e: ['172.16.0.0/24', 'fd01:0:0:2::/64'],
    });
    expect(result.exhausted.map(({ node, clusterCidrs: full }) => [node, ...full.map(({ text }) => text)])).toEqual([
      ['f', '10.0.0.0/23', '10.9.0.0/23', '172.16.0.0/24'],
    ]);
    const conflicts = planNodeCidrs({ clusterCidrs: several, excluded: [], nodes: [{ name: 'x', podCIDRs: ['10.8.0.0/24'] }] }).conflicts;
    expect(conflicts[0]?.problem).toBe('spec.podCIDRs: 10.8.0.0/24 is outside the cluster CIDR 10.0.0.0/23, 10.9.0.0/23, 172.16.0.0/24');
  });

  test('a node CIDR of another size takes every block it touches', () => {
    expect(texts(plan([{ name: 'big', podCIDRs: ['10.244.0.0/22'] }, ...fresh('n')]))).toEqual({
      n: ['10.244.4.0/24', 'fd00:10:244::/64'],
    });
  });

  test('never gives out an excluded range', () => {
    expect(texts(plan(fresh('n'), ['10.244.0.128/25']))['n']?.[0]).toBe('10.244.1.0/24');
  });

  test('however often nodes wait for one family, no block of the other is lost to them', () => {
    const tight = clustersOf(['10.0.0.0/22', 'fd00::/63']);
    const has = (name: string, block: number) => ({ name, podCIDRs: [`10.0.${block}.0/24`, `fd00:0:0:${block}::/64`] });
    const full = [has('a', 0), has('b', 1)];
    const waiting = Array.from({ length: 50 }, (_, index) => `w${index}`);
    const result = planNodeCidrs({ clusterCidrs: tight, excluded: [], nodes: [...full, ...fresh(...waiting)] });
    expect([result.assignments.size, result.exhausted.length]).toEqual([0, 50]);
    expect(result.exhausted[0]!.clusterCidrs.map(({ text }) => text)).toEqual(['fd00::/63']);
    // Two IPv4 blocks are still there: a node that needs no IPv6 block, as in a cluster of one family, gets one.
    const single = planNodeCidrs({ clusterCidrs: clustersOf(['10.0.0.0/22']), excluded: [], nodes: [...full, ...fresh('c', 'd', 'e')] });
    expect([...single.assignments.keys()]).toEqual(['c', 'd']);
    // And when an IPv6 block is free again, one node has both at once.
    const later = planNodeCidrs({ clusterCidrs: tight, excluded: [], nodes: [full[1]!, ...fresh(...waiting)] });
    expect(Object.values(texts(later))).toEqual([['10.0.2.0/24', 'fd00::/64']]);
    expect(later.exhausted).toHaveLength(49);
  });

  test('each node gets all families or none, and every block is used before one waits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 12 }),
        (bits4, bits6, count) => {
          const clusters = clustersOf([`10.0.0.0/${24 - bits4}`, `fd00::/${64 - bits6}`]);
          const result = planNodeCidrs({
            clusterCidrs: clusters,
            excluded: [],
            nodes: fresh(...Array.from({ length: count }, (_, n) => `n${n}`)),
          });
          for (const prefixes of result.assignments.values()) expect(prefixes.map(({ family }) => family)).toEqual([4, 6]);
          expect(result.assignments.size).toBe(Math.min(count, 2 ** bits4, 2 ** bits6));
          expect(result.assignments.size + result.exhausted.length).toBe(count);
        },
      ),
    );
  });

  test('names nodes whose CIDRs overlap, lie outside or are no CIDRs', () => {
    const nodes = [
      { name: 'a', podCIDRs: ['10.244.0.0/24'] },
      { name: 'b', podCIDRs: ['10.244.0.0/25'] },
      { name: 'c', podCIDRs: ['10.1.0.0/24'] },
      { name: 'd', podCIDRs: ['nonsense'] },
    ];
    expect(plan(nodes).conflicts.map(({ node, problem }) => `${node}: ${problem}`)).toEqual([
      'b: spec.podCIDRs: 10.244.0.0/25 overlaps that of node a',
      'c: spec.podCIDRs: 10.1.0.0/24 is outside the cluster CIDR 10.244.0.0/16',
      'd: spec.podCIDRs: "nonsense" is not a CIDR',
    ]);
  });

  test('no two nodes ever share an address, whatever blocks are in use, and the order of nodes does not matter', () => {
    const node = fc.record({ block: fc.option(fc.integer({ min: 0, max: 40 })) });
    fc.assert(
      fc.property(fc.array(node, { maxLength: 30 }), fc.array(fc.integer()), (given, keys) => {
        const used = new Set<number>();
        const nodes = given.map(({ block }, index) => {
          const own = block !== null && !used.has(block);
          if (own) used.add(block);
          return { name: `n${index}`, podCIDRs: own ? [`10.244.${block}.0/24`, `fd00:10:244:${block.toString(16)}::/64`] : [] };
        });
        const shuffled = nodes.map((item, index) => ({ item, key: keys[index] ?? 0 })).sort((a, b) => a.key - b.key);
        const result = plan(nodes);
        expect(texts(plan(shuffled.map(({ item }) => item)))).toEqual(texts(result));
        const all = [
          ...nodes.flatMap(({ podCIDRs }) => podCIDRs.map((text) => parsePrefix(text))),
          ...[...result.assignments.values()].flat(),
        ];
        for (const [index, a] of all.entries()) expect(all.slice(0, index).some((b) => prefixesOverlap(a, b))).toBe(false);
        expect(all).toHaveLength(nodes.length * 2);
      }),
      { numRuns: 60 },
    );
  });
});

describe('readNodeCidrOptions', () => {
  const read =
    (clusters: string[], services: string[], nodeMaskSizes = { 4: 24, 6: 64 }) =>
    () =>
      readNodeCidrOptions({ clusterCidrs: clusters, serviceCidrs: services, nodeMaskSizes });

  test('an overlap of cluster and service CIDR is refused naming both', () => {
    expect(read(['10.96.0.0/12'], ['10.96.0.0/16'])).toThrow('cluster CIDR 10.96.0.0/12 overlaps service CIDR 10.96.0.0/16');
  });
  test('cluster CIDRs that overlap each other are refused naming both', () => {
    expect(read(['10.0.0.0/16', '10.1.0.0/16', '10.0.128.0/17'], [])).toThrow(
      'cluster CIDR 10.0.0.0/16 overlaps cluster CIDR 10.0.128.0/17',
    );
  });
  test('bad texts, host bits, two service CIDRs of a family and mask sizes that do not fit are refused', () => {
    expect(read([], [])).toThrow('at least one');
    expect(read(['10.244.0.0'], [])).toThrow('cluster CIDR: "10.244.0.0" is not a CIDR');
    expect(read(['10.244.1.0/16'], [])).toThrow('did you mean 10.244.0.0/16?');
    expect(read(['10.0.0.0/16'], ['10.1.0.0/16', '10.2.0.0/16'])).toThrow('both IPv4');
    expect(read(['10.0.0.0/16'], [], { 4: 15, 6: 64 })).toThrow('/15 does not fit cluster CIDR 10.0.0.0/16; allowed are /16 to /30');
    expect(read(['fd00::/32'], [], { 4: 24, 6: 64 })).toThrow('allowed are /32 to /48');
  });
});
