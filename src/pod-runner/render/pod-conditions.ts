import { type Condition, type ContainerStatus, type Pod, type PodStatus, toTime } from '../../objects/client.ts';
import { isSidecar } from '../machine/restart.ts';

export interface ConditionInput {
  readonly pod: Pod;
  readonly phase: PodStatus['phase'];
  readonly initialized: boolean;
  readonly networked: boolean;
  readonly init: readonly ContainerStatus[];
  readonly main: readonly ContainerStatus[];
}

type Finding = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/**
 * The conditions that kubelet keeps on a pod, with its reasons and messages, followed by those of others. A condition whose status stays
 * keeps its lastTransitionTime.
 */
export function podConditions(input: ConditionInput, previous: readonly Condition[], now: number): Condition[] {
  const own = findings(input);
  const names = new Set(own.map(({ type }) => type));
  return [...own.map((finding) => withTimes(finding, previous, now)), ...previous.filter(({ type }) => !names.has(type))];
}

function findings({ pod, phase, initialized, networked, init, main }: ConditionInput): Finding[] {
  const ended = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : undefined;
  const sidecars = init.filter((_status, index) => isSidecar(pod, pod.spec.initContainers![index]!));
  const unready = [...sidecars, ...main].filter(({ ready }) => !ready).map(({ name }) => name);
  const notReady = ended
    ? { reason: ended }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const containersReady: Finding =
    ended || unready.length > 0 ? { type: 'ContainersReady', status: 'False', ...notReady } : { type: 'ContainersReady', status: 'True' };
  const incomplete = init.filter(({ ready, started }) => !ready && !started).map(({ name }) => name);
  const initializedFinding: Finding =
    initialized || phase === 'Running' || phase === 'Succeeded'
      ? { type: 'Initialized', status: 'True', ...(phase === 'Succeeded' ? { reason: 'PodCompleted' } : {}) }
      : {
          type: 'Initialized',
          status: 'False',
          reason: 'ContainersNotInitialized',
          message: `containers with incomplete status: [${incomplete.join(' ')}]`,
        };
  return [
    { type: 'PodReadyToStartContainers', status: networked && !ended ? 'True' : 'False' },
    initializedFinding,
    readiness(pod, containersReady),
    containersReady,
    { type: 'PodScheduled', status: 'True' },
  ];
}

/** Ready: the containers are, and every readiness gate's condition is True (KEP-580). */
function readiness(pod: Pod, containersReady: Finding): Finding {
  if (containersReady.status !== 'True') return { ...containersReady, type: 'Ready' };
  const conditions = new Map((pod.status?.conditions ?? []).map(({ type, status }) => [type, status]));
  const closed = (pod.spec.readinessGates ?? []).filter(({ conditionType }) => conditions.get(conditionType) !== 'True');
  if (closed.length === 0) return { type: 'Ready', status: 'True' };
  const message = closed
    .map(({ conditionType }) => `corresponding condition of pod readiness gate "${conditionType}" does not exist or is not True.`)
    .join(', ');
  return { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message };
}

function withTimes({ type, status, reason, message }: Finding, previous: readonly Condition[], now: number): Condition {
  const before = previous.find((condition) => condition.type === type);
  return {
    type,
    status,
    lastProbeTime: null,
    lastTransitionTime: before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : toTime(now),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}
