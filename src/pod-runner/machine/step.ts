import type { Container } from '../../objects/client.ts';
import { decideRestart, duration, isSidecar, restartsAfter, sandboxRetryDelay } from './restart.ts';
import { type ContainerMemory, type ContainerRun, isSupervised, type PodAction, type PodFacts, type PodState } from './types.ts';

/** Grace of a pod that vanished from the API without a word (ms); kubelet's is 1 s to 2 s too. */
const vanishedGrace = 2_000;
/** deletionTimestamp has whole seconds. */
const timestampStep = 1_000;

/**
 * One step of a pod: what is remembered and what is known give what to remember and what to do. Pure; the same facts give no further
 * actions, except those that are not yet seen to have been done.
 */
export function step(state: PodState, facts: PodFacts): readonly [PodState, readonly PodAction[]] {
  const turn = new Turn(state, facts);
  if (facts.gone || facts.pod.metadata.deletionTimestamp) turn.end();
  else if (isSupervised(facts.pod)) {
    // Nothing to start or stop.
  } else if (state.finished) turn.release();
  else turn.run();
  return [turn.state, turn.actions];
}

/** The working place of one step: collects actions while the memory is brought up to date. */
class Turn {
  state: PodState;
  readonly facts: PodFacts;
  readonly actions: PodAction[] = [];

  constructor(state: PodState, facts: PodFacts) {
    this.state = state;
    this.facts = facts;
  }

  /** A pod that is to run. */
  run(): void {
    const { pod } = this.facts;
    const volumes = this.volumes();
    if (!this.network() || !volumes) return;
    for (const container of pod.spec.initContainers ?? []) {
      this.keep(container);
      const run = this.facts.runs.get(container.name);
      const passed = isSidecar(pod, container) ? run?.phase === 'running' : run?.phase === 'exited' && run.exitCode === 0;
      if (passed) continue;
      if (run?.phase === 'exited' && !restartsAfter(pod, container, run)) this.finish('Failed');
      return;
    }
    for (const container of pod.spec.containers) this.keep(container);
    const ends = pod.spec.containers.map((container) => this.endOf(container));
    if (ends.every((run) => run !== undefined)) this.finish(ends.every((run) => run.exitCode === 0) ? 'Succeeded' : 'Failed');
  }

  /** True when the pod has its volumes. One whose containers have run keeps those it had, also while they cannot be brought up to date. */
  private volumes(): boolean {
    const { volumes, runs } = this.facts;
    if (!volumes || volumes.phase === 'ready' || runs.size > 0) return true;
    if (volumes.phase === 'failed') this.tell(volumes.message, 'Warning', 'FailedMount', volumes.message);
    return false;
  }

