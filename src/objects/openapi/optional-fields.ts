/**
 * Fields that Go writes always and a client may leave out all the same: the reference marks them `+optional` though their JSON tag lacks
 * omitempty (k8s.io/api types.go). Every other field that is always written is required, in OpenAPI's sense.
 */
export const optionalFields: ReadonlySet<string> = new Set([
  'k8s.io.api.apps.v1.StatefulSetOrdinals.start',
  'k8s.io.api.apps.v1.StatefulSetStatus.availableReplicas',
  'k8s.io.api.authentication.v1.TokenRequestSpec.boundObjectRef',
  'k8s.io.api.authentication.v1.TokenRequestSpec.expirationSeconds',
  'k8s.io.api.core.v1.Event.reportingComponent',
  'k8s.io.api.core.v1.Event.reportingInstance',
  'k8s.io.api.core.v1.GRPCAction.service',
  'k8s.io.api.core.v1.ProjectedVolumeSource.sources',
  'k8s.io.api.core.v1.TypedLocalObjectReference.apiGroup',
  'k8s.io.api.core.v1.TypedObjectReference.apiGroup',
  'k8s.io.api.discovery.v1.EndpointSlice.ports',
  'k8s.io.api.networking.v1.IngressClassParametersReference.scope',
  'k8s.io.api.rbac.v1.ClusterRole.rules',
  'k8s.io.api.rbac.v1.Role.rules',
  'k8s.io.api.storage.v1.CSINodeDriver.topologyKeys',
]);
