import type { Clock } from '../../../runtime/clock.ts';
import type { Logger } from '../../../runtime/log.ts';
import type { ContainerRun } from '../../machine/types.ts';
import type { PodRef } from '../runtime.ts';
import { type CriClient, isNotFound } from './client.ts';
import type { ContainerItem, SandboxItem } from './messages.ts';
import { isLater, labelNames, lost, podOf, runOf } from './observed.ts';

/** A container of a pod: its latest run, and by which id the runtime knows it. */
export interface KnownContainer {
  readonly run: ContainerRun;
  /** Undefined before the runtime has made it, and when it could not. */
  readonly id: string | undefined;
}

/** What is in the runtime, as of the last look; looks again and again. */
export interface Inventory {
  containers(uid: string): ReadonlyMap<string, KnownContainer>;
  /** The pods that have a container or a sandbox. */
  pods(): readonly PodRef[];
  sandboxes(uid: string): readonly SandboxItem[];
  /** Runs that ended before the latest ones. */
  lasts(uid: string): ReadonlyMap<string, ContainerRun>;
  /** What is known by who did it. */
  put(uid: string, container: string, known: KnownContainer): void;
  /** Looks at one container at once. */
  refresh(id: string): Promise<void>;
  /** Looks at everything at once. Rejects when the runtime does not answer. */
  relist(): Promise<void>;
  forget(uid: string): void;
  /** Forgets the latest run of a container: the one before it is the latest now. */
  forgetRun(uid: string, container: string): void;
  /** Why the runtime cannot be used now; undefined when it can. */
  readonly problem: string | undefined;
  close(): void;
}

export interface InventoryParts {
  readonly client: CriClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** As in the ids of containers: `containerd`. */
  readonly runtimeName: string;
  readonly onChange: (uid: string) => void;
  readonly onProblem: () => void;
  /** Called after each look. */
  readonly onLook: () => void;
}

/** kubelet's relist period (ms): the interface has no events before containerd 1.7. */
const lookInterval = 1_000;
/** Every so many looks the runtime is asked how it does. */
const statusEvery = 5;
/** A list that does not come in this time (ms) is a runtime that hangs. */
const listTimeout = 10_000;

