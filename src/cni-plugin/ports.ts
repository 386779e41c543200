import type { LinkOperation, LinkOutcome, NamespaceState } from '../dataplane/links.ts';
import type { AddressOwner, ReservationStore } from '../ipam/index.ts';
import type { DamagePort } from './damage.ts';
import type { DelegationPorts } from './delegation.ts';
import type { ExtrasPorts } from './extras.ts';

/** Links of one network namespace; `kernel/netlink` is one. */
export interface LinkPort {
  apply(operations: readonly LinkOperation[], show?: readonly string[]): Promise<LinkOutcome>;
  read(links: readonly string[]): Promise<NamespaceState>;
}

/** Keeps a link of the node to one source MAC. */
export interface MacGuardPort {
  allow(link: string, mac: string): Promise<void>;
  forget(link: string): Promise<void>;
  /** The MACs that the link is allowed; undefined when it is not guarded. */
  read(link: string): Promise<readonly string[] | undefined>;
  /** All links that are guarded. */
  guarded(): Promise<readonly string[]>;
}

/** A DEL that was answered and has not been done yet. */
export interface QueuedDelete {
  readonly owner: AddressOwner;
  /** It is done. */
  forget(): void;
}

/** Everything that the plugin does outside of itself. */
export interface CniPorts extends ExtrasPorts, DelegationPorts, DamagePort {
  /** Source MACs of the node's bridges; `kernel/mac-guard` is one. */
  readonly macGuard: MacGuardPort;
  /** The namespace this process is in: the node's. */
  readonly host: LinkPort;
  pod(netns: string): LinkPort;
  /** Reservations of the network `name` below `dataDir`. */
  openStore(dataDir: string, name: string): ReservationStore;
  /** Undefined when nothing is at the path. */
  namespaceIdentity(path: string): { readonly inode: number; readonly isNamespace: boolean } | undefined;
  /** Path of the namespace of this process. */
  readonly ownNamespace: string;
  forwards(family: 4 | 6): boolean;
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** DELs that nobody could do when they were asked for. Absent where there is no queue. */
  readonly queuedDeletes?: { list(network: string): readonly QueuedDelete[] };
  /** What is wrong with the node agent, where one should be running. */
  agentProblem?(): string | undefined;
  /** This ADD goes on where the agent's ended: the addresses are reserved, the attachment is not whole, and nobody was told that it is. */
  readonly continuesAdd?: boolean;
}
