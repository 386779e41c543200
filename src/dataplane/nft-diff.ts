import {
  emptyNftTable,
  isMap,
  type NftChain,
  type NftElement,
  type NftOperation,
  type NftRule,
  type NftSet,
  type NftTable,
  type NftTransaction,
} from './nft.ts';
import { printElementValue, printNftRule } from './nft-print.ts';
import { differingEntries } from './parted-map.ts';

/** What the set is, as text; sets of other kinds cannot be changed into each other. */
const kindOf = ({ key, interval, verdicts, data, timeout }: Omit<NftSet, 'elements'>): string =>
  `${key.join('.')} ${interval} ${verdicts} ${data?.join('.')} ${timeout}`;
const hookText = ({ hook }: NftChain): string => (hook ? `${hook.type} ${hook.hook} ${hook.priority} ${hook.policy}` : '');
const ruleText = (rule: NftRule): string => (rule.unknown === undefined ? printNftRule(rule) : `unknown ${rule.unknown}`);

/**
 * The transaction that makes `desired` of `actual`, or undefined when they are the same. What stays the same is not touched, so that its
 * counters go on. `actual` is undefined when the table does not exist.
 * A set or base chain of another kind than wanted makes it a replacement of the whole table, which the kernel does in one step too.
 */
export function diffNftTable(actual: NftTable | undefined, desired: NftTable): NftTransaction | undefined {
  const operations = actual && isChangeable(actual, desired) ? change(actual, desired) : replace(actual !== undefined, desired);
  return operations.length > 0 ? { ...familyOf(desired), table: desired.name, operations } : undefined;
}

const familyOf = ({ family }: NftTable): Pick<NftTransaction, 'family'> => (family === undefined ? {} : { family });

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
  return [...(exists ? [{ op: 'delete-table' } as const] : []), { op: 'add-table' }, ...change(emptyNftTable(desired.name), desired)];
}

interface ChangedElements {
  readonly remove: readonly string[];
  readonly add: ReadonlyMap<string, NftElement>;
}

const sameElement = (a: NftElement, b: NftElement): boolean => a === b || printElementValue(a) === printElementValue(b);

function changedElements(actual: NftSet, desired: NftSet): ChangedElements | undefined {
  const remove: string[] = [];
  const add = new Map<string, NftElement>();
  if (actual.elements === desired.elements) return undefined;
  const [before, after] = differingEntries(actual.elements, desired.elements);
  for (const [key, element] of before) if (!after.has(key) || !sameElement(after.get(key), element)) remove.push(key);
  for (const [key, element] of after) if (!before.has(key) || !sameElement(before.get(key), element)) add.set(key, element);
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
  for (const [name, set] of actual.sets) if (!desired.sets.has(name)) operations.push({ op: 'delete-set', set: name, map: isMap(set) });
  for (const chain of goneChains) operations.push({ op: 'delete-chain', chain });
  for (const counter of actual.counters) if (!desired.counters.has(counter)) operations.push({ op: 'delete-counter', counter });
  return operations;
}

function sameRules(actual: NftChain | undefined, desired: NftChain): boolean {
  const rules = actual?.rules ?? [];
  if (rules === desired.rules) return true;
  return (
    rules.length === desired.rules.length &&
    rules.every((rule, index) => rule === desired.rules[index] || ruleText(rule) === ruleText(desired.rules[index]!))
  );
}
