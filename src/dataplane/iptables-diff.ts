import { builtInChains, type IptablesRule, type IptablesRuleset, type IptablesTable, type IptablesTableName, jumpOf } from './iptables.ts';
import { printRule, ruleKey } from './iptables-print.ts';

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
 * The smallest change, chain by chain, that makes `actual` hold what `desired` says; undefined when it does already.
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
  const builtIn = builtInChains[table];
  const changed = [...desired].filter(([name, chain]) => !builtIn.includes(name) && !sameRules(actual.get(name)?.rules, chain.rules));
  const stale = [...actual.keys()].filter((name) => !builtIn.includes(name) && !desired.has(name) && owner.ownsChain(table, name));
  const kept = stale.length === 0 ? noNames : referencedByOthers(table, actual, owner);
  const flushed = stale.filter((name) => !kept.has(name) || actual.get(name)!.rules.length > 0);

  const operations: IptablesOperation[] = [];
  for (const [chain] of changed) operations.push({ op: 'chain', chain });
  for (const chain of flushed) operations.push({ op: 'chain', chain });
  for (const [chain, { rules }] of changed) for (const rule of rules) operations.push({ op: 'append', chain, rule });
  for (const chain of builtIn)
    operations.push(...placeJumps(table, chain, actual.get(chain)?.rules ?? [], desired.get(chain)?.rules ?? [], owner));
  for (const chain of flushed) if (!kept.has(chain)) operations.push({ op: 'delete-chain', chain });
  return operations;
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

function sameRules(a: readonly IptablesRule[] | undefined, b: readonly IptablesRule[]): boolean {
  if (a === b) return true;
  return a !== undefined && a.length === b.length && a.every((rule, index) => rule === b[index] || ruleKey(rule) === ruleKey(b[index]!));
}

/** The input of `iptables-restore --noflush` that does the change. */
export function printRestore({ tables }: IptablesChange): string {
  const lines: string[] = [];
  for (const { table, operations } of tables) lines.push(`*${table}`, ...operations.map(printOperation), 'COMMIT');
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
