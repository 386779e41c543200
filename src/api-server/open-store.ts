import { readFileSync } from 'node:fs';
import type { DaemonContext } from '../runtime/daemon.ts';
import { openEmbeddedStore, type Store } from '../storage/index.ts';
import { storePrefix } from './cached-object.ts';
import type { ApiServerOptions, EtcdFlags } from './options.ts';
import { resources } from '../objects/index.ts';

/**
 * Opens what keeps the objects: etcd when servers of it are given, else the embedded store in the data folder.
 * @throws Error in plain words: the folder is in use, etcd does not answer, a certificate file cannot be read.
 */
export async function openStore(options: ApiServerOptions, { clock, log }: DaemonContext): Promise<Store> {
  const { etcd, dataDir, historyRevisions, eventTtlSeconds } = options;
  if (!etcd) return openEmbeddedStore({ folder: dataDir, historyRevisions });
  // Only who uses etcd pays for gRPC.
  const { openEtcdStore } = await import('../storage/etcd/etcd-store.ts');
  return openEtcdStore({
    ...readEtcdFlags(etcd),
    clock,
    random: Math.random,
    history: { revisions: historyRevisions },
    expiries: [{ prefix: storePrefix(resources.events), seconds: eventTtlSeconds }],
    onProblem: (error) => log.error({ err: error }, 'etcd'),
  });
}

/** The flags with the files they name read. @throws Error naming the file. */
export function readEtcdFlags({ servers, prefix, caFile, certFile, keyFile, compactionInterval }: EtcdFlags) {
  return {
    servers,
    prefix,
    ca: caFile === undefined ? undefined : read(caFile, '--etcd-cafile'),
    clientCertificate:
      certFile === undefined || keyFile === undefined
        ? undefined
        : { certificate: read(certFile, '--etcd-certfile'), key: read(keyFile, '--etcd-keyfile') },
    compactionInterval,
    requestTimeout: 15_000,
  };
}

function read(file: string, flag: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${flag}: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}
