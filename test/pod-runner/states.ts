import type { Container, Pod } from '../../src/objects/client.ts';
import { type ContainerRun, initialPodState, type PodAction, type PodFacts, type PodState, step } from '../../src/pod-runner/index.ts';

export const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'nginx', ...more });

export const pod = (spec: Partial<Pod['spec']> = {}, metadata: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u1', ...metadata },
  spec: { nodeName: 'worker-1', containers: [container('main')], ...spec },
});

export const facts = (more: Partial<PodFacts> = {}): PodFacts => ({
  now: 1_000_000,
  pod: pod(),
  gone: false,
  networkProblem: undefined,
  sandbox: { phase: 'ready', addresses: ['10.244.1.5', 'fd00:10:244:1::5'] },
  runs: new Map(),
  probes: new Map(),
  configProblems: new Map(),
  ...more,
});

export const running = (attempt = 0): ContainerRun => ({ attempt, phase: 'running', startedAt: 999_000 });
export const exited = (exitCode: number, attempt = 0, finishedAt = 1_000_000): ContainerRun => ({
  attempt,
  phase: 'exited',
  startedAt: 999_000,
  finishedAt,
  exitCode,
});
export const runs = (entries: Record<string, ContainerRun>): ReadonlyMap<string, ContainerRun> => new Map(Object.entries(entries));

/** What is done, without events and wake-ups, in few words. */
export const deeds = (actions: readonly PodAction[]): string[] =>
  actions.flatMap((action) => {
    if (action.do === 'event' || action.do === 'wake') return [];
    if (action.do === 'start-container') return [`start ${action.container} ${action.attempt}`];
    if (action.do === 'stop-container') return [`stop ${action.container} ${action.grace}`];
    return [action.do];
  });

export const reasons = (actions: readonly PodAction[]): string[] =>
  actions.flatMap((action) => (action.do === 'event' ? [action.reason] : []));
export const wakes = (actions: readonly PodAction[]): number[] => actions.flatMap((action) => (action.do === 'wake' ? [action.at] : []));

/** The facts once the actions have begun and none is done. */
export function begun(known: PodFacts, actions: readonly PodAction[]): PodFacts {
  const now = new Map(known.runs);
  for (const action of actions)
    if (action.do === 'start-container') now.set(action.container, { attempt: action.attempt, phase: 'starting' });
  const creates = actions.some((action) => action.do === 'create-sandbox');
  const removes = actions.some((action) => action.do === 'remove-sandbox');
  return { ...known, runs: now, sandbox: creates ? { phase: 'creating' } : removes ? { phase: 'removing' } : known.sandbox };
}

export interface SimulatedNode {
  readonly state: PodState;
  readonly facts: PodFacts;
  /** Every deed so far, oldest first. */
  readonly log: string[];
  /** The pod object was deleted by us, and all was dropped. */
  readonly deleted: boolean;
  readonly forgotten: boolean;
  change(more: Partial<PodFacts>): void;
}

/** A node that does at once what `step` says, until it says nothing more; containers run until told otherwise. */
export function simulate(
  first: Partial<PodFacts>,
  outcome: (container: string, attempt: number) => ContainerRun = (_name, attempt) => running(attempt),
): SimulatedNode {
  let state = initialPodState;
  let now = facts({ sandbox: { phase: 'absent' }, ...first });
  const log: string[] = [];
  const done = { deleted: false, forgotten: false };
  const setRun = (name: string, run: ContainerRun): void => {
    now = { ...now, runs: new Map([...now.runs, [name, run]]) };
  };
  function settle(): void {
    for (let round = 0; round < 100; round++) {
      const [next, actions] = step(state, now);
      state = next;
      log.push(...deeds(actions));
      const effects = actions.filter((action) => action.do !== 'event' && action.do !== 'wake');
      if (effects.length === 0) return;
      for (const action of effects) {
        if (action.do === 'create-sandbox') now = { ...now, sandbox: { phase: 'ready', addresses: ['10.244.1.5'] } };
        else if (action.do === 'remove-sandbox') now = { ...now, sandbox: { phase: 'absent' } };
        else if (action.do === 'start-container') setRun(action.container, outcome(action.container, action.attempt));
        else if (action.do === 'stop-container') setRun(action.container, exited(0, now.runs.get(action.container)!.attempt, now.now));
        else if (action.do === 'delete-pod') {
          done.deleted = true;
          now = { ...now, gone: true };
        } else if (action.do === 'forget') {
          done.forgotten = true;
          return;
        }
      }
    }
    throw new Error(`the pod does not come to rest: ${log.slice(-10).join(', ')}`);
  }
  settle();
  return {
    get state() {
      return state;
    },
    get facts() {
      return now;
    },
    log,
    get deleted() {
      return done.deleted;
    },
    get forgotten() {
      return done.forgotten;
    },
    change(more) {
      now = { ...now, ...more };
      settle();
    },
  };
}
