import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { type Pod, type PodStatus, resources } from '../../objects/client.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { step } from '../machine/step.ts';
import { initialPodState, isSupervised, type PodAction, type PodFacts, type PodState, type Sandbox } from '../machine/types.ts';
import type { PodRunnerOptions } from '../options.ts';
import { type PodPlace, podHostname } from '../render/environment.ts';
import { launchSpec } from '../render/launch.ts';
import { nameFiles } from '../render/name-files.ts';
import { podStatus } from '../render/pod-status.ts';
import { podSharing } from '../render/security.ts';
import { podFiles } from '../runtime/pod-files.ts';
import type { HostPort, PodRef, Runtime, SandboxRequest } from '../runtime/runtime.ts';
import type { NodeResources } from '../volumes/resource-value.ts';
import { type PodVolumes, startPodVolumes } from './pod-volumes.ts';
import { configProblems } from './config-problems.ts';
import { createPodProbers } from './pod-probers.ts';
import { createStatusWriter } from './status-writer.ts';

export interface PodWorkerParts {
  readonly options: PodRunnerOptions;
  readonly runtime: Runtime;
  readonly client: KubeClient;
  /** What the node has. */
  readonly resources: NodeResources;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Why no pod network can be made now. */
  readonly networkProblem: () => string | undefined;
  /** The pod and all that was made for it are gone. */
  readonly onForgotten: () => void;
  /** A container is started again after it had ended. */
  readonly onRestart: () => void;
  /** A container was seen running for the first time in this process (ms since the worker began). */
  readonly onStarted: (sinceBegin: number) => void;
}

/** What an earlier runner has left of the pod. */
export interface Adopted {
  readonly state: PodState;
  readonly addresses: readonly string[] | undefined;
}

export interface PodWorker {
  /** The pod changed. For a static pod this is its manifest. */
  update(pod: Pod): void;
  /** The object in the API that shows the pod: the pod itself, or its mirror. */
  show(object: Pod | undefined): void;
  /** The pod is no longer wanted. */
  remove(): void;
  /** Something it depends on changed. */
  poke(): void;
  /** Stops working; what runs goes on. */
  stop(): void;
  readonly pod: Pod;
  readonly ref: PodRef;
  /** The pod's status as it is now, whether or not it has been written. */
  readonly status: PodStatus;
}

