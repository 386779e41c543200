import { type Prefix, prefixContains, tryParseAddress } from '../net/index.ts';
import { objectKey, resources, type Service } from '../objects/client.ts';
import type { EventNote } from './action.ts';
import { type Controller, watch } from './controller.ts';
import { byAge } from './metadata.ts';

/**
 * The API server gives out cluster IPs and node ports; this loop checks what it gave, as the reference's repair loops do, and tells of addresses
 * outside the service CIDRs and of what two services share, in Events of the younger one. It changes nothing: only the user can tell which is right.
 */
export const serviceRepairController = (serviceCidrs: readonly Prefix[]): Controller => ({
  name: 'service_repair',
  component: 'ipallocator-repair-controller',
  workers: 1,
  watches: [
    watch(resources.services, (before, after) => (before && after && allocation(before) === allocation(after) ? [] : ['services'])),
  ],
  reconcile: (_key, view) => ({
    actions: findProblems(view.list(resources.services), serviceCidrs).map((event) => ({ do: 'event', event })),
  }),
});

const ipsOf = ({ spec }: Service): string[] =>
  (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((ip) => ip !== '' && ip !== 'None');
const nodePortsOf = ({ spec }: Service): string[] => [
  ...(spec.ports ?? []).flatMap(({ nodePort, protocol = 'TCP' }) => (nodePort ? [`${nodePort}/${protocol}`] : [])),
  ...(spec.healthCheckNodePort ? [`${spec.healthCheckNodePort}/TCP`] : []),
];
const allocation = (service: Service): string => JSON.stringify([ipsOf(service), nodePortsOf(service)]);

/** What is wrong with the addresses and ports of the services. Pure; the oldest service is taken for the rightful owner. */
export function findProblems(services: readonly Service[], serviceCidrs: readonly Prefix[]): EventNote[] {
  const problems: EventNote[] = [];
  const owners = new Map<string, Service>();
  for (const service of [...services].sort(byAge)) {
    const warn = (reason: string, message: string): void => void problems.push({ regarding: service, type: 'Warning', reason, message });
    for (const ip of ipsOf(service)) {
      const address = tryParseAddress(ip);
      const range = address && serviceCidrs.find(({ family }) => family === address.family);
      if (!address) warn('ClusterIPNotValid', `Cluster IP ${ip} is not a valid IP; please recreate service`);
      else if (!range || !prefixContains(range, address)) {
        warn(
          'ClusterIPOutOfRange',
          `Cluster IP ${ip} is not within the service CIDR ${range?.text ?? `(none of IPv${address.family})`}; please recreate service`,
        );
      }
    }
    for (const [what, reason] of [
      ...ipsOf(service).map((ip) => [`Cluster IP ${ip}`, 'ClusterIPAlreadyAllocated']),
      ...nodePortsOf(service).map((port) => [`Port ${port}`, 'PortAlreadyAllocated']),
    ] as const) {
      const owner = owners.get(what!);
      if (owner && owner !== service)
        warn(reason!, `${what} was assigned to multiple services, ${objectKey(owner)} too; please recreate service`);
      else owners.set(what!, service);
    }
  }
  return problems;
}
