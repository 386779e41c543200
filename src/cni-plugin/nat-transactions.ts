import type { NftOperation, NftTable, NftTransaction } from '../dataplane/nft.ts';
import { diffNftTable } from '../dataplane/nft-diff.ts';
import { compileNatTable, hostPortElements, type NatNetwork, natTableName } from './nat-table.ts';
import type { HostPort } from './port-maps.ts';

const transactionOf = (network: string, operations: readonly NftOperation[]): NftTransaction => ({
  table: natTableName(network),
  operations,
});

/** Puts rules in place, whatever rules are there, and adds the host ports; those of other pods stay. May be done again and again. */
export function setUpTransaction(network: NatNetwork, hostPorts: readonly HostPort[]): NftTransaction {
  const { sets, chains } = compileNatTable(network, []);
  return transactionOf(network.name, [
    { op: 'add-table' },
    ...[...sets].map(([set, { key, interval, verdicts, data }]): NftOperation => {
      return { op: 'add-set', set, of: { key, interval, verdicts, ...(data ? { data } : {}) } };
    }),
    ...[...chains].map(([chain, { hook }]): NftOperation => ({ op: 'add-chain', chain, ...(hook ? { hook } : {}) })),
    ...[...chains.keys()].map((chain): NftOperation => ({ op: 'flush-chain', chain })),
    ...[...chains].flatMap(([chain, { rules }]) => rules.map((rule): NftOperation => ({ op: 'add-rule', chain, rule }))),
    ...addTransaction(network.name, hostPorts).operations,
  ]);
}

/** Adds the host ports to a table that is there. */
export const addTransaction = (network: string, hostPorts: readonly HostPort[]): NftTransaction =>
  transactionOf(
    network,
    [...hostPortElements(hostPorts)].map(([set, elements]): NftOperation => ({ op: 'add-elements', set, elements })),
  );

/** Takes the host ports out; undefined when there are none. */
export function removeTransaction(network: string, hostPorts: readonly HostPort[]): NftTransaction | undefined {
  const operations = [...hostPortElements(hostPorts)].map(
    ([set, elements]): NftOperation => ({ op: 'delete-elements', set, elements: [...elements.keys()] }),
  );
  return operations.length > 0 ? transactionOf(network, operations) : undefined;
}

/** Those of the host ports' elements that the table really holds, to be taken out; undefined when it holds none. */
export function removePresentTransaction(network: string, hostPorts: readonly HostPort[], table: NftTable): NftTransaction | undefined {
  return removeElements(
    network,
    [...hostPortElements(hostPorts)].map(([set, elements]) => {
      const present = table.sets.get(set)?.elements;
      return [set, [...elements].flatMap(([key, element]) => (present?.has(key) && present.get(key) === element ? [key] : []))];
    }),
  );
}

/** Takes out every element that belongs to none of the host ports; undefined when there is none. */
export function removeStrayTransaction(network: string, hostPorts: readonly HostPort[], table: NftTable): NftTransaction | undefined {
  const known = hostPortElements(hostPorts);
  return removeElements(
    network,
    [...table.sets].map(([set, { elements }]) => [set, [...elements.keys()].filter((key) => !known.get(set)?.has(key))]),
  );
}

function removeElements(
  network: string,
  keys: readonly (readonly [set: string, elements: readonly string[]])[],
): NftTransaction | undefined {
  const operations = keys.flatMap(([set, elements]): NftOperation[] =>
    elements.length > 0 ? [{ op: 'delete-elements', set, elements }] : [],
  );
  return operations.length > 0 ? transactionOf(network, operations) : undefined;
}

/**
 * What makes a table have the network's rules and the host ports again; undefined when it has. What else its maps hold is other pods' affair.
 * @param actual undefined when there is no table
 */
export function repairTransaction(
  network: NatNetwork,
  hostPorts: readonly HostPort[],
  actual: NftTable | undefined,
): NftTransaction | undefined {
  const desired = compileNatTable(network, hostPorts);
  if (!actual) return diffNftTable(undefined, desired);
  const sets = [...actual.sets].map(([name, set]) => {
    const own = [...set.elements].filter(([key]) => desired.sets.get(name)?.elements.has(key) ?? true);
    return [name, { ...set, elements: new Map(own) }] as const;
  });
  return diffNftTable({ ...actual, sets: new Map(sets) }, desired);
}