/** Runs one pod: gathers the facts, lets `step` decide, does what it says, and keeps the pod's status written. */
export function startPodWorker(first: Pod, isStatic: boolean, adopted: Adopted | undefined, parts: PodWorkerParts): PodWorker {
  const { options, runtime, clock, log, events } = parts;
  const ref: PodRef = { namespace: first.metadata.namespace ?? 'default', name: first.metadata.name, uid: first.metadata.uid ?? '' };
  const begun = clock.monotonic();
  let pod = first;
  let gone = false;
  let state = adopted?.state ?? initialPodState;
  let sandbox: Sandbox = adopted?.addresses ? { phase: 'ready', addresses: adopted.addresses } : { phase: 'absent' };
  let failures = 0;
  let deleteFailures = 0;
  let scheduled = false;
  let stopped = false;
  let started = adopted !== undefined;
  let cancelWake: (() => void) | undefined;
  let cancelDelete: (() => void) | undefined;
  const status = createStatusWriter(parts);

  const volumesDir = podFiles(options.rootDir, ref.uid).volumesDir;
  const volumes: PodVolumes | undefined = isSupervised(first)
    ? undefined
    : startPodVolumes(first, {
        client: parts.client,
        clock,
        log,
        dir: volumesDir,
        resources: parts.resources,
        isStatic,
        onChange: () => poke(),
      });

  const probers = createPodProbers({
    clock,
    exec: (container, command, timeout) => runtime.exec(ref, container, command, timeout),
    onVerdict: poke,
    onFailure: (kind, message) => record('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
  });

  const place = (): PodPlace => ({
    ...(volumes ? { references: volumes.references } : {}),
    volumesDir,
    resources: parts.resources,
    ownImages: runtime.images !== undefined,
    nodeName: options.nodeName,
    hostIPs: options.nodeIPs,
    podIPs: pod.spec.hostNetwork ? options.nodeIPs : sandbox.phase === 'ready' ? sandbox.addresses : [],
  });
  const containers = () => [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const sandboxRequest = (): SandboxRequest => ({
    pod: ref,
    hostname: podHostname(pod, options.nodeName),
    hostPorts: hostPorts(pod),
    annotations: pod.metadata.annotations ?? {},
    sharing: podSharing(pod),
  });

  function facts(): PodFacts {
    return {
      now: clock.now(),
      pod,
      gone,
      networkProblem: parts.networkProblem(),
      sandbox,
      ...(volumes ? { volumes: volumes.state } : {}),
      runs: runtime.runs(ref.uid),
      probes: probers.verdicts(),
      configProblems: isSupervised(pod) ? new Map() : configProblems(pod, place(), runtime.images),
    };
  }

  function poke(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (stopped) return;
      try {
        turn();
      } catch (error) {
        log.error({ err: error, pod: `${ref.namespace}/${ref.name}` }, 'a pod could not be worked on, will retry');
        wake(clock.now() + 1_000);
      }
    });
  }

  function turn(): void {
    cancelWake?.();
    const [next, actions] = step(state, facts());
    state = next;
    const wakes: number[] = [];
    for (const action of actions) {
      if (action.do === 'wake') wakes.push(action.at);
      else perform(action);
    }
    if (stopped) return;
    if (wakes.length > 0) wake(Math.min(...wakes));
    const known = facts();
    probers.sync(known, containers(), place().podIPs[0]);
    if (!started && [...known.runs.values()].some(({ phase }) => phase === 'running')) {
      started = true;
      parts.onStarted(clock.monotonic() - begun);
    }
    if (!state.deleteAsked && !gone) status.want(podStatus(state, known, { nodeIPs: options.nodeIPs }, status.current?.status));
  }

  function wake(at: number): void {
    cancelWake?.();
    cancelWake = clock.setTimer(Math.max(0, at - clock.now()), poke);
  }

  function perform(action: Exclude<PodAction, { do: 'wake' }>): void {
    switch (action.do) {
      case 'event':
        return record(action.type, action.reason, action.message);
      case 'create-sandbox':
        sandbox = { phase: 'creating' };
        return void runtime.createSandbox(sandboxRequest()).then(
          (addresses) => settle({ phase: 'ready', addresses }),
          (error: unknown) => fail('create', error),
        );
      case 'remove-sandbox':
        sandbox = { phase: 'removing' };
        return void runtime.removeSandbox(ref).then(
          () => settle({ phase: 'absent' }),
          (error: unknown) => fail('remove', error),
        );
      case 'start-container': {
        const container = containers().find(({ name }) => name === action.container)!;
        const { attempt, last } = action;
        if (attempt > 0) parts.onRestart();
        const files = nameFiles(pod, place().podIPs, options, options.nodeName);
        const launch = launchSpec(pod, container, place());
        return void runtime.startContainer({ sandbox: sandboxRequest(), attempt, last, launch, files }).finally(poke);
      }
      case 'stop-container':
        return runtime.stopContainer(ref, action.container, action.grace);
      case 'delete-pod':
        return void deletePod();
      case 'forget':
        stop();
        return void runtime.removePod(ref).then(parts.onForgotten, (error: unknown) => {
          log.error({ err: error, pod: `${ref.namespace}/${ref.name}` }, 'what is left of a pod could not be removed; the next start will');
          parts.onForgotten();
        });
    }
  }

  function settle(next: Sandbox): void {
    failures = 0;
    sandbox = next;
    poke();
  }

  function fail(operation: 'create' | 'remove', error: unknown): void {
    failures++;
    const message = error instanceof Error ? error.message : String(error);
    log.warn({ err: error, pod: `${ref.namespace}/${ref.name}`, operation, failures }, 'the network of a pod failed, will retry');
    sandbox = { phase: 'failed', operation, message, failures, at: clock.now() };
    poke();
  }

  async function deletePod(): Promise<void> {
    // A static pod is not the API's to delete.
    if (isStatic || stopped) return;
    try {
      await parts.client.delete(resources.pods, ref.name, ref.namespace, { gracePeriodSeconds: 0, preconditions: { uid: ref.uid } });
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return;
      deleteFailures++;
      log.warn({ err: error, pod: `${ref.namespace}/${ref.name}` }, 'a pod could not be deleted, will retry');
      const delay = backoffDelay(deleteFailures, { base: 100, cap: 5_000, random: Math.random });
      cancelDelete = clock.setTimer(delay, () => void deletePod());
    }
  }

  function record(type: 'Normal' | 'Warning', reason: string, message: string): void {
    events.record({ regarding: isStatic ? (status.current ?? pod) : pod, type, reason, message });
  }

  function stop(): void {
    stopped = true;
    volumes?.stop();
    cancelWake?.();
    cancelDelete?.();
    status.stop();
    probers.stop();
  }

  poke();
  return {
    get pod() {
      return pod;
    },
    ref,
    get status() {
      return podStatus(state, facts(), { nodeIPs: options.nodeIPs }, status.current?.status);
    },
    update(next) {
      pod = next;
      volumes?.update(next);
      poke();
    },
    show(object) {
      status.see(object);
      poke();
    },
    remove() {
      gone = true;
      poke();
    },
    poke,
    stop,
  };
}

const hostPorts = ({ spec }: Pod): HostPort[] =>
  spec.containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = 'TCP', hostIP }) =>
      hostPort === undefined
        ? []
        : [{ hostPort, containerPort, protocol: protocol.toLowerCase() as HostPort['protocol'], ...(hostIP ? { hostIP } : {}) }],
    ),
  );
