import { type ControllerRevision, type Pod, type PodTemplate, resources, type StatefulSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { controllerReference } from '../metadata.ts';
import { revisionHashLabel, templateOf } from '../revisions/history.ts';

const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export const nameOf = ({ metadata }: StatefulSet, ordinal: number): string => `${metadata.name}-${ordinal}`;

/** The ordinal in the pod's name; undefined when that is not one that the set would give. */
export function ordinalOf({ metadata }: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${metadata.name}-`;
  const rest = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : '';
  return /^\d{1,10}$/.test(rest) ? Number(rest) : undefined;
}

/** The name of the revision that the pod was made from. */
export const revisionOfPod = ({ metadata }: Pod): string | undefined => metadata.labels?.[revisionHashLabel];

const identityLabels = (set: StatefulSet, ordinal: number): Record<string, string> => ({
  [podNameLabel]: nameOf(set, ordinal),
  [podIndexLabel]: String(ordinal),
});

/** The pod with this ordinal: its name is its host name, and with the set's service its name in DNS, whatever node it comes to. */
export function createPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Action {
  const template: PodTemplate = templateOf(revision) ?? set.spec.template;
  const name = nameOf(set, ordinal);
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? 'default',
      labels: { ...template.metadata?.labels, ...identityLabels(set, ordinal), [revisionHashLabel]: revision.metadata.name },
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [controllerReference({ ...set, apiVersion: 'apps/v1', kind: 'StatefulSet' })],
    },
    spec: { ...template.spec, hostname: name, ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}) },
  };
  return { do: 'create', resource: resources.pods, object: pod, ...notes(set, name, 'create') };
}

export const deletePod = (set: StatefulSet, pod: Pod): Action => ({
  do: 'delete',
  resource: resources.pods,
  object: pod,
  ...notes(set, pod.metadata.name, 'delete'),
});

/** Puts back labels that tell who the pod is; undefined when they are there. */
export function repairIdentity(set: StatefulSet, ordinal: number, pod: Pod): Action | undefined {
  const labels = identityLabels(set, ordinal);
  if (pod.metadata.labels?.[podNameLabel] === labels[podNameLabel]) return undefined;
  const patch = { metadata: { uid: pod.metadata.uid, labels } };
  return { do: 'patch', resource: resources.pods, object: pod, patch, ...notes(set, pod.metadata.name, 'update') };
}

/** Events as the reference words them, `{error}` to be filled in. */
function notes(set: StatefulSet, pod: string, verb: 'create' | 'update' | 'delete') {
  const title = verb[0]!.toUpperCase() + verb.slice(1);
  const what = `${verb} Pod ${pod} in StatefulSet ${set.metadata.name}`;
  return {
    success: { regarding: set, type: 'Normal', reason: `Successful${title}`, message: `${what} successful` },
    failure: { regarding: set, type: 'Warning', reason: `Failed${title}`, message: `${what} failed error: {error}` },
  } as const;
}