  /** True when the pod has the network that it is to have. */
  private network(): boolean {
    const { pod, sandbox, networkProblem, now } = this.facts;
    if (pod.spec.hostNetwork || sandbox.phase === 'ready') return true;
    if (sandbox.phase === 'creating' || sandbox.phase === 'removing') return false;
    if (sandbox.phase === 'failed') {
      this.tell(`sandbox ${sandbox.failures}`, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${sandbox.message}`);
      const at = sandbox.at + sandboxRetryDelay(sandbox.failures);
      if (now < at) {
        this.actions.push({ do: 'wake', at });
        return false;
      }
    }
    if (networkProblem !== undefined) this.tell('network', 'Warning', 'NetworkNotReady', `network is not ready: ${networkProblem}`);
    else this.actions.push({ do: 'create-sandbox' });
    return false;
  }

  /** Starts a container, starts it again after its end, stops it when it has failed its liveness probe. */
  private keep(container: Container): void {
    const { pod, runs, now, configProblems } = this.facts;
    const run = runs.get(container.name);
    const problem = configProblems.get(container.name);
    if (run?.phase === 'starting') return;
    if (run?.phase === 'running') return this.watch(container, run);
    if (run?.reason === 'StartError' && this.memory(container).toldStartError !== run.attempt) {
      this.event(container, 'Warning', 'Failed', `Error: ${run.message ?? 'the process could not be started'}`);
      this.remember(container, { toldStartError: run.attempt });
    }
    if (run && !restartsAfter(pod, container, run)) return this.remember(container, { waiting: undefined });
    if (problem?.kind === 'pending') return;
    if (problem) return this.refuse(container, problem.kind, problem.message);
    if (!run) return this.start(container, 0, {});
    const decision = decideRestart(this.memory(container).backoff, run.finishedAt ?? now, now);
    if (decision.restart) return this.start(container, run.attempt + 1, { last: run, backoff: decision.backoff });
    const where = `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
    this.actions.push({ do: 'wake', at: decision.at });
    this.tellOf(
      container,
      `backoff ${run.attempt}`,
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${container.name} in pod ${where}`,
    );
    const message = `back-off ${duration(decision.delay)} restarting failed container=${container.name} pod=${where}`;
    this.remember(container, { waiting: { reason: 'CrashLoopBackOff', message } });
  }

  private start(
    container: Container,
    attempt: number,
    { last, backoff }: { last?: ContainerRun; backoff?: ContainerMemory['backoff'] },
  ): void {
    const name = container.name;
    this.event(container, 'Normal', 'Pulled', `Container image "${container.image ?? ''}" already present on machine`);
    this.event(container, 'Normal', 'Created', `Created container: ${name}`);
    this.actions.push({ do: 'start-container', container: name, attempt, ...(last ? { last } : {}) });
    this.remember(container, { last, backoff, waiting: undefined, stopDeadline: undefined, told: undefined });
  }

  private refuse(container: Container, kind: 'image' | 'config' | 'never', message: string): void {
    if (kind !== 'image') {
      this.tellOf(container, message, 'Warning', 'Failed', `Error: ${message}`);
      return this.remember(container, {
        waiting: { reason: kind === 'never' ? 'ErrImageNeverPull' : 'CreateContainerConfigError', message },
      });
    }
    const image = container.image ?? '';
    if (this.memory(container).told !== message) {
      this.event(container, 'Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      this.event(container, 'Warning', 'Failed', 'Error: ErrImagePull');
      // The first time it is an error, from then on a back-off, as kubelet shows it.
      this.remember(container, { told: message, waiting: { reason: 'ErrImagePull', message } });
      return void this.actions.push({ do: 'wake', at: this.facts.now + 10_000 });
    }
    if (this.memory(container).waiting?.reason === 'ErrImagePull') {
      this.event(container, 'Normal', 'BackOff', `Back-off pulling image "${image}"`);
      this.remember(container, {
        waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}": ErrImagePull: ${message}` },
      });
    }
  }

  private watch(container: Container, run: ContainerRun): void {
    this.tellOf(container, 'started', 'Normal', 'Started', `Started container ${container.name}`);
    const verdict = this.facts.probes.get(container.name);
    if (!verdict?.failed || verdict.attempt !== run.attempt) return;
    const probe = verdict.failed === 'liveness' ? container.livenessProbe : container.startupProbe;
    const grace = probe?.terminationGracePeriodSeconds ?? this.facts.pod.spec.terminationGracePeriodSeconds ?? 30;
    this.stop(container, grace * 1_000, `Container ${container.name} failed ${verdict.failed} probe, will be restarted`);
  }

  /** The last run of a container that will not run again. */
  private endOf(container: Container): ContainerRun | undefined {
    const run = this.facts.runs.get(container.name);
    return run?.phase === 'exited' && !restartsAfter(this.facts.pod, container, run) ? run : undefined;
  }

  private finish(phase: 'Succeeded' | 'Failed'): void {
    this.state = { ...this.state, finished: phase };
    this.release();
  }

  /** A pod that has run to its end gives its network back; its object stays until somebody deletes it. */
  release(): void {
    if (this.stopAll(this.facts.pod.spec.terminationGracePeriodSeconds ?? 30)) this.dropSandbox();
  }

  /** A pod that is to go: containers, network, object, files, in this order. */
  end(): void {
    const { pod, gone } = this.facts;
    const { deletionGracePeriodSeconds, deletionTimestamp } = pod.metadata;
    const seconds = deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    const until = deletionTimestamp ? Date.parse(deletionTimestamp) + timestampStep - this.facts.now : Number.POSITIVE_INFINITY;
    const grace = gone && !deletionTimestamp ? Math.min(vanishedGrace, seconds * 1_000) : Math.max(0, Math.min(seconds * 1_000, until));
    const deadline = Math.min(this.state.deadline ?? Number.POSITIVE_INFINITY, this.facts.now + grace);
    this.state = { ...this.state, deadline };
    const stopped = isSupervised(pod) || this.stopAll((deadline - this.facts.now) / 1_000);
    if (!stopped || !this.dropSandbox()) return;
    if (gone) this.actions.push({ do: 'forget' });
    else if (!this.state.deleteAsked) {
      this.actions.push({ do: 'delete-pod' });
      this.state = { ...this.state, deleteAsked: true };
    }
  }

  /** Asks every run to stop; true when none is left. */
  private stopAll(graceSeconds: number): boolean {
    const { pod, runs } = this.facts;
    let left = 0;
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const run = runs.get(container.name);
      if (!run || run.phase === 'exited') continue;
      left++;
      this.stop(container, graceSeconds * 1_000, `Stopping container ${container.name}`);
    }
    return left === 0;
  }

  private stop(container: Container, grace: number, message: string): void {
    const deadline = this.facts.now + Math.max(0, grace);
    const { stopDeadline } = this.memory(container);
    if (stopDeadline !== undefined && stopDeadline <= deadline) return;
    if (stopDeadline === undefined) this.event(container, 'Normal', 'Killing', message);
    this.actions.push({ do: 'stop-container', container: container.name, grace: Math.max(0, grace) });
    this.remember(container, { stopDeadline: deadline });
  }

  /** True when the pod has no network of its own any more. */
  private dropSandbox(): boolean {
    const { sandbox, pod } = this.facts;
    if (pod.spec.hostNetwork || sandbox.phase === 'absent') return true;
    if (sandbox.phase === 'creating' || sandbox.phase === 'removing') return false;
    if (sandbox.phase === 'failed' && sandbox.operation === 'remove') {
      this.tell(`remove ${sandbox.failures}`, 'Warning', 'FailedKillPod', `error killing pod: ${sandbox.message}`);
      const at = sandbox.at + sandboxRetryDelay(sandbox.failures);
      if (this.facts.now < at) {
        this.actions.push({ do: 'wake', at });
        return false;
      }
    }
    this.actions.push({ do: 'remove-sandbox' });
    return false;
  }

  private memory = ({ name }: Container): ContainerMemory => this.state.containers[name] ?? {};

  private remember(container: Container, change: { [K in keyof ContainerMemory]?: ContainerMemory[K] | undefined }): void {
    const merged = Object.fromEntries(Object.entries({ ...this.memory(container), ...change }).filter(([, value]) => value !== undefined));
    this.state = { ...this.state, containers: { ...this.state.containers, [container.name]: merged } };
  }

  private event(container: Container, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.actions.push({ do: 'event', type, reason, message, container: container.name });
  }

  private tellOf(container: Container, key: string, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.memory(container).told === key) return;
    this.event(container, type, reason, message);
    this.remember(container, { told: key });
  }

  private tell(key: string, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.state.told === key) return;
    this.actions.push({ do: 'event', type, reason, message });
    this.state = { ...this.state, told: key };
  }
}
