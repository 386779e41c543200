import type { NftChain, NftOperation, NftRule, NftSet, NftTable, NftTransaction, NftVerdict } from './nft.ts';
import { printNftRule, printVerdict } from './nft-print.ts';

/** What the set is, as text; sets of other kinds cannot be changed into each other. */
const kindOf = ({ key, interval, verdicts }: Omit<NftSet, 'elements'>): string => `${key.join('.')} ${interval} ${verdicts}`;
const hookText = ({ hook }: NftChain): string => (hook ? `${hook.type} ${hook.hook} ${hook.priority} ${hook.policy}` : '');
const ruleText = (rule: NftRule): string => (rule.unknown === undefined ? printNftRule(rule) : `unknown ${rule.unknown}`);
const verdictText = (verdict: NftVerdict | undefined): string => (verdict ? printVerdict(verdict) : '');

/**
 * The transaction that makes `desired` of `actual`, or undefined when they are the same. What stays the same is not touched, so that its
 * counters go on. `actual` is undefined when the table does not exist.
 * A set or base chain of another kind than wanted makes it a replacement of the whole table, which the kernel does in one step too.
 */
export function diffNftTable(actual: NftTable | undefined, desired: NftTable): NftTransaction | undefined {
  const operations = actual && isChangeable(actual, desired) ? change(actual, desired) : replace(actual !== undefined, desired);
  return operations.length > 0 ? { table: desired.name, operations } : undefined;
}

function isChangeable(actual: NftTable, desired: NftTable): boolean {
  for (const [name, set] of desired.sets) {
    const known = actual.sets.get(name);
    // Deleting and adding touching intervals in one transaction fails; interval sets are named after their content and so never change.
    if (known && (kindOf(known) !== kindOf(set) || (set.interval && changedElements(known, set) !== undefined))) return false;
  }
  for (const [name, chain] of desired.chains) {
    const known = actual.chains.get(name);
    if (known && hookText(known) !== hookText(chain)) return false;
  }
  return true;
}

function replace(exists: boolean, desired: NftTable): NftOperation[] {
  const empty: NftTable = { name: desired.name, chains: new Map(), sets: new Map(), counters: new Set() };
  return [...(exists ? [{ op: 'delete-table' } as const] : []), { op: 'add-table' }, ...change(empty, desired)];
}

interface ChangedElements {
  readonly remove: readonly string[];
  readonly add: ReadonlyMap<string, NftVerdict | undefined>;
}

function changedElements(actual: NftSet, desired: NftSet): ChangedElements | undefined {
  const remove: string[] = [];
  const add = new Map<string, NftVerdict | undefined>();
  for (const [key, verdict] of actual.elements) {
    if (!desired.elements.has(key) || verdictText(desired.elements.get(key)) !== verdictText(verdict)) remove.push(key);
  }
  for (const [key, verdict] of desired.elements) {
    if (!actual.elements.has(key) || verdictText(actual.elements.get(key)) !== verdictText(verdict)) add.set(key, verdict);
  }
  return remove.length > 0 || add.size > 0 ? { remove, add } : undefined;
}

/**
 * Order: first what may be pointed at, then who points; rules and elements go before the chains and sets they point at. A jump to a chain that is
 * being filled is never seen, since the transaction is one step.
 */
function change(actual: NftTable, desired: NftTable): NftOperation[] {
  const operations: NftOperation[] = [];
  for (const counter of desired.counters) if (!actual.counters.has(counter)) operations.push({ op: 'add-counter', counter });
  for (const [chain, { hook }] of desired.chains) {
    if (!actual.chains.has(chain)) operations.push(hook ? { op: 'add-chain', chain, hook } : { op: 'add-chain', chain });
  }
  const rewritten = [...desired.chains].filter(([name, chain]) => !sameRules(actual.chains.get(name), chain));
  const goneChains = [...actual.chains.keys()].filter((chain) => !desired.chains.has(chain));
  for (const chain of [...goneChains, ...rewritten.map(([name]) => name)]) {
    if ((actual.chains.get(chain)?.rules.length ?? 0) > 0) operations.push({ op: 'flush-chain', chain });
  }
  for (const [name, set] of desired.sets) {
    const { elements, ...of } = set;
    const known = actual.sets.get(name);
    if (!known) operations.push({ op: 'add-set', set: name, of });
    const changed = changedElements(known ?? { ...of, elements: new Map() }, { ...of, elements });
    if (changed && changed.remove.length > 0) operations.push({ op: 'delete-elements', set: name, elements: changed.remove });
    if (changed && changed.add.size > 0) operations.push({ op: 'add-elements', set: name, elements: changed.add });
  }
  for (const [chain, { rules }] of rewritten) for (const rule of rules) operations.push({ op: 'add-rule', chain, rule });
  for (const [set, { verdicts }] of actual.sets) if (!desired.sets.has(set)) operations.push({ op: 'delete-set', set, verdicts });
  for (const chain of goneChains) operations.push({ op: 'delete-chain', chain });
  for (const counter of actual.counters) if (!desired.counters.has(counter)) operations.push({ op: 'delete-counter', counter });
  return operations;
}

function sameRules(actual: NftChain | undefined, desired: NftChain): boolean {
  const rules = actual?.rules ?? [];
  return (
    rules.length === desired.rules.length &&
    rules.every((rule, index) => rule === desired.rules[index] || ruleText(rule) === ruleText(desired.rules[index]!))
  );
}
