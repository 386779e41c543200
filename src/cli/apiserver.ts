import { type Command, InvalidArgumentError } from 'commander';
import { isPort, type Prefix } from '../net/index.ts';
import { compactionOption, configureStorage, type StorageFlags, storageOptions } from './apiserver-storage.ts';
import { maintenanceCommands } from './apiserver-commands.ts';
import { configureKubelet, type KubeletFlags, kubeletOptions } from './apiserver-kubelet.ts';
import { configureSecurity, type SecurityFlags, securityOptions } from './apiserver-security.ts';
import { daemonCommand } from './daemon-command.ts';
import { address, cidr, listenPort, listOf, wholeNumber } from './flags.ts';

interface ApiServerFlags extends SecurityFlags, StorageFlags, KubeletFlags {
  readonly bindAddress: string;
  readonly securePort: number;
  readonly advertiseAddress?: string;
  readonly serviceClusterIpRange: readonly Prefix[];
  readonly serviceNodePortRange: { readonly first: number; readonly last: number };
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
  readonly insecureLoopback: boolean;
  readonly listenFd?: number;
  readonly initialObjects?: string;
  readonly eventTtl: number;
  readonly historyRevisions: number;
}

/** `podwire apiserver`: the Kubernetes API, with its own store. */
export const command = (): Command =>
  daemonCommand<ApiServerFlags>(
    'apiserver',
    'serve the Kubernetes API from a store of its own, or from etcd',
    10_259,
    configure,
    async (flags, context) => {
      // The commands that look after the store do without the server.
      const { startApiServer } = await import('../api-server/server.ts');
      return startApiServer(
        {
          ...storageOptions(flags),
          bindAddress: flags.bindAddress,
          securePort: flags.securePort,
          advertiseAddress: advertiseAddress(flags),
          serviceClusterIPRanges: flags.serviceClusterIpRange,
          serviceNodePortRange: flags.serviceNodePortRange,
          tls: tlsFiles(flags),
          listenFd: flags.listenFd,
          eventTtlSeconds: flags.eventTtl,
          historyRevisions: flags.historyRevisions,
          security: securityOptions(flags),
          kubelet: kubeletOptions(flags),
          initialObjects: flags.initialObjects,
        },
        context,
      );
    },
  );

function configure(command: Command): void {
  // What single flags cannot tell is wrong usage too: checked before anything is opened.
  command.hook('preAction', (_command, asked) => {
    if (asked !== command) return;
    const flags = command.opts<ApiServerFlags>();
    try {
      checkSigningKey(flags);
      kubeletOptions(flags);
      advertiseAddress(flags);
      tlsFiles(flags);
    } catch (error) {
      command.error(`error: ${(error as Error).message}`);
    }
  });
  const defaultRange = '10.96.0.0/16';
  command.enablePositionalOptions();
  configureStorage(command);
  command
    .addOption(compactionOption())
    .option('--bind-address <address>', 'address to listen on', address, '0.0.0.0')
    .option('--secure-port <port>', 'port to listen on', listenPort, 6443)
    .option('--advertise-address <address>', 'address at which others reach this server (default: the bind address)', address)
    .option(
      '--service-cluster-ip-range <cidrs>',
      'cluster IPs of Services: a CIDR, or one of each family, the first being the default',
      ranges,
      ranges(defaultRange),
    )
    .option('--service-node-port-range <first-last>', 'node ports of Services', portRange, portRange('30000-32767'))
    .option('--tls-cert-file <file>', "the server's certificate, PEM")
    .option('--tls-private-key-file <file>', 'its private key, PEM')
    .option('--client-ca-file <file>', 'certificates of the authorities whose client certificates are believed, PEM')
    .option('--insecure-loopback', 'serve plain HTTP without authentication; on a loopback address alone', false)
    .option('--listen-fd <fd>', 'serve this inherited listening socket too', wholeNumber(3, 9_999, 'the number of an inherited socket'))
    .option('--initial-objects <file>', 'YAML file of objects to make before the server listens, unless they exist')
    .option('--event-ttl <seconds>', 'how long events are kept', wholeNumber(1, 999_999_999, 'seconds'), 3_600)
    .option('--history-revisions <count>', 'how many changes back a watch can start', wholeNumber(100, 999_999_999), 10_000);
  configureSecurity(command);
  configureKubelet(command);
  for (const maintenance of maintenanceCommands()) command.addCommand(maintenance);
  // Parsed defaults would print as objects.
  for (const [flag, text] of [
    ['--service-cluster-ip-range', defaultRange],
    ['--service-node-port-range', '30000-32767'],
  ]) {
    const option = command.options.find(({ long }) => long === flag)!;
    option.default(option.defaultValue, text);
  }
}

/** @throws Error also for what {@link storageOptions} refuses. */
function checkSigningKey(flags: ApiServerFlags): void {
  const { dataDir, etcd } = storageOptions(flags);
  if (etcd && dataDir === '' && flags.serviceAccountSigningKeyFile === undefined) {
    throw new Error(
      'with etcd --service-account-signing-key-file is needed, the same for every API server (or --data-dir, where a single one keeps a key)',
    );
  }
}

function advertiseAddress({ advertiseAddress, bindAddress }: ApiServerFlags): string {
  if (advertiseAddress !== undefined) return advertiseAddress;
  if (bindAddress === '0.0.0.0' || bindAddress === '::') {
    throw new Error(
      `--advertise-address is needed: ${bindAddress} stands for every address of this machine, and others must know one of them`,
    );
  }
  return bindAddress;
}

function tlsFiles({ tlsCertFile, tlsPrivateKeyFile, clientCaFile, insecureLoopback }: ApiServerFlags) {
  if (insecureLoopback) {
    if (tlsCertFile || tlsPrivateKeyFile || clientCaFile)
      throw new Error('--insecure-loopback excludes --tls-cert-file, --tls-private-key-file and --client-ca-file');
    return undefined;
  }
  if (!tlsCertFile || !tlsPrivateKeyFile || !clientCaFile) {
    throw new Error(
      '--tls-cert-file, --tls-private-key-file and --client-ca-file are needed (or --insecure-loopback, for trying things out)',
    );
  }
  return { certFile: tlsCertFile, privateKeyFile: tlsPrivateKeyFile, clientCAFile: clientCaFile };
}

function ranges(text: string): readonly Prefix[] {
  const prefixes = listOf(cidr)(text);
  const small = prefixes.find(({ family, length }) => length > (family === 4 ? 30 : 126));
  if (small) throw new InvalidArgumentError(`${small.text} has no room for Services.`);
  const [first, second] = prefixes;
  if (prefixes.length > 2 || (first && second && first.family === second.family))
    throw new InvalidArgumentError('Expected one CIDR, or one of each family.');
  return prefixes;
}

function portRange(text: string): { first: number; last: number } {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || !isPort(first) || !isPort(last) || first > last)
    throw new InvalidArgumentError('Expected FIRST-LAST, such as 30000-32767.');
  return { first, last };
}
