import type { NftFamily, NftTable, NftTransaction } from '../dataplane/nft.ts';
import type { AddressOwner, ReservationStore } from '../ipam/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import {
  beginHostPortRelease,
  claimHostPorts,
  type HostPortRecord,
  listHostPorts,
  readHostPorts,
  releaseHostPorts,
} from './host-port-claims.ts';
import { type NatNetwork, natTableName } from './nat-table.ts';
import {
  addTransaction,
  removePresentTransaction,
  removeStrayTransaction,
  removeTransaction,
  repairTransaction,
  setUpTransaction,
} from './nat-transactions.ts';
import { type HostPort, hostPortText } from './port-maps.ts';

/** The node's NAT; `kernel/nft` and `kernel/conntrack` are its parts. */
export interface NatPorts {
  readonly nft: {
    read(table: string, family?: NftFamily): Promise<NftTable | undefined>;
    apply(transaction: NftTransaction): Promise<unknown>;
  };
  /** Forgets the UDP flows that were opened to the ports. */
  forgetUdpFlows(ports: readonly UdpPort[]): Promise<void>;
  /** Tells the node's network namespace from others. */
  readonly nodeNamespace: number;
  now(): number;
}

/** A port of the node, or of one address of it. */
export interface UdpPort {
  readonly family: 4 | 6;
  readonly address?: string;
  readonly port: number;
}

/** The rules are taken to be in place for so long (ms) after they were put or seen there. The agent looks more often. */
const trustedFor = 60_000;

const noteName = (network: string): string => `network-${network}`;

function isInPlace(store: ReservationStore, network: NatNetwork, { nodeNamespace, now }: NatPorts): boolean {
  const [stamp, text] = (store.readNote(noteName(network.name)) ?? '').split('\n');
  const [inode, at] = (stamp ?? '').split(' ').map(Number);
  const age = now() - (at ?? 0);
  return inode === nodeNamespace && age >= 0 && age < trustedFor && text === JSON.stringify(network);
}

