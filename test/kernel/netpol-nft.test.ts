import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import type { NftOperation, NftTable } from '../../src/dataplane/nft.ts';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createFakeNft } from '../../src/kernel/fake-nft.ts';
import { createNft, NftError } from '../../src/kernel/nft.ts';
import { nftTable, sampleNatTable, sampleNftTable } from '../dataplane/nft-tables.ts';

const namespace = `pw-test-nft-${process.pid}`;
const nft = createNft(inNetworkNamespace(systemRunner, `/run/netns/${namespace}`));
execFileSync('ip', ['netns', 'add', namespace]);
t.teardown(() => execFileSync('ip', ['netns', 'delete', namespace]));

t.test('what the kernel lists is what was wanted, from any table to any other', async (t) => {
  let actual: NftTable | undefined;
  await fc.assert(
    fc.asyncProperty(nftTable, async (desired) => {
      const change = diffNftTable(actual, desired);
      if (change) await nft.apply(change);
      actual = await nft.read(desired.name);
      const left = diffNftTable(actual, desired);
      if (left) throw new Error(JSON.stringify(left.operations, (_, value) => (value instanceof Map ? [...value] : value)));
    }),
    { numRuns: 60 },
  );
  t.ok(actual);
  await nft.apply({ table: 'podwire-test', operations: [{ op: 'delete-table' }] });
  t.equal(await nft.read('podwire-test'), undefined);
  t.equal((await nft.counters('podwire-test')).size, 0);
});

t.test('a table of NAT with maps, numgen and sets that rules fill comes back as it was written', async (t) => {
  const sample = sampleNatTable();
  await nft.apply(diffNftTable(undefined, sample)!);
  const read = await nft.read(sample.name, 'ip');
  t.same(read, sample);
  t.equal(diffNftTable(read, sample), undefined);
  t.equal(await nft.read(sample.name), undefined, 'family inet has no such table');
  const sets = new Map(sample.sets);
  sets.set('endpoints', { ...sample.sets.get('endpoints')!, elements: new Map([['10.96.0.1 . 443 . 0', '10.244.9.9 . 6443']]) });
  await nft.apply(diffNftTable(read, { ...sample, sets })!);
  t.same((await nft.read(sample.name, 'ip'))?.sets.get('endpoints'), sets.get('endpoints'));
  await nft.apply({ family: 'ip', table: sample.name, operations: [{ op: 'delete-table' }] });
});

t.test('the fake refuses what the kernel refuses, and both keep what they had', async (t) => {
  const fake = createFakeNft();
  const sample = sampleNftTable();
  for (const each of [nft, fake]) await each.apply(diffNftTable(undefined, sample)!);
  const refused: readonly (readonly NftOperation[])[] = [
    [{ op: 'delete-chain', chain: 'pod' }],
    [{ op: 'delete-set', set: 'pods', map: false }],
    [{ op: 'delete-elements', set: 'pods', elements: ['10.9.9.9'] }],
    [{ op: 'add-rule', chain: 'pod', rule: { matches: [{ match: 'in', of: ['ip saddr'], set: 'none' }] } }],
    [{ op: 'add-rule', chain: 'web', rule: { matches: [], verdict: { verdict: 'jump', chain: 'none' } } }],
    [{ op: 'add-rule', chain: 'web', rule: { matches: [], verdict: { verdict: 'jump', chain: 'pod' } } }],
    [{ op: 'add-elements', set: 'block', elements: new Map([['10.0.0.5-10.0.0.20', undefined]]) }],
    [{ op: 'add-elements', set: 'pod-map', elements: new Map([['10.0.0.1', { verdict: 'accept' }]]) }],
    // The first half would do alone.
    [
      { op: 'flush-chain', chain: 'web' },
      { op: 'delete-chain', chain: 'none' },
    ],
  ];
  for (const operations of refused) {
    for (const [name, each] of [
      ['kernel', nft],
      ['fake', fake],
    ] as const) {
      await t.rejects(each.apply({ table: sample.name, operations }), NftError, `${name}: ${JSON.stringify(operations)}`);
      t.equal(diffNftTable(await each.read(sample.name), sample), undefined, `${name} is unchanged`);
    }
  }
  await t.rejects(nft.check({ table: sample.name, operations: [{ op: 'delete-chain', chain: 'none' }] }), { code: 'not-found' });
  await nft.check({ table: sample.name, operations: [{ op: 'delete-table' }] });
  t.ok(await nft.read(sample.name), 'a check does nothing');
});

t.test('changes by others are seen and undone', async (t) => {
  const sample = sampleNftTable();
  const foreign = (...words: string[]) => execFileSync('ip', ['netns', 'exec', namespace, 'nft', ...words]);
  const tampering = [
    'flush chain inet podwire-test pod',
    'insert rule inet podwire-test ingress accept',
    'add rule inet podwire-test web ip saddr != 10.0.0.1 iifname "eth0" log prefix "x" accept',
    'add element inet podwire-test pods { 10.6.6.6 }',
    'delete element inet podwire-test block { 10.1.0.0/16 }',
    'delete element inet podwire-test pod-map { 10.0.0.1 }',
    'add set inet podwire-test more { type ipv4_addr; flags timeout; }',
    'add chain inet podwire-test more { type filter hook input priority 5; policy drop; }',
    'add chain inet podwire-test ingress { policy drop; }',
    'delete table inet podwire-test',
  ];
  for (const words of tampering) {
    foreign(...words.split(' '));
    const change = diffNftTable(await nft.read(sample.name), sample);
    t.ok(change, `seen: ${words}`);
    if (change) await nft.apply(change);
    t.equal(diffNftTable(await nft.read(sample.name), sample), undefined, `undone: ${words}`);
  }
});
