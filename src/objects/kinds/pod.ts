import { isDeepStrictEqual } from 'node:util';
import { applyPodDefaults, applyPodSpecDefaults, containersOf } from '../defaults/pod-spec.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, orNone, wideColumn } from '../print/columns.ts';
import { summarizePod } from '../print/pod-status.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids } from '../validation/causes.ts';
import { ipAddress } from '../validation/names.ts';
import { validatePodSpec } from '../validation/pod-spec.ts';
import { declareKind } from './declare.ts';

export const podKind = declareKind({
  resource: resources.pods,
  returnsDeleted: true,
  shortNames: ['po'],
  categories: ['all'],
  subresources: { status: true, binding: true },
  generationOf: ['spec'],
  keepsOnStatusUpdate: ['ownerReferences'],
  defaults(pod) {
    pod.spec ??= {};
    applyPodSpecDefaults(pod.spec);
    applyPodDefaults(pod.spec);
    syncAddresses(pod.status, 'podIP', 'podIPs');
    syncAddresses(pod.status, 'hostIP', 'hostIPs');
  },
  onCreate(pod) {
    // What the Priority admission plugin sets when there are no priority classes. It is no default: nobody owns it.
    pod.spec.priority ??= 0;
    pod.spec.preemptionPolicy ??= 'PreemptLowerPriority';
    pod.status = { phase: 'Pending', qosClass: qosClass(pod.spec) };
  },
  onUpdate({ spec }, { spec: before }) {
    spec.priority ??= before.priority;
    spec.preemptionPolicy ??= before.preemptionPolicy;
  },
  validate: (pod, old) => [...validatePodSpec(pod.spec, 'spec'), ...validateStatus(pod), ...(old ? validateUpdate(pod, old) : [])],
  columns: [
    nameColumn,
    column('Ready', 'Ready containers of all.', (pod, now) => summarizePod(pod, now).ready),
    column('Status', 'Phase, or what holds the pod up.', (pod, now) => summarizePod(pod, now).status),
    column('Restarts', 'Restarts of all containers, and when the last one was.', (pod, now) => summarizePod(pod, now).restarts),
    ageColumn,
    wideColumn('IP', 'First address of the pod.', ({ status }) => orNone(status?.podIPs?.[0]?.ip ?? status?.podIP)),
    wideColumn('Node', 'Node the pod is bound to.', ({ spec }) => orNone(spec?.nodeName)),
    wideColumn('Nominated Node', 'Node on which preemption makes room for the pod.', ({ status }) => orNone(status?.nominatedNodeName)),
    wideColumn('Readiness Gates', 'Readiness gates that hold of all.', readinessGates),
  ],
  selectable: {
    'spec.nodeName': ({ spec }) => spec?.nodeName,
    'spec.restartPolicy': ({ spec }) => spec?.restartPolicy,
    'spec.schedulerName': ({ spec }) => spec?.schedulerName,
    'spec.serviceAccountName': ({ spec }) => spec?.serviceAccountName,
    'spec.hostNetwork': ({ spec }) => spec?.hostNetwork === true,
    'status.phase': ({ status }) => status?.phase,
    'status.podIP': ({ status }) => status?.podIP,
    'status.nominatedNodeName': ({ status }) => status?.nominatedNodeName,
  },
});

/** Keeps the one-address field equal to the first of the list, whichever of them was written. */
function syncAddresses(status: AnyObject['status'], one: string, many: string): void {
  if (!status) return;
  if (status[one] && status[many]?.[0]?.ip !== status[one]) status[many] = [{ ip: status[one] }];
  else if (!status[one] && status[many]?.[0]?.ip) status[one] = status[many][0].ip;
}

function readinessGates({ spec, status }: AnyObject): string {
  const gates: { conditionType: string }[] = spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const conditions: { type: string; status: string }[] = status?.conditions ?? [];
  const met = gates.filter(({ conditionType }) => conditions.some(({ type, status: value }) => type === conditionType && value === 'True'));
  return `${met.length}/${gates.length}`;
}

/** Guaranteed when every container limits cpu and memory to what it requests, BestEffort when none asks for any, else Burstable. */
function qosClass(spec: AnyObject['spec']): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  let any = false;
  let guaranteed = true;
  for (const { resources: { limits = {}, requests = {} } = {} } of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    for (const name of ['cpu', 'memory']) {
      if (limits[name] !== undefined || requests[name] !== undefined) any = true;
      if (limits[name] === undefined || limits[name] !== requests[name]) guaranteed = false;
    }
  }
  return any ? (guaranteed ? 'Guaranteed' : 'Burstable') : 'BestEffort';
}

function validateStatus({ status }: AnyObject): StatusCause[] {
  return ['podIPs', 'hostIPs'].flatMap((list) =>
    (status?.[list] ?? []).flatMap(({ ip = '' }: { ip?: string }, index: number) =>
      invalids(`status.${list}[${index}].ip`, ip, ipAddress(ip)),
    ),
  );
}

const updatable =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function validateUpdate(pod: AnyObject, old: AnyObject): StatusCause[] {
  const causes: StatusCause[] = [];
  const { spec } = pod;
  const before = old.spec;
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (before[list]?.length ?? 0)) {
      return [forbidden(`spec.${list}`, 'pod updates may not add or remove containers')];
    }
  }
  if (before.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds !== before.activeDeadlineSeconds) {
    if (spec.activeDeadlineSeconds === undefined) {
      causes.push(invalid('spec.activeDeadlineSeconds', null, 'must not update from a positive integer to nil value'));
    } else if (spec.activeDeadlineSeconds > before.activeDeadlineSeconds) {
      causes.push(invalid('spec.activeDeadlineSeconds', spec.activeDeadlineSeconds, `must be less than or equal to previous value`));
    }
  }
  const tolerations: unknown[] = spec.tolerations ?? [];
  const kept = (before.tolerations ?? []).every((toleration: { tolerationSeconds?: number }) =>
    tolerations.some((now) => isDeepStrictEqual({ ...(now as object), tolerationSeconds: 0 }, { ...toleration, tolerationSeconds: 0 })),
  );
  if (!kept) causes.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'));
  if (!isDeepStrictEqual(withoutUpdatable(spec), withoutUpdatable(before))) causes.push(forbidden('spec', updatable));
  return causes;
}

function withoutUpdatable(spec: AnyObject['spec']): unknown {
  const copy = structuredClone(spec);
  for (const field of ['activeDeadlineSeconds', 'tolerations', 'ephemeralContainers']) delete copy[field];
  for (const container of containersOf(copy)) {
    delete container.image;
    // The default of the pull policy follows the tag, but is not applied again.
  }
  return copy;
}
