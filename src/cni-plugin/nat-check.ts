import type { NftTable, NftTransaction } from '../dataplane/nft.ts';
import { printNftTransaction } from '../dataplane/nft-print.ts';
import type { AddressOwner, ReservationStore } from '../ipam/index.ts';
import { addAgain, type Difference } from './check-repairs.ts';
import { readHostPorts } from './host-port-claims.ts';
import type { NatPorts } from './nat.ts';
import { compileNatTable, type NatNetwork, natTableName } from './nat-table.ts';
import { repairTransaction } from './nat-transactions.ts';
import { type HostPort, hostPortText } from './port-maps.ts';

/** Every way in which the NAT of an attachment is not as ADD made it, with the nft commands that repair it. Reads the table when there is anything to compare. */
export async function checkNat(
  network: NatNetwork,
  owner: AddressOwner,
  wanted: readonly HostPort[],
  store: ReservationStore,
  { nft }: NatPorts,
): Promise<Difference[]> {
  const claimed = readHostPorts(store, owner)?.hostPorts ?? [];
  const differences: Difference[] = wanted
    .filter((port) => !claimed.some((other) => hostPortText(other) === hostPortText(port) && other.address === port.address))
    .map((port) => ({ problem: `no claim on host port ${hostPortText(port)}`, repair: addAgain }));
  if (!network.ipMasq && wanted.length === 0) return differences;
  const actual = await nft.read(natTableName(network.name));
  const change = repairTransaction(network, wanted, actual);
  if (!change) return differences;
  const repair = `nft '${printNftTransaction(change).trim().replaceAll('\n', '; ')}'`;
  for (const problem of problemsOf(network, wanted, actual, change)) differences.push({ problem, repair });
  return differences;
}

function problemsOf(
  network: NatNetwork,
  wanted: readonly HostPort[],
  actual: NftTable | undefined,
  { operations }: NftTransaction,
): string[] {
  const name = `inet ${natTableName(network.name)}`;
  const changed = new Set(operations.flatMap((operation) => ('chain' in operation ? [operation.chain] : [])));
  const differs = (chains: readonly string[]): boolean => chains.some((chain) => changed.has(chain));
  const problems: string[] = [];
  if (network.ipMasq && differs(['postrouting', 'leaving-4', 'leaving-6']))
    problems.push(`the masquerade rule of network ${network.name} is missing or changed in table ${name}`);
  if (wanted.length > 0 && differs(['prerouting', 'output', 'host-ports', 'mapped-4', 'mapped-6', 'guard', 'postrouting']))
    problems.push(`the rules that look up host ports are missing or changed in table ${name}`);
  for (const hostPort of wanted) {
    const own = compileNatTable(network, [hostPort]).sets;
    const there = [...own].every(([set, { elements }]) =>
      [...elements].every(([key, element]) => {
        const present = actual?.sets.get(set)?.elements;
        return present?.has(key) && present.get(key) === element;
      }),
    );
    if (!there)
      problems.push(
        `host port ${hostPortText(hostPort)} does not lead to ${hostPort.address} port ${hostPort.containerPort}: its port map is missing or changed in table ${name}`,
      );
  }
  return problems.length > 0 ? problems : [`table ${name} is not as added`];
}
