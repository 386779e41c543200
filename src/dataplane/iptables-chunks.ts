import { jumpOf } from './iptables.ts';
import type { IptablesChange, IptablesOperation } from './iptables-diff.ts';

/**
 * The change as several, each of about `size` operations, to be done in their order. A chain is written before any rule leads to it, so that
 * what is new serves all at once when the chains at the top are written; what goes is deleted last. Only a chain of more than `size` rules is written
 * in several steps. For iptables-nft, which takes a time that grows with the square of what it is given.
 *
 * A change that is no larger than `size` comes back as it is.
 */
export function chunkIptablesChange(change: IptablesChange, size: number): IptablesChange[] {
  const { family, tables } = change;
  const total = tables.reduce((sum, { operations }) => sum + operations.length, 0);
  if (total <= size) return [change];
  return tables.flatMap(({ table, operations }) =>
    chunkOperations(operations, size).map((chunk) => ({ family, tables: [{ table, operations: chunk }] })),
  );
}

function chunkOperations(operations: readonly IptablesOperation[], size: number): IptablesOperation[][] {
  const chunks: IptablesOperation[][] = [];
  let chunk: IptablesOperation[] = [];
  const close = (): void => {
    if (chunk.length > 0) chunks.push(chunk);
    chunk = [];
  };
  const put = (operation: IptablesOperation): void => {
    if (chunk.length >= size) close();
    chunk.push(operation);
  };
  const { written, others, flushed, deletions } = sortOut(operations);
  for (const own of fromTheLeaves(written)) {
    // A chain is not torn apart for a few rules too many.
    if (chunk.length + own.length > size && own.length <= size) close();
    for (const operation of own) put(operation);
  }
  close();
  // Deleted and inserted rules keep their order.
  for (const operation of [...others, ...flushed, ...deletions]) put(operation);
  close();
  return chunks;
}

interface Sorted {
  /** Chains that are written whole, each with its declaration and rules. */
  readonly written: Map<string, IptablesOperation[]>;
  /** Rules put into chains that are not written whole, and taken out of them. */
  readonly others: IptablesOperation[];
  /** Chains that are emptied, to be deleted. */
  readonly flushed: IptablesOperation[];
  readonly deletions: IptablesOperation[];
}

function sortOut(operations: readonly IptablesOperation[]): Sorted {
  const deletions = operations.filter(({ op }) => op === 'delete-chain');
  const doomed = new Set(deletions.map(({ chain }) => chain));
  const written = new Map<string, IptablesOperation[]>();
  const [others, flushed]: IptablesOperation[][] = [[], []];
  for (const operation of operations) {
    const { op, chain } = operation;
    if (op === 'delete-chain') continue;
    if (op === 'chain') {
      if (doomed.has(chain)) flushed!.push(operation);
      else written.set(chain, [operation]);
    } else if (op === 'append' && written.has(chain)) written.get(chain)!.push(operation);
    else others!.push(operation);
  }
  return { written, others: others!, flushed: flushed!, deletions };
}

/** The written chains, each after those that its rules lead to. */
function fromTheLeaves(written: ReadonlyMap<string, readonly IptablesOperation[]>): (readonly IptablesOperation[])[] {
  const ordered: (readonly IptablesOperation[])[] = [];
  const visited = new Set<string>();
  const visit = (chain: string): void => {
    const own = written.get(chain);
    if (!own || visited.has(chain)) return;
    visited.add(chain);
    for (const operation of own) {
      const target = 'rule' in operation ? jumpOf(operation.rule) : undefined;
      if (target !== undefined) visit(target);
    }
    ordered.push(own);
  };
  for (const chain of written.keys()) visit(chain);
  return ordered;
}
