import type { BgpReport } from '../bgp/index.ts';
import type { CniReport } from '../cni-plugin/index.ts';
import type { DnsReport } from '../dns/index.ts';
import type { ProxyReport } from '../kube-proxy/index.ts';
import type { NetpolReport } from '../netpol/index.ts';
import type { HealthReport } from '../runtime/health.ts';
import type { AgentStatus } from './status.ts';

/** The daemons of an agent, as far as their reports go. */
export interface AgentReports {
  cni(): CniReport;
  bgp(): BgpReport;
  proxy(): ProxyReport;
  netpol(): NetpolReport;
  dns(): DnsReport;
}

/** The reports of all daemons as one status. Pure. */
export function agentStatus(node: string, processId: number, ready: HealthReport, reports: AgentReports): AgentStatus {
  const [cni, bgp, proxy, netpol, dns] = [reports.cni(), reports.bgp(), reports.proxy(), reports.netpol(), reports.dns()];
  return {
    node,
    processId,
    problems: ready.checks.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
    attachments: {
      podCidrs: cni.podCIDRs,
      items: cni.attachments.map(({ pod, interface: name, addresses }) => ({ pod, interface: name, addresses })),
    },
    routing: {
      asn: bgp.asn,
      routerId: bgp.routerId ?? '',
      peers: bgp.peers.map((peer) => ({
        name: peer.name,
        address: peer.address,
        asn: peer.asn,
        state: peer.state,
        uptimeSeconds: peer.uptime ?? 0,
        received: peer.received,
        accepted: peer.accepted,
        advertised: peer.advertised,
        lastError: peer.lastError ?? '',
      })),
      routes: bgp.routes
        .filter(({ from }) => from !== 'local')
        .map(({ prefix, nextHop, from, reason, inKernel }) => ({ prefix, nextHop, peer: from, reason, inKernel })),
      advertised: bgp.routes.filter(({ from }) => from === 'local').map(({ prefix }) => prefix),
    },
    proxy: { mode: proxy.mode, services: proxy.services, lastSync: proxy.lastSync },
    policies: {
      items: netpol.policies.map(({ namespace, name, directions, pods }) => ({ name: `${namespace}/${name}`, directions, pods })),
      droppedIngress: netpol.drops.ingress,
      droppedEgress: netpol.drops.egress,
    },
    dns: {
      zone: dns.zone,
      records: Object.values(dns.records).reduce((sum, count) => sum + count, 0),
      queries: dns.queries.total,
      listening: dns.listening,
      synced: dns.synced,
    },
  };
}
