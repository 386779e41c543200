import { addressFromValue, tryParseAddress } from '../net/index.ts';
import {
  chainsOfRule,
  type NftChain,
  type NftElement,
  type NftRule,
  type NftSet,
  type NftTable,
  type NftTransaction,
  setsOfRule,
} from './nft.ts';
import { printElementValue, printNftRule } from './nft-print.ts';

/** The kernel would refuse operation number `operation` (from 0) of a transaction. The message begins with the kernel's own words. */
export class NftRefusal extends Error {
  readonly operation: number;
  constructor(operation: number, message: string) {
    super(message);
    this.name = 'NftRefusal';
    this.operation = operation;
  }
}

interface Draft {
  chains: Map<string, NftChain>;
  sets: Map<string, NftSet>;
  counters: Set<string>;
}

/**
 * What the kernel holds after the transaction. Undefined stands for no table.
 * @throws NftRefusal for what the kernel refuses: something missing, already there, still pointed at, overlapping, a jump in a circle.
 */
export function applyNftTransaction(
  table: NftTable | undefined,
  { family, table: name, operations }: NftTransaction,
): NftTable | undefined {
  let draft: Draft | undefined = table && { chains: new Map(table.chains), sets: new Map(table.sets), counters: new Set(table.counters) };
  let at = 0;
  const refuse = (message: string): never => {
    throw new NftRefusal(at, message);
  };
  for (const [index, operation] of operations.entries()) {
    at = index;
    if (operation.op === 'add-table') {
      draft ??= { chains: new Map(), sets: new Map(), counters: new Set() };
      continue;
    }
    const here = draft ?? refuse('No such file or directory: the table does not exist');
    const chainOf = (chain: string): NftChain => here.chains.get(chain) ?? refuse(`No such file or directory: chain ${chain}`);
    const setOf = (set: string): NftSet => here.sets.get(set) ?? refuse(`No such file or directory: set ${set}`);
    switch (operation.op) {
      case 'delete-table':
        draft = undefined;
        break;
      case 'add-counter':
        here.counters.add(operation.counter);
        break;
      case 'delete-counter':
        if (!here.counters.delete(operation.counter)) refuse(`No such file or directory: counter ${operation.counter}`);
        if (allRules(here).some(({ counter }) => counter === operation.counter))
          refuse(`Device or resource busy: counter ${operation.counter}`);
        break;
      case 'add-set':
        if (!here.sets.has(operation.set)) here.sets.set(operation.set, { ...operation.of, elements: new Map() });
        break;
      case 'delete-set':
        setOf(operation.set);
        if (allRules(here).some((rule) => setsOfRule(rule).includes(operation.set)))
          refuse(`Device or resource busy: set ${operation.set}`);
        here.sets.delete(operation.set);
        break;
      case 'add-elements': {
        const set = setOf(operation.set);
        const elements = new Map(set.elements);
        for (const [key, element] of operation.elements) {
          if (kindOfElement(element) !== (set.verdicts ? 'verdict' : set.data ? 'value' : 'none'))
            refuse(`Invalid argument: element ${key} of ${operation.set}`);
          for (const chain of chainOfElement(element)) chainOf(chain);
          if (elements.has(key) && printElementValue(elements.get(key)) !== printElementValue(element))
            refuse(`File exists: element ${key} of ${operation.set}`);
          elements.set(key, element);
        }
        if (set.interval) checkIntervals([...elements.keys()], refuse);
        here.sets.set(operation.set, { ...set, elements });
        break;
      }
      case 'delete-elements': {
        const set = setOf(operation.set);
        const elements = new Map(set.elements);
        for (const key of operation.elements)
          if (!elements.delete(key)) refuse(`No such file or directory: element ${key} of ${operation.set}`);
        here.sets.set(operation.set, { ...set, elements });
        break;
      }
      case 'add-chain': {
        const known = here.chains.get(operation.chain);
        if (!known) here.chains.set(operation.chain, operation.hook ? { hook: operation.hook, rules: [] } : { rules: [] });
        else if (JSON.stringify(known.hook) !== JSON.stringify(operation.hook) && operation.hook)
          refuse(`File exists: chain ${operation.chain}`);
        break;
      }
      case 'flush-chain':
        here.chains.set(operation.chain, { ...chainOf(operation.chain), rules: [] });
        break;
      case 'delete-chain': {
        if (chainOf(operation.chain).rules.length > 0) here.chains.set(operation.chain, { rules: [] });
        if (isReached(here, operation.chain)) refuse(`Device or resource busy: chain ${operation.chain}`);
        here.chains.delete(operation.chain);
        break;
      }
      case 'add-rule': {
        const chain = chainOf(operation.chain);
        checkRule(here, operation.rule, refuse);
        here.chains.set(operation.chain, { ...chain, rules: [...chain.rules, operation.rule] });
        checkLoop(here, operation.chain, new Set(), refuse);
        break;
      }
    }
  }
  return draft && { ...(family === undefined ? {} : { family }), name, ...draft };
}

