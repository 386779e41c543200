import type { IpSet, IpSetElements, IpSets } from './ipset.ts';
import { differingEntries } from './parted-map.ts';

/** One line of the input of `ipset restore`. */
export type IpSetOperation =
  | { readonly op: 'create'; readonly set: string; readonly of: Pick<IpSet, 'type' | 'family'> }
  | { readonly op: 'add' | 'del'; readonly set: string; readonly element: string }
  | { readonly op: 'destroy'; readonly set: string };

/**
 * The operations that make `desired` of `actual`, none when they are alike. Sets to be destroyed come last, and only when `owns` claims them.
 * A set of another type than wanted is destroyed and made anew, which the kernel refuses while a rule uses it.
 */
export function diffIpSets(actual: IpSets, desired: IpSets, owns: (name: string) => boolean): IpSetOperation[] {
  const operations: IpSetOperation[] = [];
  for (const [name, set] of desired) {
    const known = actual.get(name);
    if (known === set) continue;
    const usable = known && known.type === set.type && known.family === set.family ? known : undefined;
    if (known && !usable) operations.push({ op: 'destroy', set: name });
    if (!usable) operations.push({ op: 'create', set: name, of: { type: set.type, family: set.family } });
    const { remove, add } = changedElements(usable?.elements ?? noElements, set.elements);
    for (const element of remove) operations.push({ op: 'del', set: name, element });
    for (const element of add) operations.push({ op: 'add', set: name, element });
  }
  for (const name of actual.keys()) if (!desired.has(name) && owns(name)) operations.push({ op: 'destroy', set: name });
  return operations;
}

const noElements: IpSetElements = new Map();

/** What differs between two sets' elements. */
export function changedElements(actual: IpSetElements, desired: IpSetElements): { remove: string[]; add: string[] } {
  if (actual === desired) return { remove: [], add: [] };
  const [before, after] = differingEntries(actual, desired);
  return { remove: [...before.keys()].filter((key) => !after.has(key)), add: [...after.keys()].filter((key) => !before.has(key)) };
}

/** As many elements as the proxy ever makes of one kind; the kernel's default of 65,536 is too few for a large cluster. */
const mostElements = 1_048_576;

function printIpSetOperation(operation: IpSetOperation): string {
  switch (operation.op) {
    case 'create': {
      const { type, family } = operation.of;
      const options =
        type === 'bitmap:port' ? 'range 0-65535' : `family inet${family === 6 ? '6' : ''} hashsize 1024 maxelem ${mostElements}`;
      return `create ${operation.set} ${type} ${options}`;
    }
    case 'destroy':
      return `destroy ${operation.set}`;
    default:
      return `${operation.op} ${operation.set} ${operation.element}`;
  }
}

/** The input of `ipset restore`. */
export const printIpSetRestore = (operations: readonly IpSetOperation[]): string =>
  operations.map((operation) => `${printIpSetOperation(operation)}\n`).join('');

/** The sets as `ipset save` writes them. */
export const printIpSetSave = (sets: IpSets): string =>
  printIpSetRestore(
    [...sets].flatMap(([set, of]): IpSetOperation[] => [
      { op: 'create', set, of },
      ...[...of.elements.keys()].map((element) => ({ op: 'add', set, element }) as const),
    ]),
  );
