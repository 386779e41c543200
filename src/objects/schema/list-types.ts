// How lists and maps merge in server-side apply, where the tables of kubernetes.json do not say so already.
//
// A list that strategic merge patch merges is a map by its merge key (or a set when it has none), and every other list is atomic: a default that
// the reference derives in the same way. What is here are the fields whose `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and
// `x-kubernetes-map-type` say otherwise. kubectl does not carry these markers, so this table is kept by hand.
// Source: the OpenAPI document of Kubernetes 1.33 (api/openapi-spec, and the apply configurations of client-go made from it).

const core = 'k8s.io.api.core.v1.';
const meta = 'k8s.io.apimachinery.pkg.apis.meta.v1.';

/** `MESSAGE.FIELD` to `atomic`, `set`, or the keys of a map, joined by blanks. */
export const listTypes: Readonly<Record<string, string>> = {
  [`${core}Container.ports`]: 'containerPort protocol',
  [`${core}EphemeralContainerCommon.ports`]: 'containerPort protocol',
  [`${core}PodSpec.topologySpreadConstraints`]: 'topologyKey whenUnsatisfiable',
  [`${core}PodStatus.hostIPs`]: 'atomic',
  [`${core}ResourceRequirements.claims`]: 'name',
  [`${core}ResourceStatus.resources`]: 'resourceID',
  [`${core}ServiceSpec.ports`]: 'port protocol',
  'k8s.io.api.discovery.v1.Endpoint.addresses': 'set',
  'k8s.io.api.storage.v1.CSIDriverSpec.volumeLifecycleModes': 'set',
};

/** Messages that are owned as a whole. */
export const atomicMessages: ReadonlySet<string> = new Set([
  ...[
    ...['ConfigMapKeySelector', 'EndpointAddress', 'EndpointPort', 'LocalObjectReference', 'NodeSelector', 'NodeSelectorTerm'],
    ...['ObjectFieldSelector', 'ObjectReference', 'ResourceFieldSelector', 'ScopeSelector', 'SecretKeySelector', 'SecretReference'],
    ...['TopologySelectorTerm', 'TypedLocalObjectReference'],
  ].map((name) => core + name),
  `${meta}LabelSelector`,
  `${meta}OwnerReference`,
  'k8s.io.api.discovery.v1.EndpointPort',
  'k8s.io.api.rbac.v1.RoleRef',
  'k8s.io.api.rbac.v1.Subject',
]);

/** `MESSAGE.FIELD` of the maps that are owned as a whole. */
export const atomicMaps: ReadonlySet<string> = new Set([
  `${core}PodSpec.nodeSelector`,
  `${core}ServiceSpec.selector`,
  'k8s.io.api.node.v1.Scheduling.nodeSelector',
]);

/** `MESSAGE.FIELD` to the value that a list's key has when it is left out. */
export const keyDefaults: Readonly<Record<string, string>> = {
  [`${core}ContainerPort.protocol`]: 'TCP',
  [`${core}ServicePort.protocol`]: 'TCP',
};
