import { createHash } from 'node:crypto';
import type { Node, Pod } from '../../objects/client.ts';
import { PodRunnerError } from '../errors.ts';

const annotation = {
  mirror: 'kubernetes.io/config.mirror',
  hash: 'kubernetes.io/config.hash',
  source: 'kubernetes.io/config.source',
  seen: 'kubernetes.io/config.seen',
};

/** True for a pod in the API that only shows a static pod. */
export const isMirrorPod = ({ metadata }: Pod): boolean => metadata.annotations?.[annotation.mirror] !== undefined;

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

/**
 * The pod that a parsed manifest describes, as it runs on the node: named `<name>-<node>`, with the hash of the manifest as its uid (a changed
 * manifest is another pod). @throws PodRunnerError naming the file and the field.
 */
export function staticPod(manifest: unknown, file: string, nodeName: string): Pod {
  const fail = (problem: string): never => {
    throw new PodRunnerError(file, problem);
  };
  if (!isObject(manifest)) return fail('is not an object');
  if (manifest['apiVersion'] !== 'v1' || manifest['kind'] !== 'Pod') return fail('must be of apiVersion v1 and kind Pod');
  const { metadata, spec } = manifest as { metadata?: unknown; spec?: unknown };
  if (!isObject(metadata) || typeof metadata['name'] !== 'string' || !dnsSubdomain.test(metadata['name']))
    return fail('metadata.name must be a DNS subdomain');
  const namespace = metadata['namespace'] ?? 'default';
  if (typeof namespace !== 'string' || !dnsLabel.test(namespace)) return fail('metadata.namespace must be a DNS label');
  if (!isObject(spec)) return fail('spec is missing');
  const containers = spec['containers'];
  if (!Array.isArray(containers) || containers.length === 0) return fail('spec.containers must hold at least one container');
  const init = spec['initContainers'] ?? [];
  if (!Array.isArray(init)) return fail('spec.initContainers must be a list');
  const names = [...init, ...containers].map((container: unknown) => (isObject(container) ? container['name'] : undefined));
  for (const [index, name] of names.entries()) {
    if (typeof name !== 'string' || !dnsLabel.test(name)) return fail(`container number ${index + 1} must have a name that is a DNS label`);
    if (names.indexOf(name) !== index) return fail(`two containers are named ${name}`);
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([manifest, nodeName]))
    .digest('hex')
    .slice(0, 32);
  const given = manifest as unknown as Pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${metadata['name']}-${nodeName}`,
      namespace,
      uid: hash,
      ...(given.metadata.labels ? { labels: given.metadata.labels } : {}),
      annotations: { ...given.metadata.annotations, [annotation.hash]: hash, [annotation.source]: 'file' },
    },
    spec: { ...given.spec, nodeName },
  };
}

/** The object that shows a static pod in the API, owned by its Node so that it goes with it. */
export function mirrorPod(pod: Pod, node: Node | undefined, seen: string): Pod {
  const { uid, ...metadata } = pod.metadata;
  const owner = { apiVersion: 'v1', kind: 'Node', name: pod.spec.nodeName!, uid: node?.metadata.uid ?? '', controller: true };
  return {
    ...pod,
    metadata: {
      ...metadata,
      annotations: { ...metadata.annotations, [annotation.mirror]: uid!, [annotation.seen]: seen },
      ...(node?.metadata.uid ? { ownerReferences: [owner] } : {}),
    },
    spec: { ...pod.spec, tolerations: [{ operator: 'Exists', effect: 'NoExecute' }, ...(pod.spec.tolerations ?? [])] },
  };
}

/** Whether the object in the API shows this static pod as it is now. */
export const mirrors = (mirror: Pod, pod: Pod): boolean =>
  mirror.metadata.annotations?.[annotation.mirror] === pod.metadata.uid && !mirror.metadata.deletionTimestamp;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
