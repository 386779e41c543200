import { parseDuration } from '../../objects/client.ts';
import { ProxyError } from '../errors.ts';
import type { ProxyOptionsInput } from '../options.ts';
import { type ReadConfiguration, readConfiguration } from './read.ts';
import type { ConfigurationFile } from './schema.ts';

/** Where to listen. */
export interface BindAddress {
  readonly host: string;
  readonly port: number;
}

/** What a KubeProxyConfiguration asks for. A key that is not there was not said, and keeps its default. */
export interface ProxySettings {
  /** Without the node's name, when the file has no `hostnameOverride`. */
  readonly options: Partial<ProxyOptionsInput>;
  readonly kubeconfig?: string;
  readonly healthzBindAddress?: BindAddress;
  readonly metricsBindAddress?: BindAddress;
  /** As of klog: 0 to 10. */
  readonly verbosity?: number;
  /** -1000 to 1000. */
  readonly oomScoreAdj?: number;
  readonly warnings: readonly string[];
}

/** Ports of kube-proxy's servers, where the file names an address alone. */
export const healthzPort = 10_256;
export const metricsPort = 10_249;

/** Reads a KubeProxyConfiguration and says what it asks for. `source` names the file. @throws ProxyError naming the file, the field and the reason */
export function parseConfiguration(text: string, source: string): ProxySettings {
  return settingsOf(readConfiguration(text, source), source);
}

function settingsOf({ file, warnings }: ReadConfiguration, source: string): ProxySettings {
  const fields = fieldReaders(source);
  const { durations, bounded, oneOf, bind } = fields;
  // An empty mode is the best one, which kube-proxy takes to be iptables.
  const mode = oneOf('mode', file.mode || undefined, ['iptables', 'ipvs', 'nftables']);
  const ofMode = (mode === 'nftables' ? file.nftables : file.iptables) ?? {};
  const name = mode === 'nftables' ? 'nftables' : 'iptables';
  const periods = mode === 'ipvs' ? { name: 'ipvs', from: file.ipvs ?? {} } : { name, from: ofMode };
  const syncPeriod = durations(`${periods.name}.syncPeriod`, periods.from.syncPeriod, 'positive');
  const minSyncPeriod = durations(`${periods.name}.minSyncPeriod`, periods.from.minSyncPeriod);
  if (minSyncPeriod !== undefined && minSyncPeriod > (syncPeriod ?? 30_000))
    fields.fail(
      `${periods.name}.syncPeriod`,
      periods.from.syncPeriod ?? '30s',
      `must be greater than or equal to ${periods.name}.minSyncPeriod`,
    );
  const options = {
    nodeName: file.hostnameOverride?.trim().toLowerCase() || undefined,
    mode,
    clusterCIDRs: split(file.clusterCIDR),
    detectLocalMode: oneOf('detectLocalMode', file.detectLocalMode || undefined, [
      'ClusterCIDR',
      'NodeCIDR',
      'BridgeInterface',
      'InterfaceNamePrefix',
    ]),
    podBridgeInterface: file.detectLocal?.bridgeInterface ?? undefined,
    podInterfaceNamePrefix: file.detectLocal?.interfaceNamePrefix ?? undefined,
    masqueradeAll: ofMode.masqueradeAll ?? undefined,
    masqueradeBit: bounded(`${name}.masqueradeBit`, ofMode.masqueradeBit, 0, 31),
    localhostNodePorts: file.iptables?.localhostNodePorts ?? undefined,
    nodePortAddresses: file.nodePortAddresses ?? undefined,
    syncPeriod,
    minSyncPeriod,
    conntrack: conntrackOf(file, fields),
    ...ipvsOf(file, fields),
  };
  return withoutUndefined({
    options: withoutUndefined(options),
    kubeconfig: file.clientConnection?.kubeconfig || undefined,
    healthzBindAddress: bind('healthzBindAddress', file.healthzBindAddress, healthzPort),
    metricsBindAddress: bind('metricsBindAddress', file.metricsBindAddress, metricsPort),
    verbosity: bounded('logging.verbosity', file.logging?.verbosity, 0, 100),
    oomScoreAdj: bounded('oomScoreAdj', file.oomScoreAdj, -1_000, 1_000),
    warnings,
  }) as ProxySettings;
}

