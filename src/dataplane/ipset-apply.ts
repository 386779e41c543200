import type { IpSet, IpSets } from './ipset.ts';
import type { IpSetOperation } from './ipset-diff.ts';

/** What the kernel would have answered to an operation. `operation` counts from 0; those before it are done. */
export class IpSetRefusal extends Error {
  readonly operation: number;
  constructor(operation: number, detail: string) {
    super(detail);
    this.name = 'IpSetRefusal';
    this.operation = operation;
  }
}

/** The sets after the operations; `before` stays as it is. `isUsed` tells whether a rule refers to the set. @throws IpSetRefusal */
export function applyIpSets(
  before: IpSets,
  operations: readonly IpSetOperation[],
  isUsed: (name: string) => boolean = () => false,
): Map<string, IpSet> {
  const sets = new Map<string, IpSet>(before);
  const own = new Map<string, Map<string, true>>();
  for (const [index, operation] of operations.entries()) {
    const refuse = (detail: string): never => {
      throw new IpSetRefusal(index, detail);
    };
    const { set: name } = operation;
    if (operation.op === 'create') {
      if (sets.has(name)) refuse('Set cannot be created: set with the same name already exists');
      sets.set(name, { ...operation.of, elements: new Map() });
      continue;
    }
    const set = sets.get(name) ?? refuse('The set with the given name does not exist');
    if (operation.op === 'destroy') {
      if (isUsed(name)) refuse('Set cannot be destroyed: it is in use by a kernel component');
      sets.delete(name);
      own.delete(name);
      continue;
    }
    const elements = own.get(name) ?? new Map(set.elements);
    own.set(name, elements);
    if (operation.op === 'add') {
      if (elements.has(operation.element)) refuse("Element cannot be added to the set: it's already added");
      elements.set(operation.element, true);
    } else if (!elements.delete(operation.element)) refuse("Element cannot be deleted from the set: it's not added");
    sets.set(name, { ...set, elements });
  }
  return sets;
}
