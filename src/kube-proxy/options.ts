import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { ipvsSchedulers } from '../dataplane/ipvs.ts';
import { type Family, type Prefix, parsePrefix, tryParsePrefix } from '../net/index.ts';
import { ProxyError } from './errors.ts';

/** Options of the service proxy, with kube-proxy's defaults unless said otherwise. */
export const proxyOptionsSchema = Type.Object(
  {
    nodeName: Type.String({ minLength: 1, maxLength: 253, description: 'name of the Node object of this machine' }),
    mode: Type.Union([Type.Literal('iptables'), Type.Literal('ipvs'), Type.Literal('nftables')], {
      default: 'iptables',
      description: 'iptables, ipvs or nftables',
    }),
    nftablesLayout: Type.Union([Type.Literal('fast'), Type.Literal('compat')], {
      default: 'fast',
      description: "fast: data in maps alone; compat: kube-proxy's chains",
    }),
    serviceCIDRs: Type.Array(Type.String(), {
      default: [],
      description: 'CIDRs of cluster IPs: what goes to one that no service has is dropped (nftables)',
    }),
    families: Type.Array(Type.Union([Type.Literal('IPv4'), Type.Literal('IPv6')]), { minItems: 1, default: ['IPv4', 'IPv6'] }),
    clusterCIDRs: Type.Array(Type.String(), { default: [], description: 'pod CIDRs of the cluster, at most one of each family' }),
    detectLocalMode: Type.Union(
      [Type.Literal('ClusterCIDR'), Type.Literal('NodeCIDR'), Type.Literal('BridgeInterface'), Type.Literal('InterfaceNamePrefix')],
      { default: 'ClusterCIDR', description: "how traffic of this node's pods (or the cluster's) is told from traffic of others" },
    ),
    podBridgeInterface: Type.String({ default: '', maxLength: 15 }),
    podInterfaceNamePrefix: Type.String({ default: '', maxLength: 15 }),
    masqueradeAll: Type.Boolean({ default: false, description: 'masquerade everything that goes to a cluster IP' }),
    masqueradeBit: Type.Integer({ default: 14, minimum: 0, maximum: 31, description: 'bit of the packet mark that asks for masquerading' }),
    nodePortAddresses: Type.Array(Type.String(), {
      default: [],
      description: 'CIDRs whose addresses serve node ports, or "primary"; empty means every address',
    }),
    localhostNodePorts: Type.Boolean({ default: true, description: 'serve IPv4 node ports on 127.0.0.1 too (sets route_localnet)' }),
    minSyncPeriod: Type.Number({
      default: 50,
      minimum: 0,
      description: 'least time between two syncs, ms (kube-proxy: 1000; a sync here costs less)',
    }),
    syncBurst: Type.Integer({
      default: 2,
      minimum: 1,
      maximum: 100,
      description: 'syncs that may follow each other at once after a quiet time, before the least time between two holds',
    }),
    syncPeriod: Type.Number({ default: 30_000, minimum: 50, description: 'how often the kernel is read and repaired, ms' }),
    iptables: Type.Union([Type.Literal('auto'), Type.Literal('nft'), Type.Literal('legacy')], {
      default: 'auto',
      description: 'which iptables to drive; auto takes the one that `iptables` stands for',
    }),
    ipvsScheduler: Type.String({
      default: 'rr',
      pattern: `^(${ipvsSchedulers.join('|')})$`,
      description: 'how IPVS chooses an endpoint, unless a service says',
    }),
    ipvsExcludeCIDRs: Type.Array(Type.String(), { default: [], description: 'virtual servers in these CIDRs are left alone' }),
    ipvsStrictARP: Type.Boolean({
      default: false,
      description: 'answer ARP only for addresses of the link asked on (arp_ignore 1, arp_announce 2)',
    }),
    ipvsGracefulPeriod: Type.Number({
      default: 900_000,
      minimum: 0,
      description: 'how long an endpoint that is gone may keep its connections at the most, ms; it takes no new ones',
    }),
    ipvsTCPTimeout: Type.Number({ default: 0, minimum: 0, description: 'of idle IPVS connections, ms; 0 leaves it alone' }),
    ipvsTCPFinTimeout: Type.Number({ default: 0, minimum: 0, description: 'after a FIN, ms; 0 leaves it alone' }),
    ipvsUDPTimeout: Type.Number({ default: 0, minimum: 0, description: 'of idle IPVS UDP flows, ms; 0 leaves it alone' }),
    conntrack: Type.Object(
      {
        maxPerCore: Type.Integer({
          default: 32_768,
          minimum: 0,
          description: 'entries of connection tracking for each core; 0 leaves the limit alone',
        }),
        min: Type.Integer({ default: 131_072, minimum: 0, description: 'entries of connection tracking at least' }),
        tcpEstablishedTimeout: Type.Number({ default: 86_400_000, minimum: 0, description: 'ms; 0 leaves it alone, as with the others' }),
        tcpCloseWaitTimeout: Type.Number({ default: 3_600_000, minimum: 0, description: 'ms' }),
        tcpBeLiberal: Type.Boolean({ default: false, description: 'let packets out of their TCP window pass' }),
        udpTimeout: Type.Number({ default: 0, minimum: 0, description: 'ms' }),
        udpStreamTimeout: Type.Number({ default: 0, minimum: 0, description: 'ms' }),
      },
      { additionalProperties: false, default: {} },
    ),
    iptablesDispatch: Type.Union([Type.Literal('flat'), Type.Literal('bucketed')], {
      default: 'flat',
      description:
        "flat: kube-proxy's one long chain of services; bucketed: chains for blocks of addresses, so that the last service is as near as the first",
    }),
    lockTimeout: Type.Integer({ default: 5, minimum: 0, maximum: 600, description: 'seconds to wait for the xtables lock' }),
  },
  { additionalProperties: false },
);

