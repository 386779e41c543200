import type { Prefix } from '../net/index.ts';

export interface ApiServerOptions {
  /** Folder of the store. */
  readonly dataDir: string;
  readonly bindAddress: string;
  /** 0 takes any free port. */
  readonly securePort: number;
  /** Where the service `kubernetes` leads to. */
  readonly advertiseAddress: string;
  /** One per family; the first is the default family. */
  readonly serviceClusterIPRanges: readonly Prefix[];
  readonly serviceNodePortRange: { readonly first: number; readonly last: number };
  /** Undefined serves plain HTTP without authentication, on a loopback address alone. */
  readonly tls: TlsFiles | undefined;
  /** A listening socket that this process inherited, served besides. */
  readonly listenFd: number | undefined;
  /** How long events are kept (seconds). */
  readonly eventTtlSeconds: number;
  /** How many revisions back a watch can start. */
  readonly historyRevisions: number;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly privateKeyFile: string;
  /** Whose client certificates are believed. */
  readonly clientCAFile: string;
}
