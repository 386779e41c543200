import { type DaemonSet, type Node, type Pod, type PodSpec, resources, type Toleration } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { controllerReference } from '../metadata.ts';
import { revisionHashLabel } from '../revisions/history.ts';
import { matchesNodeAffinity } from '../node-selection.ts';
import { nodeTaints, tolerates } from '../taints.ts';

const generationAnnotation = 'deprecated.daemonset.template.generation';
const generationLabel = 'pod-template-generation';

const tolerateExecute = (key: string): Toleration => ({ key, operator: 'Exists', effect: 'NoExecute' });
const tolerateSchedule = (key: string): Toleration => ({ key, operator: 'Exists', effect: 'NoSchedule' });

/** What every daemon tolerates: it belongs on the node whatever state that is in. */
const defaultTolerations: readonly Toleration[] = [
  tolerateExecute(nodeTaints.notReady),
  tolerateExecute(nodeTaints.unreachable),
  tolerateSchedule(nodeTaints.diskPressure),
  tolerateSchedule(nodeTaints.memoryPressure),
  tolerateSchedule(nodeTaints.pidPressure),
  tolerateSchedule(nodeTaints.unschedulable),
];

function tolerationsFor({ tolerations = [], hostNetwork }: PodSpec): Toleration[] {
  const added = [...defaultTolerations, ...(hostNetwork ? [tolerateSchedule(nodeTaints.networkUnavailable)] : [])];
  const kept = tolerations.filter(({ key, effect }) => !added.some((toleration) => toleration.key === key && toleration.effect === effect));
  return [...kept, ...added];
}

export interface Placement {
  /** The node is to have a pod. */
  readonly shouldRun: boolean;
  /** A pod that is there may stay. */
  readonly mayStay: boolean;
}

/** Whether a node is for the daemon set: by name, affinity and taints, as the reference's nodeShouldRunDaemonPod. */
export function placementOn(node: Node, { spec: { template } }: DaemonSet): Placement {
  const { nodeName } = template.spec;
  if ((nodeName && nodeName !== node.metadata.name) || !matchesNodeAffinity(template.spec, node))
    return { shouldRun: false, mayStay: false };
  const tolerations = tolerationsFor(template.spec);
  const untolerated = (node.spec?.taints ?? []).filter(
    (taint) => taint.effect !== 'PreferNoSchedule' && !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
  return { shouldRun: untolerated.length === 0, mayStay: !untolerated.some(({ effect }) => effect === 'NoExecute') };
}

/** The node that a daemon's pod is on or is meant for. */
export function targetNode({ spec }: Pod): string | undefined {
  if (spec.nodeName) return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const [field] = terms.flatMap(({ matchFields = [] }) =>
    matchFields.filter(({ key, operator, values }) => key === 'metadata.name' && operator === 'In' && values?.length === 1),
  );
  return field?.values?.[0];
}

/** Makes the pod for one node. The scheduler binds it, for its affinity names that node alone. */
export function createPod(daemonSet: DaemonSet, nodeName: string, hash: string): Action {
  const { metadata, spec } = daemonSet.spec.template;
  const generation = daemonSet.metadata.annotations?.[generationAnnotation];
  const only = { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [nodeName] }] }] };
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${daemonSet.metadata.name}-`,
      namespace: daemonSet.metadata.namespace ?? 'default',
      labels: { ...metadata?.labels, ...(generation ? { [generationLabel]: generation } : {}), [revisionHashLabel]: hash },
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ownerReferences: [controllerReference({ ...daemonSet, apiVersion: 'apps/v1', kind: 'DaemonSet' })],
    },
    spec: {
      ...spec,
      affinity: {
        ...spec.affinity,
        nodeAffinity: { ...spec.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: only },
      },
      tolerations: tolerationsFor(spec),
    },
  };
  return {
    do: 'create',
    resource: resources.pods,
    object: pod,
    success: { regarding: daemonSet, type: 'Normal', reason: 'SuccessfulCreate', message: 'Created pod: {name}' },
    failure: { regarding: daemonSet, type: 'Warning', reason: 'FailedCreate', message: 'Error creating: {error}' },
  };
}

export const deletePod = (daemonSet: DaemonSet, pod: Pod): Action => ({
  do: 'delete',
  resource: resources.pods,
  object: pod,
  success: { regarding: daemonSet, type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted pod: ${pod.metadata.name}` },
  failure: { regarding: daemonSet, type: 'Warning', reason: 'FailedDelete', message: 'Error deleting: {error}' },
});
