import { createHash } from 'node:crypto';
import { type Container, type ContainerState, type ContainerStatus, type Pod, type PodStatus, toTime } from '../../objects/client.ts';
import { normalizeImage, resolveImage } from '../images.ts';
import { isSidecar } from '../machine/restart.ts';
import { type ContainerRun, isSupervised, type PodFacts, type PodState } from '../machine/types.ts';
import { podConditions } from './pod-conditions.ts';

/** What of a node is shown in its pods' status. */
export interface StatusPlace {
  readonly nodeIPs: readonly string[];
}

/** The runtime's id of one run of a container, or one made up: 64 hex digits, the same whenever asked for. */
const containerID = (uid: string, container: string, { id, attempt }: ContainerRun): string =>
  id ?? `podwire://${createHash('sha256').update(`${uid}/${container}/${attempt}`).digest('hex')}`;

/** The status of a pod (core/v1 PodStatus) out of what is remembered and known. `previous` gives the times that stay. Pure. */
export function podStatus(state: PodState, facts: PodFacts, place: StatusPlace, previous: PodStatus | undefined): PodStatus {
  const { pod, sandbox } = facts;
  const init = (pod.spec.initContainers ?? []).map((container) => containerStatus(state, facts, container));
  const main = pod.spec.containers.map((container) => containerStatus(state, facts, container));
  const initialized = init.every((status, index) => isInitialized(pod, pod.spec.initContainers![index]!, status));
  const phase = podPhase(state, facts, init, main, initialized);
  const podIPs = pod.spec.hostNetwork
    ? place.nodeIPs
    : sandbox.phase === 'ready'
      ? sandbox.addresses
      : (previous?.podIPs ?? []).map(({ ip }) => ip);
  const networked = Boolean(pod.spec.hostNetwork) || sandbox.phase === 'ready';
  return {
    phase,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    conditions: podConditions({ pod, phase, initialized, networked, init, main }, previous?.conditions ?? [], facts.now),
    ...(place.nodeIPs[0] === undefined ? {} : { hostIP: place.nodeIPs[0], hostIPs: place.nodeIPs.map((ip) => ({ ip })) }),
    ...(podIPs[0] === undefined ? {} : { podIP: podIPs[0], podIPs: podIPs.map((ip) => ({ ip })) }),
    startTime: previous?.startTime ?? toTime(facts.now),
    ...(init.length > 0 ? { initContainerStatuses: init } : {}),
    containerStatuses: main,
  };
}

const isInitialized = (pod: Pod, container: Container, status: ContainerStatus): boolean =>
  isSidecar(pod, container) ? Boolean(status.started) : status.state?.terminated?.exitCode === 0;

function containerStatus(state: PodState, facts: PodFacts, container: Container): ContainerStatus {
  const { pod } = facts;
  const { name, image = '' } = container;
  const memory = state.containers[name] ?? {};
  const latest = isSupervised(pod) ? supervisedRun(facts, container) : facts.runs.get(name);
  // As with kubelet, a container that is being started again shows its end until it runs.
  const again = latest?.phase === 'starting' && memory.last !== undefined;
  const run = again ? memory.last : latest;
  const running = run?.phase === 'running';
  const verdict = facts.probes.get(name);
  const current = verdict?.attempt === run?.attempt ? verdict : undefined;
  const started = running && (current?.started ?? !container.startupProbe);
  const ready = running && started && (current?.ready ?? !container.readinessProbe);
  const isInit = (pod.spec.initContainers ?? []).includes(container) && !isSidecar(pod, container);
  const passed = run?.phase === 'exited' && run.exitCode === 0;
  const uid = pod.metadata.uid ?? '';
  const last = memory.waiting && run?.phase === 'exited' ? run : again ? undefined : memory.last;
  const resolution = resolveImage(container);
  const imageID = run?.imageID ?? (resolution.kind === 'unknown' ? undefined : resolution.imageID);
  const pulled = imageID !== undefined && run !== undefined;
  return {
    name,
    state: containerState(state, facts, container, run),
    lastState: last ? { terminated: terminated(uid, name, last) } : {},
    ready: isInit ? passed : ready,
    started: isInit ? false : started,
    restartCount: run?.attempt ?? 0,
    image: pulled && !isSupervised(pod) ? normalizeImage(image) : image,
    imageID: pulled ? imageID : '',
    ...(run && run.phase !== 'starting' ? { containerID: containerID(uid, name, run) } : {}),
  };
}

/** A process that something else runs is taken to run since the pod began; its probes tell the rest. */
const supervisedRun = ({ pod }: PodFacts, _container: Container): ContainerRun => ({
  attempt: 0,
  phase: 'running',
  ...(pod.metadata.creationTimestamp ? { startedAt: Date.parse(pod.metadata.creationTimestamp) } : {}),
});

function containerState({ containers }: PodState, { pod }: PodFacts, { name }: Container, run: ContainerRun | undefined): ContainerState {
  const waiting = containers[name]?.waiting;
  if (waiting) return { waiting: { reason: waiting.reason, ...(waiting.message === undefined ? {} : { message: waiting.message }) } };
  if (!run || run.phase === 'starting') {
    return { waiting: { reason: (pod.spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating' } };
  }
  if (run.phase === 'running') return { running: run.startedAt === undefined ? {} : { startedAt: toTime(run.startedAt) } };
  return { terminated: terminated(pod.metadata.uid ?? '', name, run) };
}

function terminated(uid: string, name: string, run: ContainerRun): NonNullable<ContainerState['terminated']> {
  const exitCode = run.exitCode ?? 137;
  return {
    exitCode,
    reason: run.reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
    ...(run.message === undefined ? {} : { message: run.message }),
    ...(run.startedAt === undefined ? {} : { startedAt: toTime(run.startedAt) }),
    ...(run.finishedAt === undefined ? {} : { finishedAt: toTime(run.finishedAt) }),
    containerID: containerID(uid, name, run),
  };
}

/** The phase as kubelet's getPhase finds it. */
function podPhase(
  state: PodState,
  { pod }: PodFacts,
  init: readonly ContainerStatus[],
  main: readonly ContainerStatus[],
  initialized: boolean,
): NonNullable<PodStatus['phase']> {
  if (state.finished) return state.finished;
  const policy = pod.spec.restartPolicy ?? 'Always';
  const ended = main.filter(({ state: now, lastState }) => now?.terminated ?? (now?.waiting && lastState?.terminated));
  const running = main.filter(({ state: now }) => now?.running);
  const wasInitialized = initialized || main.some(({ state: now, lastState }) => now?.running ?? now?.terminated ?? lastState?.terminated);
  if (!wasInitialized && init.length > 0) return 'Pending';
  if (running.length + ended.length < main.length) return 'Pending';
  if (running.length > 0 || policy === 'Always') return 'Running';
  if (ended.every(({ state: now }) => now?.terminated?.exitCode === 0)) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}
