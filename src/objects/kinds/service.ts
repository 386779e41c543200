import { applyServiceDefaults, carryAllocatedValues, normalizeClusterIPs } from '../defaults/service.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, formatLabels, nameColumn, orNone, wideColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { LoadBalancerIngress, Service } from '../types/index.ts';
import { dns1035Label } from '../validation/names.ts';
import { validateService } from '../validation/service.ts';
import { declareKind } from './declare.ts';

export const serviceKind = declareKind({
  resource: resources.services,
  createsOnUpdate: true,
  returnsDeleted: true,
  shortNames: ['svc'],
  categories: ['all'],
  subresources: { status: true },
  nameRule: dns1035Label,
  defaults: (service) => applyServiceDefaults(service as AnyObject & Service),
  onCreate(service) {
    normalizeClusterIPs(service.spec, undefined);
    service.status = { loadBalancer: {} };
  },
  onUpdate(service, old) {
    normalizeClusterIPs(service.spec, old.spec);
    carryAllocatedValues(service.spec, old.spec);
    // Another type loses the addresses that the load balancer gave.
    if (old.spec.type === 'LoadBalancer' && service.spec.type !== 'LoadBalancer') service.status = { ...service.status, loadBalancer: {} };
  },
  validate: validateService,
  columns: [
    nameColumn,
    column('Type', 'ClusterIP, NodePort, LoadBalancer or ExternalName.', ({ spec }) => spec?.type ?? ''),
    column('Cluster-IP', 'First cluster IP.', ({ spec }) => orNone(spec?.clusterIPs?.[0] ?? spec?.clusterIP)),
    column('External-IP', 'Addresses outside the cluster.', externalIPs),
    column('Port(s)', 'Ports, with their node ports.', ({ spec }) => formatPorts(spec?.ports ?? [])),
    ageColumn,
    wideColumn('Selector', 'Labels of the pods behind it.', ({ spec }) => formatLabels(spec?.selector)),
  ],
  selectable: { 'spec.clusterIP': ({ spec }) => spec?.clusterIP, 'spec.type': ({ spec }) => spec?.type },
});

function externalIPs({ spec, status }: AnyObject): string {
  const listed: string[] = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'LoadBalancer': {
      const given: LoadBalancerIngress[] = status?.loadBalancer?.ingress ?? [];
      const all = [...given.map(({ ip, hostname }) => ip || hostname || ''), ...listed];
      return all.length > 0 ? all.join(',') : '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return orNone(listed.join(','));
  }
}

function formatPorts(ports: readonly { port: number; nodePort?: number; protocol?: string }[]): string {
  return orNone(ports.map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`).join(','));
}
