import type { Pod } from '../../objects/client.ts';
import { podHostname } from './environment.ts';

export interface ClusterNames {
  /** Addresses of the cluster's DNS service. */
  readonly clusterDNS: readonly string[];
  readonly clusterDomain: string;
}

/** Files below /etc that a pod gets of its own, by name. What is absent stays the node's. */
export type NameFiles = Readonly<Partial<Record<'resolv.conf' | 'hosts' | 'hostname', string>>>;

/** resolv.conf, hosts and hostname of a pod. A pod on the host's network keeps the node's, unless its dnsPolicy asks for the cluster's. */
export function nameFiles(pod: Pod, podIPs: readonly string[], names: ClusterNames, nodeName: string): NameFiles {
  const resolver = resolvConf(pod, names);
  return {
    ...(resolver === undefined ? {} : { 'resolv.conf': resolver }),
    ...(pod.spec.hostNetwork ? {} : { hosts: hostsFile(pod, podIPs, names.clusterDomain), hostname: `${podHostname(pod, nodeName)}\n` }),
  };
}

/** glibc reads three name servers at most. */
const mostNameServers = 3;

/** The resolver configuration by dnsPolicy (core/v1 PodSpec); undefined is the node's own. */
function resolvConf({ metadata, spec }: Pod, { clusterDNS, clusterDomain }: ClusterNames): string | undefined {
  const policy = spec.dnsPolicy ?? 'ClusterFirst';
  const ofCluster = clusterDNS.length > 0 && (policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !spec.hostNetwork));
  if (!ofCluster && policy !== 'None') return undefined;
  const own = ofCluster
    ? {
        servers: clusterDNS,
        searches: [`${metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain],
        options: { ndots: '5' },
      }
    : { servers: [], searches: [], options: {} };
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {};
  const servers = [...new Set([...own.servers, ...nameservers])].slice(0, mostNameServers);
  const search = [...new Set([...own.searches, ...searches])];
  const merged = Object.entries({ ...own.options, ...Object.fromEntries(options.map(({ name, value }) => [name, value ?? ''])) });
  return [
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(merged.length > 0 ? [`options ${merged.map(([name, value]) => (value ? `${name}:${value}` : name)).join(' ')}`] : []),
    '',
  ].join('\n');
}

function hostsFile(pod: Pod, podIPs: readonly string[], clusterDomain: string): string {
  const { spec, metadata } = pod;
  const hostname = podHostname(pod, '');
  const names = spec.subdomain ? `${hostname}.${spec.subdomain}.${metadata.namespace}.svc.${clusterDomain}\t${hostname}` : hostname;
  return [
    '# This hosts file is kept by the pod runner.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    ...podIPs.map((address) => `${address}\t${names}`),
    ...(spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}`),
    '',
  ].join('\n');
}
