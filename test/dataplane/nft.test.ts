import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NftRule, NftTable } from '../../src/dataplane/nft.ts';
import { applyNftTransaction, NftRefusal } from '../../src/dataplane/nft-apply.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { parseNftTable } from '../../src/dataplane/nft-parse.ts';
import { printNftRule, printNftTransaction } from '../../src/dataplane/nft-print.ts';
import { nftTable, sampleNftTable } from './nft-tables.ts';

const accept = { verdict: 'accept' } as const;

describe('diff and apply', () => {
  it('bring any table to any other, and then find nothing left to do', () => {
    fc.assert(
      fc.property(fc.option(nftTable, { nil: undefined }), nftTable, (actual, desired) => {
        const change = diffNftTable(actual, desired);
        const after = change ? applyNftTransaction(actual, change) : actual;
        expect(diffNftTable(after, desired)).toBeUndefined();
        expect(after).toEqual(desired);
      }),
      { numRuns: 500 },
    );
  });

  it('touch only what differs', () => {
    const before = sampleNftTable();
    const sets = new Map(before.sets);
    sets.set('pods', {
      ...sets.get('pods')!,
      elements: new Map([
        ['10.0.0.1', undefined],
        ['10.0.0.9', undefined],
      ]),
    });
    expect(diffNftTable(before, { ...before, sets })?.operations).toEqual([
      { op: 'delete-elements', set: 'pods', elements: ['10.0.0.2'] },
      { op: 'add-elements', set: 'pods', elements: new Map([['10.0.0.9', undefined]]) },
    ]);
  });

  it('replace the whole table when a set or a base chain is of another kind, or a rule is foreign in a base chain', () => {
    const before = sampleNftTable();
    const chains = new Map(before.chains);
    chains.set('ingress', { ...chains.get('ingress')!, hook: { type: 'filter', hook: 'forward', priority: 5, policy: 'accept' } });
    expect(diffNftTable({ ...before, chains }, before)?.operations.slice(0, 2)).toEqual([{ op: 'delete-table' }, { op: 'add-table' }]);
    chains.set('ingress', { ...before.chains.get('ingress')!, rules: [{ matches: [], unknown: '[{"masquerade":null}]' }] });
    const repaired = diffNftTable({ ...before, chains }, before)!;
    expect(repaired.operations[0]).toEqual({ op: 'flush-chain', chain: 'ingress' });
    expect(applyNftTransaction({ ...before, chains }, repaired)).toEqual(before);
  });
});

describe('the kernel refuses, and so does applying to data', () => {
  const table = sampleNftTable();
  const rule = (...matches: NftRule['matches']): NftRule => ({ matches, verdict: accept });
  it.each([
    ['a chain still jumped to', [{ op: 'delete-chain', chain: 'pod' }], /busy: chain pod/],
    ['a set still looked up', [{ op: 'delete-set', set: 'pods', map: false }], /busy: set pods/],
    ['an element that is not there', [{ op: 'delete-elements', set: 'pods', elements: ['10.9.9.9'] }], /No such file/],
    [
      'a rule about a set that is not there',
      [{ op: 'add-rule', chain: 'pod', rule: rule({ match: 'in', of: ['ip saddr'], set: 'none' }) }],
      /set none/,
    ],
    [
      'a jump to nowhere',
      [{ op: 'add-rule', chain: 'pod', rule: { matches: [], verdict: { verdict: 'jump', chain: 'none' } } }],
      /chain none/,
    ],
    [
      'a jump in a circle',
      [{ op: 'add-rule', chain: 'web', rule: { matches: [], verdict: { verdict: 'jump', chain: 'pod' } } }],
      /Too many levels/,
    ],
    [
      'overlapping intervals',
      [{ op: 'add-elements', set: 'block', elements: new Map([['10.0.0.5-10.0.0.6', undefined]]) }],
      /conflicting intervals/,
    ],
    [
      'another verdict for the same key',
      [{ op: 'add-elements', set: 'pod-map', elements: new Map([['10.0.0.1', accept]]) }],
      /File exists/,
    ],
  ] as const)('%s', (_, operations, message) => {
    const apply = () => applyNftTransaction(table, { table: table.name, operations });
    expect(apply).toThrow(NftRefusal);
    expect(apply).toThrow(message);
    expect(table).toEqual(sampleNftTable());
  });
});

describe('text', () => {
  it('names that would be commands are refused, comments made harmless', () => {
    expect(() => printNftTransaction({ table: 'x', operations: [{ op: 'delete-chain', chain: 'a; flush ruleset' }] })).toThrow(
      /cannot be the name/,
    );
    expect(() => printNftTransaction({ table: 'x }', operations: [] })).not.toThrow();
    expect(() => printNftTransaction({ table: 'x }', operations: [{ op: 'add-table' }] })).toThrow(RangeError);
    expect(printNftRule({ matches: [], verdict: accept, comment: 'a"; drop\nb' })).toBe('accept comment "a_; drop_b"');
  });

  it('reads what it does not know as unknown, never as something weaker', () => {
    const listing = (...expr: object[]) => JSON.stringify({ nftables: [{ chain: { name: 'c' } }, { rule: { chain: 'c', expr } }] });
    const parse = (...expr: object[]): NftRule => parseNftTable('t', listing(...expr)).chains.get('c')!.rules[0]!;
    expect(
      parse({ match: { op: '<', left: { payload: { protocol: 'ip', field: 'ttl' } }, right: 4 } }, { accept: null }).unknown,
    ).toBeDefined();
    expect(parse({ match: { op: '!=', left: { ct: { key: 'state' } }, right: 'new' } }, { accept: null }).unknown).toBeDefined();
    expect(parse({ mangle: { key: { meta: { key: 'mark' } }, value: 7 } }).unknown).toBeDefined();
    expect(parse({ masquerade: { flags: ['random', 'persistent'] } }).unknown).toBeDefined();
    expect(
      parse(
        { counter: { packets: 1, bytes: 1 } },
        { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'tcp' } },
        { drop: null },
      ).unknown,
    ).toBeDefined();
    expect(parse({ accept: null }, { drop: null }).unknown).toBeDefined();
    expect(parse({ drop: null })).toEqual({ matches: [], verdict: { verdict: 'drop' } });
    const set = { set: { name: 's', type: 'ipv4_addr', flags: ['timeout'], elem: ['10.0.0.1'] } };
    const table: NftTable = parseNftTable('t', JSON.stringify({ nftables: [set] }));
    expect(
      diffNftTable(table, {
        ...table,
        sets: new Map([['s', { key: ['ipv4_addr'], interval: false, verdicts: false, elements: new Map() }]]),
      }),
    ).toBeDefined();
    expect(() => parseNftTable('t', '{}')).toThrow(SyntaxError);
  });
});
