// Defaults of a PodSpec, in pods and in templates (the reference's pkg/apis/core/v1/defaults.go). All in place.
// biome-ignore-all lint: pod specs come over the wire
type Any = any;

const socketDefaults = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
const volumeModes = ['secret', 'configMap', 'downwardAPI', 'projected'];

/** Fills in what a pod spec leaves out. */
export function applyPodSpecDefaults(spec: Any): void {
  spec.restartPolicy ??= 'Always';
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ??= 'default-scheduler';
  spec.securityContext ??= {};
  // The old name of the field goes along with the new one.
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount;
  for (const container of containersOf(spec)) applyContainerDefaults(container, spec.hostNetwork === true);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
}

/** Fills in what a pod leaves out beyond that: these come to pods alone, templates stay as they were written. */
export function applyPodDefaults(spec: Any): void {
  spec.enableServiceLinks ??= true;
  for (const { resources } of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    for (const [name, limit] of Object.entries(resources?.limits ?? {})) {
      resources.requests ??= {};
      resources.requests[name] ??= limit;
    }
  }
}

/** As {@link applyPodSpecDefaults} for the pod template of a workload's spec, which in Go is always there. */
export function applyTemplateDefaults(spec: Any): void {
  spec.template ??= {};
  applyPodSpecDefaults((spec.template.spec ??= {}));
}

/** All containers of a pod spec, init and ephemeral ones too. */
export const containersOf = (spec: Any): Any[] => [
  ...(spec?.initContainers ?? []),
  ...(spec?.containers ?? []),
  ...(spec?.ephemeralContainers ?? []),
];

function applyContainerDefaults(container: Any, hostNetwork: boolean): void {
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.imagePullPolicy ??= pullPolicy(container.image ?? '');
  container.resources ??= {};
  for (const port of container.ports ?? []) {
    port.protocol ??= 'TCP';
    if (hostNetwork && !port.hostPort && port.containerPort) port.hostPort = port.containerPort;
  }
  for (const variable of container.env ?? []) {
    if (variable.valueFrom?.fieldRef) variable.valueFrom.fieldRef.apiVersion ??= 'v1';
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) if (probe) applyProbeDefaults(probe);
  for (const hook of [container.lifecycle?.postStart, container.lifecycle?.preStop]) if (hook?.httpGet) applyHttpDefaults(hook.httpGet);
}

function applyProbeDefaults(probe: Any): void {
  for (const [field, value] of Object.entries(socketDefaults)) if (!probe[field]) probe[field] = value;
  if (probe.httpGet) applyHttpDefaults(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function applyHttpDefaults(action: Any): void {
  action.path ??= '/';
  action.scheme ??= 'HTTP';
}

function applyVolumeDefaults(volume: Any): void {
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  for (const source of volumeModes) if (volume[source]) volume[source].defaultMode ??= 0o644;
  if (volume.hostPath) volume.hostPath.type ??= '';
  for (const source of volume.projected?.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600;
  }
}

/** `Always` for the tag latest or none, `IfNotPresent` for another tag or a digest. */
function pullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}
