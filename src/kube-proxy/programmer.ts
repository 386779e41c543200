import type { IptablesRuleset } from '../dataplane/iptables.ts';
import { diffIptables, type IptablesChange, printRestore } from '../dataplane/iptables-diff.ts';
import { settleIptables } from '../dataplane/iptables-settle.ts';
import type { NftOperation, NftTable, NftTransaction } from '../dataplane/nft.ts';
import { diffNftTable } from '../dataplane/nft-diff.ts';
import { printNftTransaction } from '../dataplane/nft-print.ts';
import type { Iptables } from '../kernel/iptables.ts';
import type { Nft } from '../kernel/nft.ts';
import type { NftWatch } from '../kernel/nft-watch.ts';
import type { Family } from '../net/index.ts';
import { type Outcome, type Packet, walkNftOutcomes, walkOutcomes, type WalkWorld } from '../packet-walk/index.ts';
import type { NodeFacts } from './input.ts';
import type { ProxyModel } from './model.ts';
import type { ProxyOptions } from './options.ts';
import { createIptablesRenderer, emptyIptables, proxyOwner } from './render/iptables.ts';
import { createNftablesRenderer, proxyTable } from './render/nftables.ts';

/** One way to program one family's part of the kernel: what it holds as data, how to bring it there, and the door. */
export interface Programmer<Rules, Change> {
  readonly family: Family;
  /** What the kernel holds. */
  read(): Promise<Rules>;
  /** Pure. */
  render(model: ProxyModel, node: NodeFacts): Rules;
  /** Pure. Undefined when there is nothing to change. */
  diff(actual: Rules, desired: Rules): Change | undefined;
  /** One transaction of the kernel. Returns the bytes sent. */
  apply(change: Change): Promise<number>;
  /**
   * Pure. What the kernel holds once the change is done, made of what was wanted as far as it can be, so that the next comparison sees at once what is
   * the same. Without a change it is what the kernel holds already.
   */
  after(before: Rules, change: Change | undefined, desired: Rules): Rules;
  /** Lines or operations in a change. */
  size(change: Change): number;
  /** Rules of ours, by table. */
  count(rules: Rules): ReadonlyMap<string, number>;
  /** What the tool gets on its standard input for the change. */
  print(change: Change): string;
  /** The change line by line, one line for each rule and element. */
  lines(change: Change): string[];
  /** Every way that a packet may take through the rules. @throws WalkError for a rule that the walk does not know */
  walk(rules: Rules, packet: Packet, world: Pick<WalkWorld, 'addresses'>): Outcome[];
  /** The state in which nothing of the proxy is left. */
  readonly empty: Rules;
  /** Starts to watch what the kernel holds for changes by others. Undefined where only reading tells. */
  watch?(onForeignChange: () => void): { isUntouched(): boolean } | undefined;
  /** Ends what is kept running. */
  close?(): void;
}

/** The rules and changes of a programmer are nobody's business but its own. */
export type AnyProgrammer = Programmer<unknown, unknown>;

/** By iptables or ip6tables, in kube-proxy's chain layout. */
export function iptablesProgrammer(iptables: Iptables, options: ProxyOptions): AnyProgrammer {
  const { family } = iptables;
  const owner = proxyOwner(family, options);
  const programmer: Programmer<IptablesRuleset, IptablesChange> = {
    family,
    read: () => iptables.read(),
    render: createIptablesRenderer(options),
    diff: (actual, desired) => diffIptables(actual, desired, owner),
    apply: (change) => iptables.apply(change),
    after: (before, _change, desired) => settleIptables(before, desired, owner),
    size: ({ tables }) => tables.reduce((sum, { operations }) => sum + operations.length, 0),
    count: ({ tables }) =>
      new Map(
        [...tables].map(([table, chains]) => {
          const own = [...chains].filter(([name]) => owner.ownsChain(table, name));
          return [table, own.reduce((sum, [, { rules }]) => sum + rules.length, 0)];
        }),
      ),
    print: printRestore,
    lines: (change) =>
      printRestore(change)
        .trimEnd()
        .split('\n')
        .filter((line) => !/^(\*|COMMIT)/.test(line)),
    walk: walkOutcomes,
    empty: emptyIptables(family),
  };
  return programmer as AnyProgrammer;
}

/** By nftables, a table of its own for each family. */
export function nftablesProgrammer(nft: Nft, family: Family, options: ProxyOptions): AnyProgrammer {
  const nftFamily = family === 4 ? 'ip' : 'ip6';
  let watch: NftWatch | undefined;
  const programmer: Programmer<NftTable | undefined, NftTransaction> = {
    family,
    read() {
      watch?.reading();
      return nft.read(proxyTable, nftFamily);
    },
    render: createNftablesRenderer(options, options.nftablesLayout),
    diff(actual, desired) {
      if (desired) return diffNftTable(actual, desired);
      return actual && { family: nftFamily, table: proxyTable, operations: [{ op: 'delete-table' }] };
    },
    async apply(change) {
      watch?.begin();
      let done = false;
      try {
        const bytes = await nft.apply(change);
        done = true;
        return bytes;
      } finally {
        watch?.end(done);
      }
    },
    after: (_before, _change, desired) => desired,
    size: ({ operations }) => operations.length,
    count: (table) => new Map([[proxyTable, [...(table?.chains.values() ?? [])].reduce((sum, { rules }) => sum + rules.length, 0)]]),
    print: printNftTransaction,
    lines: ({ operations, ...table }) =>
      printNftTransaction({ ...table, operations: operations.flatMap(oneByOne) })
        .trimEnd()
        .split('\n'),
    walk: (table, packet, world) => walkNftOutcomes(table ? [table] : [], packet, world),
    empty: undefined,
    watch: (onForeignChange) => (watch ??= nft.watch?.(proxyTable, nftFamily, onForeignChange)),
    close() {
      watch?.close();
      nft.close?.();
    },
  };
  return programmer as AnyProgrammer;
}

/** An operation on many elements as one for each. */
function oneByOne(operation: NftOperation): NftOperation[] {
  if (operation.op === 'add-elements') return [...operation.elements].map((element) => ({ ...operation, elements: new Map([element]) }));
  return operation.op === 'delete-elements' ? operation.elements.map((element) => ({ ...operation, elements: [element] })) : [operation];
}
