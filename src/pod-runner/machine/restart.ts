import type { Container, Pod } from '../../objects/client.ts';
import type { ContainerMemory, ContainerRun } from './types.ts';

/** kubelet's figures (milliseconds): the second restart waits 10 s after the exit, each further one twice as long, up to 5 min. */
const firstDelay = 10_000;
const longestDelay = 300_000;

/** An init container that keeps running beside the others (KEP-753). */
export const isSidecar = (pod: Pod, container: Container): boolean =>
  container.restartPolicy === 'Always' && (pod.spec.initContainers ?? []).includes(container);

/** Whether an ended run is to be followed by another one, by the pod's restartPolicy. */
export function restartsAfter(pod: Pod, container: Container, run: ContainerRun): boolean {
  if (isSidecar(pod, container)) return true;
  const policy = pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  // An init container is done once it has succeeded, also under Always.
  const failed = run.exitCode !== 0;
  return policy === 'OnFailure' || (pod.spec.initContainers ?? []).includes(container) ? failed : true;
}

export type RestartDecision =
  | { readonly restart: true; readonly backoff: NonNullable<ContainerMemory['backoff']> }
  | { readonly restart: false; readonly at: number; readonly delay: number };

/**
 * When an ended run may be followed by the next: the first restart at once, later ones after the delay. A run that came long after the
 * last restart (twice the longest delay) starts over.
 */
export function decideRestart(backoff: ContainerMemory['backoff'], finishedAt: number, now: number): RestartDecision {
  if (!backoff || finishedAt - backoff.updatedAt > 2 * longestDelay)
    return { restart: true, backoff: { delay: firstDelay, updatedAt: now } };
  const at = finishedAt + backoff.delay;
  if (now < at) return { restart: false, at, delay: backoff.delay };
  return { restart: true, backoff: { delay: Math.min(backoff.delay * 2, longestDelay), updatedAt: now } };
}

/** Delay before a pod network that could not be made is tried again: 0.25 s doubling to 10 s. */
export const sandboxRetryDelay = (failures: number): number => Math.min(250 * 2 ** Math.min(failures - 1, 10), 10_000);

/** `10s`, `2m40s`: as Go prints a duration. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
