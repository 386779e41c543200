import type { Container, Pod } from '../../objects/client.ts';
import { metadataField } from '../volumes/pod-field.ts';
import { type NodeResources, resourceValue } from '../volumes/resource-value.ts';
import { containersOf, type EnvSource, envFromOf, noReferences, type References, type ValueSource } from '../volumes/types.ts';
import { ContainerConfigError } from './errors.ts';
import { expandReferences } from './expand.ts';

/** What a container's environment may tell about where the pod runs. */
export interface PodPlace {
  readonly nodeName: string;
  /** The node's addresses, primary family first. */
  readonly hostIPs: readonly string[];
  /** The pod's addresses, primary family first. */
  readonly podIPs: readonly string[];
  /** ConfigMaps and Secrets that the pod refers to. */
  readonly references?: References;
  /** Folder of the pod's volumes. */
  readonly volumesDir?: string;
  /** What the node has. */
  readonly resources?: NodeResources;
  /** The runtime has images: their variables are not to be covered. */
  readonly ownImages?: boolean;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The variables of a container, in order: the runtime's own, those of `envFrom`, then its `env` with references expanded.
 * @throws ContainerConfigError
 */
export function containerEnvironment(pod: Pod, container: Container, place: PodPlace): ReadonlyMap<string, string> {
  const variables = new Map(
    place.ownImages
      ? []
      : [
          ['PATH', defaultPath],
          ['HOSTNAME', podHostname(pod, place.nodeName)],
          ['HOME', '/root'],
        ],
  );
  for (const source of envFromOf(container)) addAll(variables, container, source, place);
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found =
      valueFrom === undefined
        ? expandReferences(value ?? '', variables)
        : sourceValue(pod, container, name, valueFrom as ValueSource, place);
    if (found !== undefined) variables.set(name, found);
  }
  return variables;
}

/** What can be a variable: any printable name without an equals sign (KEP-4369). */
const variableName = /^[!-<>-~][ -<>-~]*$/;

/** All keys of a ConfigMap or Secret; those that can be no variable are left out. */
function addAll(variables: Map<string, string>, container: Container, source: EnvSource, { references = noReferences }: PodPlace): void {
  const { prefix = '', configMapRef, secretRef } = source;
  const { name = '', optional = false } = configMapRef ?? secretRef ?? {};
  const found = configMapRef ? references.configMap(name) : references.secret(name);
  if (!found && !optional) throw new ContainerConfigError(container.name, `${configMapRef ? 'configmap' : 'secret'} "${name}" not found`);
  for (const [key, value] of Object.entries(found?.data ?? {})) {
    if (variableName.test(prefix + key)) variables.set(prefix + key, configMapRef ? value : decode(value));
  }
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** The value that a source gives; undefined when it is optional and not there. @throws ContainerConfigError */
function sourceValue(pod: Pod, container: Container, variable: string, source: ValueSource, place: PodPlace): string | undefined {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source;
  if (fieldRef) return fieldValue(pod, container.name, fieldRef.fieldPath, place);
  if (resourceFieldRef) {
    const of = containersOf(pod).find(({ name }) => name === (resourceFieldRef.containerName ?? container.name));
    const value = of && resourceValue(of, resourceFieldRef, place.resources ?? {});
    if (value === undefined) throw new ContainerConfigError(container.name, `env ${variable}: ${resourceFieldRef.resource} has no value`);
    return value;
  }
  const reference = configMapKeyRef ?? secretKeyRef;
  if (!reference) throw new ContainerConfigError(container.name, `env ${variable}: valueFrom.${Object.keys(source)[0]} is not supported`);
  const { references = noReferences } = place;
  const found = configMapKeyRef ? references.configMap(reference.name) : references.secret(reference.name);
  if (!found && !reference.optional) {
    throw new ContainerConfigError(container.name, `${configMapKeyRef ? 'configmap' : 'secret'} "${reference.name}" not found`);
  }
  const value = found?.data?.[reference.key];
  if (value === undefined && !reference.optional) {
    const where = `${configMapKeyRef ? 'ConfigMap' : 'Secret'} ${pod.metadata.namespace}/${reference.name}`;
    throw new ContainerConfigError(container.name, `couldn't find key ${reference.key} in ${where}`);
  }
  return value === undefined || configMapKeyRef ? value : decode(value);
}

/** The name a pod has for itself. On the host's network that is the node's. */
export const podHostname = (pod: Pod, nodeName: string): string =>
  pod.spec.hostNetwork ? nodeName : (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);

/** The downward API's field paths (core/v1 ObjectFieldSelector). */
function fieldValue(pod: Pod, container: string, path: string, { nodeName, hostIPs, podIPs }: PodPlace): string {
  const fields: Record<string, string> = {
    'spec.nodeName': nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? '',
    'status.hostIP': hostIPs[0] ?? '',
    'status.hostIPs': hostIPs.join(','),
    'status.podIP': podIPs[0] ?? '',
    'status.podIPs': podIPs.join(','),
  };
  // Labels and annotations as a whole are for files alone.
  const inFiles = path === 'metadata.labels' || path === 'metadata.annotations';
  const value = Object.hasOwn(fields, path) ? fields[path] : inFiles ? undefined : metadataField(pod, path);
  if (value === undefined) {
    throw new ContainerConfigError(container, `fieldRef ${JSON.stringify(path)} is not a field path that the pod runner knows`);
  }
  return value;
}
