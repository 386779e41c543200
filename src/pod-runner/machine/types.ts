import type { Pod } from '../../objects/client.ts';

/** The latest run of a container's process, as the runtime knows it. Times are milliseconds since the epoch. */
export interface ContainerRun {
  /** 0 for the first run; the restart count is this number. */
  readonly attempt: number;
  readonly phase: 'starting' | 'running' | 'exited';
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly exitCode?: number;
  /** Why it ended, when the exit code does not tell: StartError, ContainerStatusUnknown. */
  readonly reason?: string;
  readonly message?: string;
  /** Of the container and of its image, where a runtime has names for them: `containerd://<hash>`, `sha256:<hash>`. */
  readonly id?: string;
  readonly imageID?: string;
}

/** The pod's network, as the runtime knows it. `failed` carries what failed, how often in a row, and when last. */
export type Sandbox =
  | { readonly phase: 'absent' | 'creating' | 'removing' }
  | { readonly phase: 'ready'; readonly addresses: readonly string[] }
  | {
      readonly phase: 'failed';
      readonly operation: 'create' | 'remove';
      readonly message: string;
      readonly failures: number;
      readonly at: number;
    };

/** The pod's volumes, as the API has their content. `failed` carries why they cannot be made now. */
export type Volumes = { readonly phase: 'pending' | 'ready' } | { readonly phase: 'failed'; readonly message: string };

/** What the probes of one run have found so far. */
export interface ProbeVerdict {
  /** Of which run. */
  readonly attempt: number;
  /** The startup probe has succeeded, or there is none. */
  readonly started: boolean;
  readonly ready: boolean;
  /** Set once the liveness or startup probe has failed for good. */
  readonly failed?: 'liveness' | 'startup';
}

/** Everything that is known of a pod at one moment. */
export interface PodFacts {
  readonly now: number;
  /** The pod as last seen. */
  readonly pod: Pod;
  /** The pod is no longer in the API (or, of a static pod, its manifest is gone). */
  readonly gone: boolean;
  /** Why no pod network can be made now; undefined when it can. */
  readonly networkProblem: string | undefined;
  readonly sandbox: Sandbox;
  /** Undefined for a pod without volumes. */
  readonly volumes?: Volumes;
  readonly runs: ReadonlyMap<string, ContainerRun>;
  readonly probes: ReadonlyMap<string, ProbeVerdict>;
  /** Containers that cannot be started as configured, and why. */
  readonly configProblems: ReadonlyMap<string, ConfigProblem>;
}

/** `pending`: the image is being looked for; `never`: it is not there and is not to be pulled. */
export interface ConfigProblem {
  readonly kind: 'image' | 'config' | 'pending' | 'never';
  readonly message: string;
}

/** What must be remembered of a container between steps. */
export interface ContainerMemory {
  /** How the run before the latest ended. */
  readonly last?: ContainerRun;
  /** Restart delay: the next restart waits `delay` ms after the exit. Undefined before the first restart. */
  readonly backoff?: { readonly delay: number; readonly updatedAt: number };
  readonly waiting?: { readonly reason: string; readonly message?: string };
  /** When the latest run, asked to stop, will be killed. */
  readonly stopDeadline?: number;
  /** What was last told of it as an Event, so that it is told once. */
  readonly told?: string;
  /** The run whose failure to start has been told. */
  readonly toldStartError?: number;
}

/** What must be remembered of a pod between steps. */
export interface PodState {
  readonly containers: Readonly<Record<string, ContainerMemory>>;
  /** Set when the pod is being ended; kept so that a longer grace period asked for later does not prolong it. */
  readonly deadline?: number;
  readonly deleteAsked?: boolean;
  /** Phase of a pod that has run to its end. */
  readonly finished?: 'Succeeded' | 'Failed';
  /** The last event about the pod itself, so that it is told once. */
  readonly told?: string;
}

/** What is to be done. Each is repeatable: doing it twice is doing it once. */
export type PodAction =
  | { readonly do: 'create-sandbox' }
  | { readonly do: 'remove-sandbox' }
  | { readonly do: 'start-container'; readonly container: string; readonly attempt: number; readonly last?: ContainerRun }
  /** SIGTERM now, SIGKILL after `grace` milliseconds. */
  | { readonly do: 'stop-container'; readonly container: string; readonly grace: number }
  /** Remove the object from the API, as all that ran for it is gone. */
  | { readonly do: 'delete-pod' }
  /** Drop the pod and its files. */
  | { readonly do: 'forget' }
  | {
      readonly do: 'event';
      readonly type: 'Normal' | 'Warning';
      readonly reason: string;
      readonly message: string;
      readonly container?: string;
    }
  /** Step again at this time (milliseconds since the epoch) even if nothing happens. */
  | { readonly do: 'wake'; readonly at: number };

export const initialPodState: PodState = { containers: {} };

/** What to remember of a pod that an earlier runner has left running: nothing of it is told again. `ended` is its phase, if it had run to its end. */
export const adoptedPodState = (
  runs: ReadonlyMap<string, ContainerRun>,
  lasts: ReadonlyMap<string, ContainerRun>,
  ended: PodState['finished'],
): PodState => ({
  containers: Object.fromEntries(
    [...runs].map(([name]) => [name, { told: 'started', ...(lasts.has(name) ? { last: lasts.get(name)! } : {}) }]),
  ),
  ...(ended ? { finished: ended } : {}),
});

/** Pods whose processes something else runs (podwire.io/supervised-by): they are only probed and shown. */
export const isSupervised = (pod: Pod): boolean => Boolean(pod.metadata.annotations?.['podwire.io/supervised-by']);