function stamp(store: ReservationStore, key: string, network: NatNetwork, { nodeNamespace, now }: NatPorts): void {
  store.writeNote(key, noteName(network.name), `${nodeNamespace} ${now()}\n${JSON.stringify(network)}\n`);
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

const hasNotRun = (error: unknown): boolean => {
  const { reason } = ((error as { cause?: unknown }).cause ?? {}) as { reason?: unknown };
  return reason === 'not-installed' || reason === 'not-permitted';
};

/**
 * Puts the network's rules and the pod's host ports in place. No process when there are no host ports and the rules were seen a short time ago.
 * @throws CniError 106 for a host port that another pod has; what nft throws
 */
export async function applyNat(network: NatNetwork, record: HostPortRecord, store: ReservationStore, ports: NatPorts): Promise<void> {
  const { hostPorts } = record;
  // An ADD that was killed may have had others.
  const before = readHostPorts(store, record)?.hostPorts;
  if (before && JSON.stringify(before) !== JSON.stringify(hostPorts)) await removeNat(record, store, ports);
  if (!network.ipMasq && hostPorts.length === 0) return;
  if (hostPorts.length > 0) claimHostPorts(store, record);
  if (!(isInPlace(store, network, ports) && (await added(network, hostPorts, ports)))) {
    await ports.nft.apply(setUpTransaction(network, hostPorts)).catch((error: unknown) => {
      // Nothing of it is in the kernel, so nothing has to be taken out before the ports are free; which would need nft, too.
      if (!before && hasNotRun(error)) releaseHostPorts(store, record);
      if (codeOf(error) === 'exists') throw foreignElement(network, record);
      throw error;
    });
    stamp(store, `${record.containerId}@${record.ifname}`, network, ports);
  }
  await ports.forgetUdpFlows(udpPorts(hostPorts));
}

/** False when the table is gone after all. */
async function added({ name }: NatNetwork, hostPorts: readonly HostPort[], { nft }: NatPorts): Promise<boolean> {
  if (hostPorts.length === 0) return true;
  try {
    await nft.apply(addTransaction(name, hostPorts));
    return true;
  } catch (error) {
    // `exists` is told apart by the whole transaction, which comes next.
    if (codeOf(error) === 'not-found' || codeOf(error) === 'exists') return false;
    throw error;
  }
}

const foreignElement = ({ name }: NatNetwork, { hostPorts }: HostPortRecord): CniError =>
  new CniError(
    cniErrorCodes.hostPortTaken,
    `host port ${hostPorts.map(hostPortText).join(', ')}: table inet ${natTableName(name)} leads it elsewhere, and no attachment claims that`,
    'GC removes what no attachment claims',
  );

/** Each port once, by family and address. */
function udpPorts(hostPorts: readonly HostPort[]): UdpPort[] {
  return hostPorts
    .filter(({ protocol }) => protocol === 'udp')
    .map(({ address, hostIP, hostPort }) => ({
      family: address.includes(':') ? 6 : 4,
      ...(hostIP === undefined ? {} : { address: hostIP }),
      port: hostPort,
    }));
}

/** Takes an attachment's host ports out of the kernel, then gives them back. Repeatable; no process when there are none. */
export async function removeNat(owner: AddressOwner, store: ReservationStore, ports: NatPorts): Promise<void> {
  const record = beginHostPortRelease(store, owner);
  if (record) {
    await removeElements(record, ports);
    await ports.forgetUdpFlows(udpPorts(record.hostPorts));
  }
  releaseHostPorts(store, owner);
}

async function removeElements({ network, hostPorts }: HostPortRecord, { nft }: NatPorts): Promise<void> {
  const removal = removeTransaction(network, hostPorts);
  if (!removal) return;
  try {
    await nft.apply(removal);
  } catch (error) {
    if (codeOf(error) !== 'not-found') throw error;
    // Some are gone, or all: an ADD that failed, a table that was flushed.
    const table = await nft.read(natTableName(network));
    const rest = table && removePresentTransaction(network, hostPorts, table);
    if (rest) await nft.apply(rest);
  }
}

/**
 * Removes the host ports of the network that belong to none of the attachments, and, when none is left, the table.
 * @param isKept whether an attachment stays
 * @param isUsed whether the network has attachments
 */
export async function collectNat(
  network: NatNetwork,
  isKept: (owner: AddressOwner) => boolean,
  isUsed: () => boolean,
  store: ReservationStore,
  ports: NatPorts,
): Promise<void> {
  for (const record of listHostPorts(store, network.name)) if (!isKept(record)) await removeNat(record, store, ports);
  // The table before the records: an element that is seen has its record by then, or is nobody's.
  const table = await ports.nft.read(natTableName(network.name));
  if (!table) return;
  const inUse = (): boolean => isUsed() || listHostPorts(store, network.name).length > 0;
  if (inUse()) {
    const stray = removeStrayTransaction(
      network.name,
      listHostPorts(store, network.name).flatMap(({ hostPorts }) => hostPorts),
      table,
    );
    if (stray) await ignoreMissing(ports.nft.apply(stray));
    return;
  }
  // An ADD that begins now puts the rules in place anew; one that began before is seen at the end.
  store.writeNote('gc', noteName(network.name), '\n');
  await ignoreMissing(ports.nft.apply({ table: table.name, operations: [{ op: 'delete-table' }] }));
  if (inUse()) await repairNat(network, store, ports);
}

async function ignoreMissing(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (codeOf(error) !== 'not-found') throw error;
  }
}

/**
 * Makes the network's table again what its attachments need; for the agent, from time to time. Without ipMasq and host ports there is nothing to
 * have. Returns whether something had to be repaired.
 */
export async function repairNat(network: NatNetwork, store: ReservationStore, ports: NatPorts): Promise<boolean> {
  const reserved = (): HostPort[] =>
    listHostPorts(store, network.name).flatMap(({ state, hostPorts }) => (state === 'reserved' ? hostPorts : []));
  if (!network.ipMasq && reserved().length === 0) return false;
  const actual = await ports.nft.read(natTableName(network.name));
  const hostPorts = reserved();
  const change = repairTransaction(network, hostPorts, actual);
  if (change) {
    await ports.nft.apply(change);
    // A DEL that ran meanwhile took its elements out before they were put back.
    const kept = new Set(reserved().map((port) => `${hostPortText(port)} ${port.address}`));
    const gone = hostPorts.filter((port) => !kept.has(`${hostPortText(port)} ${port.address}`));
    const table = gone.length > 0 ? await ports.nft.read(natTableName(network.name)) : undefined;
    const removal = table && removePresentTransaction(network.name, gone, table);
    if (removal) await ignoreMissing(ports.nft.apply(removal));
  }
  stamp(store, 'agent', network, ports);
  return change !== undefined;
}
