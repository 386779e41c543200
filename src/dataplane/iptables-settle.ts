import { builtInChains, type IptablesChain, type IptablesRuleset, type IptablesTable, type IptablesTableName, jumpOf } from './iptables.ts';
import { type IptablesOwner, placedRules } from './iptables-diff.ts';
import { PartedMap } from './parted-map.ts';

/**
 * What the kernel holds after the change that `diffIptables(before, desired, owner)` tells of was done. The same as applying that change, but our
 * chains are those of `desired` itself, parts and all: so that the next comparison sees at once what is the same.
 */
export function settleIptables(before: IptablesRuleset, desired: IptablesRuleset, owner: IptablesOwner): IptablesRuleset {
  const tables = new Map(before.tables);
  for (const table of new Set([...desired.tables.keys(), ...before.tables.keys()]))
    tables.set(table, settleTable(table, before.tables.get(table) ?? new Map(), desired.tables.get(table) ?? new Map(), owner));
  return { family: before.family, tables };
}

function settleTable(table: IptablesTableName, before: IptablesTable, desired: IptablesTable, owner: IptablesOwner): IptablesTable {
  const [shared, ...own] = desired instanceof PartedMap ? (desired as PartedMap<string, IptablesChain>).parts : [desired];
  // What is not ours is in the first part, when there are parts.
  const had =
    (before instanceof PartedMap ? (before as PartedMap<string, IptablesChain>).parts[0] : before) ?? new Map<string, IptablesChain>();
  const first = new Map<string, IptablesChain>();
  // The kernel makes a table with all of its built-in chains.
  if (had.size === 0) for (const name of builtInChains[table]) first.set(name, { policy: 'ACCEPT', rules: [] });
  for (const [name, chain] of had) if (builtInChains[table].includes(name) || !owner.ownsChain(table, name)) first.set(name, chain);
  const referred = new Set(
    [...first].flatMap(([name, { rules }]) => rules.flatMap((rule) => (owner.ownsRule(table, name, rule) ? [] : (jumpOf(rule) ?? [])))),
  );
  for (const name of builtInChains[table]) {
    const chain = first.get(name) ?? { rules: [] };
    const rules = placedRules(table, name, chain.rules, shared?.get(name)?.rules ?? [], owner);
    if (rules !== chain.rules) first.set(name, { ...chain, rules });
  }
  // A chain that others still lead to is emptied but kept.
  for (const name of referred) if (owner.ownsChain(table, name) && !desired.has(name) && before.has(name)) first.set(name, { rules: [] });
  for (const [name, chain] of shared ?? []) if (!builtInChains[table].includes(name)) first.set(name, chain);
  return own.length > 0 ? new PartedMap([first, ...own]) : first;
}
