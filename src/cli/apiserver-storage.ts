import type { Command } from 'commander';
import { Option } from 'commander';
import type { EtcdFlags } from '../api-server/options.ts';
import { durationOption, list } from './flags.ts';

/** Where the objects are kept, under kube-apiserver's names. Shared by the server and the commands that look after its store. */
export interface StorageFlags {
  readonly dataDir?: string;
  readonly storageBackend?: 'embedded' | 'etcd3';
  readonly etcdServers?: readonly string[];
  readonly etcdPrefix: string;
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
  /** Milliseconds. */
  readonly etcdCompactionInterval?: number;
}

/** Adds the flags that say where the objects are. */
export function configureStorage(command: Command): void {
  command
    .option('--data-dir <folder>', 'folder of the embedded store; made when missing')
    .addOption(
      new Option('--storage-backend <name>', 'embedded: a store of its own in --data-dir; etcd3, which --etcd-servers implies').choices([
        'embedded',
        'etcd3',
      ]),
    )
    .option('--etcd-servers <urls>', 'members of an etcd, such as https://10.0.0.1:2379; plain http on loopback alone', list)
    .option('--etcd-prefix <path>', 'first part of all keys in etcd', '/registry')
    .option('--etcd-cafile <file>', "authorities that etcd's certificate is checked with, PEM (default: the system's)")
    .option('--etcd-certfile <file>', 'client certificate for etcd, PEM')
    .option('--etcd-keyfile <file>', 'its private key, PEM');
}

/** Only the server compacts by itself. */
export const compactionOption = (): Option =>
  durationOption('--etcd-compaction-interval <duration>', "between compactions of etcd's history; 0s leaves them to others", '5m');

/** The flags as the server takes them; `dataDir` is '' when none is needed. @throws Error in plain words for flags that do not go together. */
export function storageOptions(flags: StorageFlags): { readonly dataDir: string; readonly etcd?: EtcdFlags } {
  const { dataDir, storageBackend, etcdServers, etcdCafile, etcdCertfile, etcdKeyfile } = flags;
  const usesEtcd = storageBackend === 'etcd3' || (storageBackend === undefined && etcdServers !== undefined);
  if (!usesEtcd) {
    if (etcdServers) throw new Error('--etcd-servers and --storage-backend=embedded exclude each other');
    if (etcdCafile || etcdCertfile || etcdKeyfile) throw new Error('--etcd-cafile, --etcd-certfile and --etcd-keyfile need --etcd-servers');
    // In the words of a required option, which it is unless etcd takes its place.
    if (dataDir === undefined)
      throw new Error("required option '--data-dir <folder>' not specified (or --etcd-servers, to keep all in etcd)");
    return { dataDir };
  }
  if (!etcdServers || etcdServers.length === 0) throw new Error('--storage-backend=etcd3 needs --etcd-servers');
  if ((etcdCertfile === undefined) !== (etcdKeyfile === undefined)) throw new Error('--etcd-certfile and --etcd-keyfile go together');
  return {
    dataDir: dataDir ?? '',
    etcd: {
      servers: etcdServers,
      prefix: flags.etcdPrefix,
      caFile: etcdCafile,
      certFile: etcdCertfile,
      keyFile: etcdKeyfile,
      compactionInterval: flags.etcdCompactionInterval ?? 0,
    },
  };
}
