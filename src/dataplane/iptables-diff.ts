import {
  builtInChains,
  type IptablesChain,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  type IptablesTableName,
  jumpOf,
} from './iptables.ts';
import { printRule, ruleKey } from './iptables-print.ts';
import { listEdits } from './list-edits.ts';
import { differingEntries } from './parted-map.ts';

/** One line of an iptables-restore input. */
export type IptablesOperation =
  /** Makes the chain, or flushes it. */
  | { readonly op: 'chain'; readonly chain: string }
  | { readonly op: 'append' | 'delete'; readonly chain: string; readonly rule: IptablesRule }
  /** `position` counts from 1. */
  | { readonly op: 'insert'; readonly chain: string; readonly position: number; readonly rule: IptablesRule }
  | { readonly op: 'delete-chain'; readonly chain: string };

/** A transaction: the operations of each table that has any, in the order they must be done. */
export interface IptablesChange {
  readonly family: 4 | 6;
  readonly tables: readonly { readonly table: IptablesTableName; readonly operations: readonly IptablesOperation[] }[];
}

/** What of a ruleset belongs to the one who calls {@link diffIptables}; all else is never touched. */
export interface IptablesOwner {
  /** A user-defined chain of ours, by name. Everything in it is ours. */
  ownsChain(table: IptablesTableName, chain: string): boolean;
  /** A rule of ours in a built-in chain. */
  ownsRule(table: IptablesTableName, chain: string, rule: IptablesRule): boolean;
}

/**
 * The smallest change, chain by chain and within long chains rule by rule, that makes `actual` hold what `desired` says; undefined when it does already.
 * Our chains become equal to the desired ones, and those not desired are deleted. Of a built-in chain `desired` lists only our own rules:
 * they shall stand in that order, and when they do not, they are removed and put first. A chain that somebody else's rule still
 * refers to is emptied but kept, because the kernel refuses to delete it.
 */
export function diffIptables(actual: IptablesRuleset, desired: IptablesRuleset, owner: IptablesOwner): IptablesChange | undefined {
  if (actual.family !== desired.family) throw new RangeError(`cannot compare IPv${actual.family} rules with IPv${desired.family} rules`);
  const names = new Set<IptablesTableName>([...desired.tables.keys(), ...actual.tables.keys()]);
  const tables = [...names].flatMap((table) => {
    const operations = diffTable(table, actual.tables.get(table) ?? noChains, desired.tables.get(table) ?? noChains, owner);
    return operations.length === 0 ? [] : [{ table, operations }];
  });
  return tables.length === 0 ? undefined : { family: desired.family, tables };
}

const noChains: IptablesTable = new Map();

function diffTable(table: IptablesTableName, actual: IptablesTable, desired: IptablesTable, owner: IptablesOwner): IptablesOperation[] {
  if (actual === desired) return [];
  const builtIn = builtInChains[table];
  // The chains that only one of them has, or that may differ.
  const [before, after] = differingEntries(actual, desired);
  const changed = [...after].filter(([name, chain]) => !builtIn.includes(name) && !sameChain(before.get(name), chain));
  const stale = [...before.keys()].filter((name) => !builtIn.includes(name) && !after.has(name) && owner.ownsChain(table, name));
  const kept = stale.length === 0 ? noNames : referencedByOthers(table, before, owner);
  const flushed = stale.filter((name) => !kept.has(name) || before.get(name)!.rules.length > 0);
  const edits = new Map(changed.map(([name, chain]) => [name, editRules(name, before.get(name)?.rules, chain.rules)]));

  const operations: IptablesOperation[] = [];
  for (const [chain] of changed) if (!edits.get(chain)) operations.push({ op: 'chain', chain });
  for (const [, edit] of edits) for (const operation of edit?.deletions ?? []) operations.push(operation);
  for (const chain of flushed) operations.push({ op: 'chain', chain });
  for (const [chain, { rules }] of changed) {
    const edit = edits.get(chain);
    if (edit) for (const operation of edit.insertions) operations.push(operation);
    else for (const rule of rules) operations.push({ op: 'append', chain, rule });
  }
  for (const chain of builtIn)
    operations.push(...placeJumps(table, chain, before.get(chain)?.rules ?? [], after.get(chain)?.rules ?? [], owner));
  for (const chain of flushed) if (!kept.has(chain)) operations.push({ op: 'delete-chain', chain });
  return operations;
}

