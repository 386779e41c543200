import type {
  ConfigMap,
  ControllerRevision,
  DaemonSet,
  Deployment,
  Endpoints,
  EndpointSlice,
  Event,
  KubeObject,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
  ReplicaSet,
  Service,
  ServiceAccount,
  StatefulSet,
} from './types/index.ts';

/** Where a kind lives in the API. The type parameter is what its objects look like. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** '' for core. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set; carries T. */
  readonly of?: T;
}

const resource = <T extends KubeObject>(group: string, version: string, plural: string, kind: string, namespaced = true): Resource<T> => ({
  group,
  version,
  plural,
  kind,
  namespaced,
});

/** The resources podwire serves and reads. */
export const resources = {
  namespaces: resource<Namespace>('', 'v1', 'namespaces', 'Namespace', false),
  nodes: resource<Node>('', 'v1', 'nodes', 'Node', false),
  pods: resource<Pod>('', 'v1', 'pods', 'Pod'),
  services: resource<Service>('', 'v1', 'services', 'Service'),
  endpoints: resource<Endpoints>('', 'v1', 'endpoints', 'Endpoints'),
  configMaps: resource<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap'),
  serviceAccounts: resource<ServiceAccount>('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  events: resource<Event>('', 'v1', 'events', 'Event'),
  endpointSlices: resource<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  networkPolicies: resource<NetworkPolicy>('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy'),
  deployments: resource<Deployment>('apps', 'v1', 'deployments', 'Deployment'),
  replicaSets: resource<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet'),
  newEvents: resource('events.k8s.io', 'v1', 'events', 'Event'),
  csiNodes: resource('storage.k8s.io', 'v1', 'csinodes', 'CSINode', false),
  csiDrivers: resource('storage.k8s.io', 'v1', 'csidrivers', 'CSIDriver', false),
  runtimeClasses: resource('node.k8s.io', 'v1', 'runtimeclasses', 'RuntimeClass', false),
  leases: resource<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  secrets: resource('', 'v1', 'secrets', 'Secret'),
  daemonSets: resource<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet'),
  statefulSets: resource<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet'),
  controllerRevisions: resource<ControllerRevision>('apps', 'v1', 'controllerrevisions', 'ControllerRevision'),
  ingresses: resource('networking.k8s.io', 'v1', 'ingresses', 'Ingress'),
  ingressClasses: resource('networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', false),
  roles: resource('rbac.authorization.k8s.io', 'v1', 'roles', 'Role'),
  roleBindings: resource('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding'),
  clusterRoles: resource('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false),
  clusterRoleBindings: resource('rbac.authorization.k8s.io', 'v1', 'clusterrolebindings', 'ClusterRoleBinding', false),
} as const;

/** `v1` or `apps/v1`. */
export const apiVersionOf = ({ group, version }: Pick<Resource, 'group' | 'version'>): string => (group ? `${group}/${version}` : version);

/** `/api/v1/namespaces/NS/pods/NAME`; without namespace the cluster-wide collection; without name the collection. */
export function resourcePath(of: Resource, namespace?: string, name?: string, subresource?: string): string {
  const parts = [of.group ? `/apis/${of.group}/${of.version}` : `/api/${of.version}`];
  if (of.namespaced && namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(of.plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join('/');
}

/** `namespace/name`, or `name` when cluster-scoped: the key of every cache and store. */
export const objectKey = ({ metadata }: { metadata: { namespace?: string; name: string } }): string =>
  metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name;