function conntrackOf({ conntrack }: ConfigurationFile, { bounded, durations }: FieldReaders) {
  if (!conntrack) return undefined;
  return withoutUndefined({
    maxPerCore: bounded('conntrack.maxPerCore', conntrack.maxPerCore, 0, 0x7fff_ffff),
    min: bounded('conntrack.min', conntrack.min, 0, 0x7fff_ffff),
    tcpEstablishedTimeout: durations('conntrack.tcpEstablishedTimeout', conntrack.tcpEstablishedTimeout),
    tcpCloseWaitTimeout: durations('conntrack.tcpCloseWaitTimeout', conntrack.tcpCloseWaitTimeout),
    udpTimeout: durations('conntrack.udpTimeout', conntrack.udpTimeout),
    udpStreamTimeout: durations('conntrack.udpStreamTimeout', conntrack.udpStreamTimeout),
    tcpBeLiberal: conntrack.tcpBeLiberal ?? undefined,
  });
}

function ipvsOf({ ipvs }: ConfigurationFile, { durations }: FieldReaders) {
  if (!ipvs) return {};
  return {
    ipvsScheduler: ipvs.scheduler || undefined,
    ipvsExcludeCIDRs: ipvs.excludeCIDRs ?? undefined,
    ipvsStrictARP: ipvs.strictARP ?? undefined,
    ipvsTCPTimeout: durations('ipvs.tcpTimeout', ipvs.tcpTimeout),
    ipvsTCPFinTimeout: durations('ipvs.tcpFinTimeout', ipvs.tcpFinTimeout),
    ipvsUDPTimeout: durations('ipvs.udpTimeout', ipvs.udpTimeout),
  };
}

type FieldReaders = ReturnType<typeof fieldReaders>;

/** Each takes the field's name and value and gives undefined when it was not said. */
function fieldReaders(source: string) {
  const fail = (field: string, value: unknown, reason: string): never => {
    throw new ProxyError('invalid-configuration', `${source}: ${field}: Invalid value: ${JSON.stringify(value)}: ${reason}`);
  };
  return {
    fail,
    /** metav1.Duration to milliseconds. Zero where it must be positive stands for the default, as with kube-proxy. */
    durations(field: string, value: string | null | undefined, sign?: 'positive'): number | undefined {
      if (value === undefined || value === null || value === '') return undefined;
      const milliseconds = parseDuration(value);
      if (milliseconds === undefined) return fail(field, value, 'must be a duration such as 30s');
      if (milliseconds < 0) return fail(field, value, sign ? 'must be greater than 0' : 'must be greater than or equal to 0');
      return milliseconds === 0 && sign ? undefined : milliseconds;
    },
    bounded(field: string, value: number | null | undefined, least: number, most: number): number | undefined {
      if (value === undefined || value === null) return undefined;
      return value >= least && value <= most ? value : fail(field, value, `must be within the range [${least}, ${most}]`);
    },
    oneOf<Word extends string>(field: string, value: string | undefined, words: readonly Word[]): Word | undefined {
      if (value === undefined) return undefined;
      return words.find((word) => word === value) ?? fail(field, value, `must be ${words.join(',')} or blank`);
    },
    /** `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. */
    bind(field: string, value: string | null | undefined, defaultPort: number): BindAddress | undefined {
      if (value === undefined || value === null || value === '') return undefined;
      const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|([0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*))(?::(\d{1,5}))?$/.exec(value);
      const port = match?.[4] === undefined ? defaultPort : Number(match[4]);
      if (!match || port > 65_535) return fail(field, value, 'must be IP:port');
      return { host: match[1] ?? match[2] ?? match[3]!, port };
    },
  };
}

const split = (text: string | null | undefined): string[] | undefined =>
  text
    ? text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    : undefined;

function withoutUndefined<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