/** What a caller gives: only `nodeName` is required. */
export type ProxyOptionsInput = Pick<Static<typeof proxyOptionsSchema>, 'nodeName'> &
  Partial<Omit<Static<typeof proxyOptionsSchema>, 'conntrack'>> & {
    readonly conntrack?: Partial<Static<typeof proxyOptionsSchema>['conntrack']>;
  };
export type ProxyOptions = Readonly<Static<typeof proxyOptionsSchema>>;

/** Fills in the defaults, checks and freezes. @throws ProxyError naming the option and the reason. */
export function resolveProxyOptions(input: ProxyOptionsInput): ProxyOptions {
  const options = Value.Default(proxyOptionsSchema, structuredClone(input));
  if (!Value.Check(proxyOptionsSchema, options)) {
    const [error] = Value.Errors(proxyOptionsSchema, options);
    throw new ProxyError('invalid-options', `proxy option ${error?.instancePath.slice(1) || 'object'}: ${error?.message ?? 'is invalid'}`);
  }
  checkCIDRs('serviceCIDRs', options.serviceCIDRs);
  checkCIDRs('clusterCIDRs', options.clusterCIDRs);
  checkCIDRs('ipvsExcludeCIDRs', options.ipvsExcludeCIDRs);
  if (options.clusterCIDRs.length > new Set(options.clusterCIDRs.map((text) => parsePrefix(text).family)).size) {
    throw new ProxyError('invalid-options', 'proxy option clusterCIDRs: at most one CIDR of each family');
  }
  checkCIDRs(
    'nodePortAddresses',
    options.nodePortAddresses[0] === 'primary' && options.nodePortAddresses.length === 1 ? [] : options.nodePortAddresses,
  );
  if (options.detectLocalMode === 'BridgeInterface' && options.podBridgeInterface === '') {
    throw new ProxyError('invalid-options', 'proxy option podBridgeInterface: needed with detectLocalMode BridgeInterface');
  }
  if (options.detectLocalMode === 'InterfaceNamePrefix' && options.podInterfaceNamePrefix === '') {
    throw new ProxyError('invalid-options', 'proxy option podInterfaceNamePrefix: needed with detectLocalMode InterfaceNamePrefix');
  }
  for (const name of ['podBridgeInterface', 'podInterfaceNamePrefix'] as const) {
    if (!/^[\w.@-]*$/.test(options[name]))
      throw new ProxyError('invalid-options', `proxy option ${name}: ${JSON.stringify(options[name])} is not a link name`);
  }
  return Object.freeze(options);
}

function checkCIDRs(option: string, texts: readonly string[]): void {
  for (const text of texts) {
    if (!tryParsePrefix(text))
      throw new ProxyError('invalid-options', `proxy option ${option}: ${JSON.stringify(text)} is not a CIDR such as 10.244.0.0/16`);
  }
}

/** The prefixes of one family. */
export const prefixesOf = (texts: readonly string[], family: Family): Prefix[] =>
  texts.map((text) => parsePrefix(text)).filter((prefix) => prefix.family === family);
