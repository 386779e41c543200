import type { LinkOperation, LinkOutcome, NamespaceState } from '../dataplane/links.ts';
import type { ReservationStore } from '../ipam/index.ts';

/** Links of one network namespace; `kernel/netlink` is one. */
export interface LinkPort {
  apply(operations: readonly LinkOperation[], show?: readonly string[]): Promise<LinkOutcome>;
  read(links: readonly string[]): Promise<NamespaceState>;
}

/** Everything that the plugin does outside of itself. */
export interface CniPorts {
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
}