export function createInventory(parts: InventoryParts): Inventory {
  const { client, clock, log, runtimeName, onChange } = parts;
  const known = new Map<string, Map<string, KnownContainer>>();
  let items: readonly ContainerItem[] = [];
  let sandboxes: readonly SandboxItem[] = [];
  const lastRuns = new Map<string, Map<string, ContainerRun>>();
  let problem: string | undefined;
  let looks = 0;
  let closed = false;
  let cancel = clock.setTimer(lookInterval, () => void look());

  function put(uid: string, container: string, next: KnownContainer): void {
    const of = known.get(uid) ?? new Map<string, KnownContainer>();
    known.set(uid, of);
    const before = of.get(container);
    if (before && next.run.attempt > before.run.attempt && before.run.phase === 'exited') keepLast(uid, container, before.run);
    of.set(container, next);
    if (JSON.stringify(before?.run) !== JSON.stringify(next.run)) onChange(uid);
  }

  function keepLast(uid: string, container: string, run: ContainerRun): void {
    const of = lastRuns.get(uid) ?? new Map<string, ContainerRun>();
    lastRuns.set(uid, of.set(container, run));
  }

  async function refresh(id: string): Promise<void> {
    const { status } = await client.call('ContainerStatus', { containerId: id }, listTimeout);
    const pod = status && podOf(status);
    const container = status?.labels[labelNames.container];
    if (!status || !pod || container === undefined) return;
    const run = runOf(status, runtimeName);
    const before = known.get(pod.uid)?.get(container);
    if (before && run.attempt === before.run.attempt - 1 && run.phase === 'exited') keepLast(pod.uid, container, run);
    if (isLater(run, before?.run)) put(pod.uid, container, { run, id });
  }

  /** What the list says that is not known yet. */
  const isNews = (item: ContainerItem): boolean => {
    const uid = podOf(item)?.uid;
    const container = item.labels[labelNames.container];
    if (uid === undefined || container === undefined) return false;
    const before = known.get(uid)?.get(container);
    const attempt = item.metadata?.attempt ?? 0;
    if (!before || attempt > before.run.attempt) return true;
    if (attempt === before.run.attempt - 1) return !lastRuns.get(uid)?.has(container);
    const phase = item.state === 'CONTAINER_CREATED' ? 'starting' : item.state === 'CONTAINER_RUNNING' ? 'running' : 'exited';
    return attempt === before.run.attempt && phase !== before.run.phase && before.run.phase !== 'exited';
  };

  async function relist(): Promise<void> {
    const asked = [...known].flatMap(([uid, of]) => [...of].map(([container, { id, run }]) => ({ uid, container, id, run })));
    const [sandboxList, containerList] = await Promise.all([
      client.call('ListPodSandbox', {}, listTimeout),
      client.call('ListContainers', {}, listTimeout),
    ]);
    sandboxes = sandboxList.items;
    items = containerList.containers;
    // Ascending, so that what was before the latest is seen before it.
    const news = items.filter(isNews).toSorted((a, b) => (a.metadata?.attempt ?? 0) - (b.metadata?.attempt ?? 0));
    for (const { id } of news) {
      await refresh(id).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
    const present = new Set(items.map(({ id }) => id));
    for (const { uid, container, id, run } of asked) {
      if (id === undefined || present.has(id) || run.phase === 'exited') continue;
      const now = known.get(uid)?.get(container);
      if (now?.id === id && now.run.phase !== 'exited') put(uid, container, { id, run: { ...now.run, ...lost, finishedAt: clock.now() } });
    }
  }

  async function look(): Promise<void> {
    let found: string | undefined = problem;
    try {
      await relist();
      if (problem !== undefined || looks++ % statusEvery === 0) found = await runtimeProblem(client);
      parts.onLook();
    } catch (error) {
      found = error instanceof Error ? error.message : String(error);
    }
    if (closed) return;
    if (found !== problem) {
      problem = found;
      if (found === undefined) log.info('the container runtime is ready');
      else log.warn({ problem: found }, 'the container runtime is not ready');
      parts.onProblem();
    }
    cancel = clock.setTimer(lookInterval, () => void look());
  }

  return {
    containers: (uid) => known.get(uid) ?? new Map(),
    pods() {
      const found = [...sandboxes, ...items].flatMap((item) => podOf(item) ?? []);
      return [...new Map(found.map((pod) => [pod.uid, pod])).values()];
    },
    sandboxes: (uid) => sandboxes.filter((item) => podOf(item)?.uid === uid),
    lasts: (uid) => lastRuns.get(uid) ?? new Map(),
    put,
    refresh,
    relist,
    forget(uid) {
      known.delete(uid);
      lastRuns.delete(uid);
    },
    forgetRun(uid, container) {
      const last = lastRuns.get(uid)?.get(container);
      lastRuns.get(uid)?.delete(container);
      if (last) known.get(uid)?.set(container, { run: last, id: undefined });
      else known.get(uid)?.delete(container);
    },
    get problem() {
      return problem;
    },
    close() {
      closed = true;
      cancel();
    },
  };
}

/** Why the runtime says that it cannot run pods, in kubelet's words. Rejects when it does not answer. */
async function runtimeProblem(client: CriClient): Promise<string | undefined> {
  const { status } = await client.call('Status', {}, listTimeout);
  const missing = (status?.conditions ?? []).filter((condition) => !condition.status);
  return missing.length === 0
    ? undefined
    : missing.map(({ type, reason, message }) => `container runtime ${type} is false: reason:${reason} message:${message}`).join('; ');
}
