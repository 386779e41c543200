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
  planNodeCidrs({ clusterCidrs, excluded: excluded.map((text) => parsePrefix(text)), nodes });
const texts = (result: ReturnType<typeof plan>) =>
  Object.fromEntries([...result.assignments].map(([node, prefixes]) => [node, prefixes.map(({ text }) => text)]));
const fresh = (...names: string[]) => names.map((name) => ({ name, podCIDRs: [] }));

describe('planNodeCidrs', () => {
  test('gives each new node the lowest free block of both families', () => {
    expect(texts(plan(fresh('b', 'a')))).toEqual({ a: ['10.244.0.0/24', 'fd00:10:244::/64'], b: ['10.244.1.0/24', 'fd00:10:244:1::/64'] });
  });

  test('honours what nodes have, wherever they come in the list, and reuses the block of a node that is gone', () => {
    const result = plan([
      ...fresh('a'),
      { name: 'z', podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/64'] },
      { name: 'y', podCIDRs: ['10.244.2.0/24'] },
    ]);
    expect(texts(result)).toEqual({ a: ['10.244.1.0/24', 'fd00:10:244:1::/64'] });
    expect(result.conflicts).toEqual([]);
  });

  test('a node CIDR of another size takes every block it touches', () => {
    expect(texts(plan([{ name: 'big', podCIDRs: ['10.244.0.0/22'] }, ...fresh('n')]))).toEqual({
      n: ['10.244.4.0/24', 'fd00:10:244::/64'],
    });
  });

  test('never gives out an excluded range', () => {
    expect(texts(plan(fresh('n'), ['10.244.0.128/25']))['n']?.[0]).toBe('10.244.1.0/24');
  });

  test('when one family is exhausted, nothing of the other is reserved', () => {
    const tight = readNodeCidrOptions({
      clusterCidrs: ['10.0.0.0/23', 'fd00::/56'],
      serviceCidrs: [],
      nodeMaskSizes: { 4: 24, 6: 64 },
    }).clusterCidrs;
    const result = planNodeCidrs({ clusterCidrs: tight, excluded: [], nodes: fresh('a', 'b', 'c') });
    expect([...result.assignments.keys()]).toEqual(['a', 'b']);
    expect(result.exhausted).toMatchObject([{ node: 'c', clusterCidr: { text: '10.0.0.0/23' } }]);
    const later = planNodeCidrs({
      clusterCidrs: tight,
      excluded: [],
      nodes: [{ name: 'b', podCIDRs: ['10.0.1.0/24', 'fd00:0:0:1::/64'] }, ...fresh('c')],
    });
    expect(texts(later)).toEqual({ c: ['10.0.0.0/24', 'fd00::/64'] });
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
  test('bad texts, host bits, two of a family and mask sizes that do not fit are refused', () => {
    expect(read([], [])).toThrow('at least one');
    expect(read(['10.244.0.0'], [])).toThrow('cluster CIDR: "10.244.0.0" is not a CIDR');
    expect(read(['10.244.1.0/16'], [])).toThrow('did you mean 10.244.0.0/16?');
    expect(read(['10.0.0.0/16', '10.1.0.0/16'], [])).toThrow('both IPv4');
    expect(read(['10.0.0.0/16'], [], { 4: 15, 6: 64 })).toThrow('/15 does not fit cluster CIDR 10.0.0.0/16; allowed are /16 to /30');
    expect(read(['fd00::/32'], [], { 4: 24, 6: 64 })).toThrow('allowed are /32 to /48');
  });
});
