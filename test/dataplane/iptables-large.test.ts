import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { builtInChains, type IptablesChain, type IptablesRuleset, isKnownRule, jumpOf } from '../../src/dataplane/iptables.ts';
import { applyIptables } from '../../src/dataplane/iptables-apply.ts';
import { chunkIptablesChange } from '../../src/dataplane/iptables-chunks.ts';
import { diffIptables, type IptablesOwner, printRestore } from '../../src/dataplane/iptables-diff.ts';
import { parseRule } from '../../src/dataplane/iptables-parse.ts';
import { printRule } from '../../src/dataplane/iptables-print.ts';
import { settleIptables } from '../../src/dataplane/iptables-settle.ts';
import { PartedMap } from '../../src/dataplane/parted-map.ts';

const owner: IptablesOwner = {
  ownsChain: (_, chain) => chain.startsWith('OUR-'),
  ownsRule: (_table, _chain, rule) =>
    jumpOf(rule)?.startsWith('OUR-') === true && isKnownRule(rule) && rule.matches.some(({ match }) => match === 'comment'),
};

/** Leaves in an order, with a version each: a dispatching chain of a rule for each, and a chain each. */
interface Plan {
  readonly leaves: readonly { readonly id: number; readonly version: number }[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  leaves: fc.uniqueArray(fc.record({ id: fc.nat(60), version: fc.nat(1) }), { selector: ({ id }) => id, minLength: 0, maxLength: 50 }),
});

const known = new Map<string, ReadonlyMap<string, IptablesChain>>();
/** The chain of a leaf; of the same leaf the same object. */
function leafOf(id: number, version: number): ReadonlyMap<string, IptablesChain> {
  const key = `${id} ${version}`;
  const made =
    known.get(key) ?? new Map([[`OUR-LEAF-${id}`, { rules: [parseRule(4, `-p tcp -j DNAT --to-destination 10.0.${version}.${id}:80`)] }]]);
  known.set(key, made);
  return made;
}

function rulesetOf({ leaves }: Plan, ...foreign: string[]): IptablesRuleset {
  const shared = new Map<string, IptablesChain>([
    ['PREROUTING', { rules: [parseRule(4, '-m comment --comment ours -j OUR-SERVICES'), ...foreign.map((text) => parseRule(4, text))] }],
    [
      'OUR-SERVICES',
      { rules: leaves.map(({ id }) => parseRule(4, `-d 10.96.0.${id % 50}/32 -m comment --comment ${id} -j OUR-LEAF-${id}`)) },
    ],
  ]);
  return { family: 4, tables: new Map([['nat', new PartedMap([shared, ...leaves.map(({ id, version }) => leafOf(id, version))])]]) };
}

/** What the ruleset says, whatever it is made of. */
const textOf = ({ tables }: IptablesRuleset): unknown =>
  Object.fromEntries(
    [...tables].map(([table, chains]) => [
      table,
      Object.fromEntries([...chains].map(([name, { rules }]) => [name, rules.map(printRule)]).sort(([a], [b]) => (a! < b! ? -1 : 1))),
    ]),
  );

const nothing: IptablesRuleset = { family: 4, tables: new Map() };