type Refuse = (message: string) => never;

const allRules = ({ chains }: Draft): NftRule[] => [...chains.values()].flatMap(({ rules }) => rules);

const kindOfElement = (element: NftElement): 'none' | 'value' | 'verdict' =>
  element === undefined ? 'none' : typeof element === 'string' ? 'value' : 'verdict';
const chainOfElement = (element: NftElement): string[] => (typeof element === 'object' && 'chain' in element ? [element.chain] : []);

function isReached(draft: Draft, chain: string): boolean {
  for (const { elements } of draft.sets.values())
    for (const element of elements.values()) if (chainOfElement(element).includes(chain)) return true;
  return allRules(draft).some((rule) => chainsOfRule(rule).includes(chain));
}

function checkRule(draft: Draft, rule: NftRule, refuse: Refuse): void {
  try {
    printNftRule(rule);
  } catch (error) {
    refuse(`syntax error: ${error instanceof Error ? error.message : String(error)}`);
  }
  for (const set of setsOfRule(rule)) if (!draft.sets.has(set)) refuse(`No such file or directory: set ${set}`);
  if (rule.counter !== undefined && !draft.counters.has(rule.counter)) refuse(`No such file or directory: counter ${rule.counter}`);
  for (const name of chainsOfRule(rule)) {
    const chain = draft.chains.get(name) ?? refuse(`No such file or directory: chain ${name}`);
    if (chain.hook) refuse(`Operation not supported: jump to base chain ${name}`);
  }
}

function checkLoop(draft: Draft, chain: string, above: Set<string>, refuse: Refuse): void {
  if (above.has(chain)) refuse(`Too many levels of symbolic links: chain ${chain}`);
  above.add(chain);
  for (const rule of draft.chains.get(chain)?.rules ?? []) {
    for (const next of chainsOfRule(rule)) checkLoop(draft, next, above, refuse);
    if (rule.verdict?.verdict !== 'vmap') continue;
    const elements = draft.sets.get(rule.verdict.map)?.elements ?? new Map<string, NftElement>();
    for (const next of new Set([...elements.values()].flatMap(chainOfElement))) checkLoop(draft, next, above, refuse);
  }
  above.delete(chain);
}

function checkIntervals(keys: readonly string[], refuse: Refuse): void {
  const ranges = keys.map((key) => {
    const [first, last = first] = key.split('-').map((text) => tryParseAddress(text));
    return first && last ? { first, last } : refuse(`Invalid argument: interval ${key}`);
  });
  ranges.sort((a, b) => (a.first.value < b.first.value ? -1 : 1));
  for (const [index, range] of ranges.entries()) {
    const next = ranges[index + 1];
    if (next && next.first.value <= range.last.value)
      refuse(`File exists: conflicting intervals at ${addressFromValue(next.first.family, next.first.value).text}`);
  }
}
