import {
  builtInChains,
  type IptablesChain,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  type IptablesTableName,
  isKnownRule,
  jumpOf,
} from './iptables.ts';
import type { IptablesChange, IptablesOperation } from './iptables-diff.ts';
import { printRule, ruleKey } from './iptables-print.ts';

/** What a refused operation would have needed. `operation` counts from 0 within the table. */
export class IptablesRefusal extends Error {
  readonly table: IptablesTableName;
  readonly operation: number;
  constructor(table: IptablesTableName, operation: number, detail: string) {
    super(detail);
    this.name = 'IptablesRefusal';
    this.table = table;
    this.operation = operation;
  }
}

/**
 * The ruleset after the change; `before` stays as it is, and chains that do not change are shared with it.
 * @throws IptablesRefusal where the kernel would refuse: a missing chain or rule, a chain still in use.
 */
export function applyIptables(before: IptablesRuleset, change: IptablesChange): IptablesRuleset {
  const tables = new Map(before.tables);
  for (const { table, operations } of change.tables) tables.set(table, applyToTable(table, tables.get(table) ?? new Map(), operations));
  return { family: before.family, tables };
}

function applyToTable(table: IptablesTableName, before: IptablesTable, operations: readonly IptablesOperation[]): IptablesTable {
  const chains = new Map<string, IptablesChain>();
  for (const name of builtInChains[table]) chains.set(name, { policy: 'ACCEPT', rules: [] });
  for (const [name, chain] of before) chains.set(name, chain);
  /** Rule lists made here, which may be changed in place. */
  const own = new Map<string, IptablesRule[]>();
  let targets: Set<string> | undefined;
  for (const [index, operation] of operations.entries()) {
    const { chain: name } = operation;
    const refuse = (detail: string): never => {
      throw new IptablesRefusal(table, index, detail);
    };
    const rulesOf = (): IptablesRule[] => {
      const chain = chains.get(name) ?? refuse(`table ${table} has no chain ${name}`);
      const copy = own.get(name) ?? [...chain.rules];
      own.set(name, copy);
      chains.set(name, { ...chain, rules: copy });
      return copy;
    };
    if (operation.op === 'delete-chain') {
      const chain = chains.get(name) ?? refuse(`table ${table} has no chain ${name}`);
      if (builtInChains[table].includes(name)) refuse(`chain ${name} is built in`);
      if (chain.rules.length > 0) refuse(`chain ${name} is not empty`);
      // Kept over a run of deletions, which take away no reference because the chains are empty.
      targets ??= targetsOf(chains);
      if (targets.has(name)) refuse(`chain ${name} is in use`);
      chains.delete(name);
      own.delete(name);
      continue;
    }
    targets = undefined;
    if (operation.op === 'chain') {
      own.set(name, []);
      chains.set(name, { ...chains.get(name), rules: own.get(name)! });
    } else if (operation.op === 'delete') {
      const rules = rulesOf();
      const place = rules.findIndex((rule) => ruleKey(rule) === ruleKey(operation.rule));
      if (place < 0) refuse(`chain ${name} has no rule ${printRule(operation.rule)}`);
      rules.splice(place, 1);
    } else {
      const target = isKnownRule(operation.rule) ? jumpOf(operation.rule) : undefined;
      if (target !== undefined && !chains.has(target)) refuse(`there is no chain ${target}`);
      const rules = rulesOf();
      const place = operation.op === 'insert' ? operation.position - 1 : rules.length;
      if (place < 0 || place > rules.length) refuse(`chain ${name} has no place ${place + 1}`);
      rules.splice(place, 0, operation.rule);
    }
  }
  return chains;
}

function targetsOf(chains: IptablesTable): Set<string> {
  const targets = new Set<string>();
  for (const { rules } of chains.values()) {
    for (const rule of rules) {
      const target = jumpOf(rule);
      if (target !== undefined) targets.add(target);
    }
  }
  return targets;
}