describe('a large ruleset', () => {
  test('is changed rule by rule where chains are long, and becomes what was wanted', () => {
    fc.assert(
      fc.property(plan, plan, (one, other) => {
        const before = applyIptables(nothing, diffIptables(nothing, rulesetOf(one), owner)!);
        const desired = rulesetOf(other);
        const change = diffIptables(before, desired, owner);
        const after = change ? applyIptables(before, change) : before;
        expect(diffIptables(after, desired, owner)).toBeUndefined();
        const dispatching = (ruleset: IptablesRuleset) => ruleset.tables.get('nat')!.get('OUR-SERVICES')!.rules.map(printRule);
        expect(dispatching(after)).toEqual(dispatching(desired));
      }),
    );
  });

  test('sends one line of a long chain for one rule more or less', () => {
    const leaves = Array.from({ length: 40 }, (_, id) => ({ id, version: 0 }));
    const [all, fewer] = [rulesetOf({ leaves }), rulesetOf({ leaves: leaves.toSpliced(20, 1) })];
    const lines = (change: ReturnType<typeof diffIptables>) =>
      printRestore(change!)
        .split('\n')
        .filter((line) => line.includes('OUR-SERVICES'));
    const kernel = applyIptables(nothing, diffIptables(nothing, all, owner)!);
    expect(lines(diffIptables(kernel, fewer, owner))).toEqual(['-D OUR-SERVICES -d 10.96.0.20/32 -m comment --comment 20 -j OUR-LEAF-20']);
    const reduced = applyIptables(nothing, diffIptables(nothing, fewer, owner)!);
    expect(lines(diffIptables(reduced, all, owner))).toEqual([
      '-I OUR-SERVICES 21 -d 10.96.0.20/32 -m comment --comment 20 -j OUR-LEAF-20',
    ]);
  });

  test('writes a long chain whole when a rule to be deleted stands in it twice', () => {
    const rules = (...more: string[]) => [...Array.from({ length: 30 }, (_, index) => `-d 10.0.0.${index}/32 -j RETURN`), ...more];
    const chainOf = (texts: string[]): IptablesRuleset => ({
      family: 4,
      tables: new Map([['nat', new Map([['OUR-A', { rules: texts.map((text) => parseRule(4, text)) }]])]]),
    });
    const change = diffIptables(chainOf(rules('-d 10.0.0.7/32 -j RETURN')), chainOf(rules()), owner)!;
    expect(change.tables[0]!.operations.filter(({ op }) => op === 'delete')).toEqual([]);
    expect(textOf(applyIptables(chainOf(rules('-d 10.0.0.7/32 -j RETURN')), change))).toMatchObject({ nat: { 'OUR-A': rules() } });
  });

  test('is known after a change as if the change had been applied to what was there', () => {
    fc.assert(
      fc.property(plan, plan, plan, (one, other, third) => {
        const foreign = ['-i lo -j ACCEPT', '-j FOREIGN'];
        const withForeign = (ruleset: IptablesRuleset): IptablesRuleset => ({
          family: 4,
          tables: new Map([
            [
              'nat',
              new Map<string, IptablesChain>([
                ...builtInChains.nat.map((name) => [name, { policy: 'ACCEPT', rules: [] }] as const),
                ...ruleset.tables.get('nat')!,
                ['FOREIGN', { rules: [parseRule(4, '-j OUR-LEAF-1')] }],
                ['OUR-LEAF-1', { rules: [] }],
              ]),
            ],
            ['raw', new Map([['PREROUTING', { rules: [] }]])],
          ]),
        });
        let applied = withForeign(rulesetOf(one, ...foreign));
        let settled = applied;
        for (const desired of [rulesetOf(other), rulesetOf(third)]) {
          const change = diffIptables(applied, desired, owner);
          expect(diffIptables(settled, desired, owner) !== undefined).toBe(change !== undefined);
          const alike = diffIptables(settled, desired, owner);
          if (!change || !alike) continue;
          expect(textOf(applyIptables(applied, alike))).toEqual(textOf(applyIptables(applied, change)));
          applied = applyIptables(applied, change);
          settled = settleIptables(settled, desired, owner);
          expect(textOf(settled)).toEqual(textOf(applied));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('is loaded in pieces that each can be done, and leads to what one piece leads to', () => {
    fc.assert(
      fc.property(plan, plan, fc.integer({ min: 1, max: 40 }), (one, other, size) => {
        const before = applyIptables(nothing, diffIptables(nothing, rulesetOf(one), owner)!);
        const change = diffIptables(before, rulesetOf(other), owner);
        if (!change) return;
        const chunks = chunkIptablesChange(change, size);
        // A refusal would throw.
        const after = chunks.reduce(applyIptables, before);
        expect(textOf(after)).toEqual(textOf(applyIptables(before, change)));
        const sizes = chunks.map(({ tables }) => tables.reduce((sum, { operations }) => sum + operations.length, 0));
        expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.max(size, chunks.length === 1 ? Number.POSITIVE_INFINITY : size));
      }),
      { numRuns: 200 },
    );
  });

  test('prints a table of a hundred thousand chains', () => {
    const nat = new Map(Array.from({ length: 100_000 }, (_, id) => [`OUR-${id}`, { rules: [parseRule(4, '-j RETURN')] }] as const));
    const change = diffIptables(nothing, { family: 4, tables: new Map([['nat', nat]]) }, owner)!;
    expect(printRestore(change).split('\n')).toHaveLength(200_003);
  });
});