interface ChainEdit {
  readonly deletions: readonly IptablesOperation[];
  readonly insertions: readonly IptablesOperation[];
}

/** Chains of fewer rules are written whole: that costs no more, and holds whatever they held. */
const minEdited = 16;

/** A few rules of a long chain, one by one; undefined when the chain had better be written whole. */
function editRules(chain: string, actual: readonly IptablesRule[] | undefined, desired: readonly IptablesRule[]): ChainEdit | undefined {
  if (!actual || actual.length < minEdited || desired.length < minEdited) return undefined;
  const edits = listEdits(actual, desired, Math.floor(desired.length / 4), sameRule);
  if (!edits) return undefined;
  if (edits.removed.length > 0) {
    // A rule is deleted by what it says, and of two equal ones the first goes.
    const counts = new Map(edits.removed.map(({ value }) => [ruleKey(value), 0]));
    for (const rule of actual) {
      const key = ruleKey(rule);
      const count = counts.get(key);
      if (count !== undefined) counts.set(key, count + 1);
    }
    if ([...counts.values()].some((count) => count !== 1)) return undefined;
  }
  let length = actual.length - edits.removed.length;
  return {
    deletions: edits.removed.map(({ value }) => ({ op: 'delete', chain, rule: value })),
    insertions: edits.added.map(({ index, value }) =>
      index === length++ ? { op: 'append', chain, rule: value } : { op: 'insert', chain, position: index + 1, rule: value },
    ),
  };
}

const noNames: ReadonlySet<string> = new Set();

function placeJumps(
  table: IptablesTableName,
  chain: string,
  actual: readonly IptablesRule[],
  desired: readonly IptablesRule[],
  owner: IptablesOwner,
): IptablesOperation[] {
  const ours = actual.filter((rule) => owner.ownsRule(table, chain, rule));
  if (sameRules(ours, desired)) return [];
  return [
    ...ours.map((rule) => ({ op: 'delete', chain, rule }) as const),
    ...desired.map((rule, index) => ({ op: 'insert', chain, position: index + 1, rule }) as const),
  ];
}

/** The rules of a built-in chain once ours are placed; the same list when they were. */
export function placedRules(
  table: IptablesTableName,
  chain: string,
  actual: readonly IptablesRule[],
  desired: readonly IptablesRule[],
  owner: IptablesOwner,
): readonly IptablesRule[] {
  const ours = actual.filter((rule) => owner.ownsRule(table, chain, rule));
  if (sameRules(ours, desired)) return actual;
  const gone = new Set(ours);
  return [...desired, ...actual.filter((rule) => !gone.has(rule))];
}

function referencedByOthers(table: IptablesTableName, chains: IptablesTable, owner: IptablesOwner): Set<string> {
  const targets = new Set<string>();
  for (const [name, { rules }] of chains) {
    if (owner.ownsChain(table, name)) continue;
    for (const rule of rules) {
      const target = jumpOf(rule);
      if (target !== undefined && !owner.ownsRule(table, name, rule)) targets.add(target);
    }
  }
  return targets;
}

const sameRule = (a: IptablesRule, b: IptablesRule): boolean => a === b || ruleKey(a) === ruleKey(b);

const sameChain = (a: IptablesChain | undefined, b: IptablesChain): boolean => a === b || sameRules(a?.rules, b.rules);

function sameRules(a: readonly IptablesRule[] | undefined, b: readonly IptablesRule[]): boolean {
  if (a === b) return true;
  return a !== undefined && a.length === b.length && a.every((rule, index) => sameRule(rule, b[index]!));
}

/** The input of `iptables-restore --noflush` that does the change. */
export function printRestore({ tables }: IptablesChange): string {
  const lines: string[] = [];
  for (const { table, operations } of tables) {
    lines.push(`*${table}`);
    for (const operation of operations) lines.push(printOperation(operation));
    lines.push('COMMIT');
  }
  return `${lines.join('\n')}\n`;
}

function printOperation(operation: IptablesOperation): string {
  switch (operation.op) {
    case 'chain':
      return `:${operation.chain} - [0:0]`;
    case 'append':
      return `-A ${operation.chain} ${printRule(operation.rule)}`;
    case 'delete':
      return `-D ${operation.chain} ${printRule(operation.rule)}`;
    case 'insert':
      return `-I ${operation.chain} ${operation.position} ${printRule(operation.rule)}`;
    case 'delete-chain':
      return `-X ${operation.chain}`;
  }
}
