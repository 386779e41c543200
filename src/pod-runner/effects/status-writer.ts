import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import { type Pod, type PodStatus, resources } from '../../objects/client.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { newer, statusPatch } from '../render/status-patch.ts';

export interface StatusWriter {
  /** The object as the API has it now; undefined when it has none. */
  see(object: Pod | undefined): void;
  /** The object as last seen or written. */
  readonly current: Pod | undefined;
  /** What its status is to be. Writes it when it differs, now and after each change that somebody else makes. */
  want(status: PodStatus): void;
  stop(): void;
}

export interface StatusWriterParts {
  readonly client: Pick<KubeClient, 'patch'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

/** The same patch is not written again sooner than this (ms): an API server that alters what it is given must not be kept busy. */
const repeatDelay = 1_000;

/** Keeps the status of one pod in the API as it is wanted. Patches of the same pod are written one after the other. */
export function createStatusWriter({ client, clock, log, random = Math.random }: StatusWriterParts): StatusWriter {
  let current: Pod | undefined;
  let wanted: PodStatus | undefined;
  let writing = false;
  let stopped = false;
  let failures = 0;
  let lastPatch = '';
  let lastAt = Number.NEGATIVE_INFINITY;
  let cancelTimer: (() => void) | undefined;

  function later(delay: number): void {
    cancelTimer?.();
    cancelTimer = clock.setTimer(delay, () => void write());
  }

  async function write(): Promise<void> {
    cancelTimer?.();
    if (writing || stopped || !current || !wanted) return;
    const { name, namespace, uid } = current.metadata;
    const patch = statusPatch(current.status, wanted, uid);
    if (!patch) return;
    const text = JSON.stringify(patch);
    const wait = lastAt + repeatDelay - clock.monotonic();
    if (text === lastPatch && wait > 0) return later(wait);
    writing = true;
    try {
      const written = await client.patch(resources.pods, name, namespace, 'merge', patch, 'status');
      failures = 0;
      lastPatch = text;
      lastAt = clock.monotonic();
      if (current && current.metadata.uid === written.metadata.uid) current = newer(current, written);
    } catch (error) {
      // Gone, or another pod of the same name by now: the watch will tell.
      if (isNotFound(error) || isConflict(error)) return;
      failures++;
      log.warn({ err: error, pod: `${namespace}/${name}`, failures }, 'a pod status could not be written, will retry');
      later(backoffDelay(failures, { base: 100, cap: 5_000, random }));
      return;
    } finally {
      writing = false;
    }
    await write();
  }

  return {
    get current() {
      return current;
    },
    see(object) {
      current = object && current && current.metadata.uid === object.metadata.uid ? newer(current, object) : object;
      if (failures === 0) void write();
    },
    want(status) {
      wanted = status;
      if (failures === 0) void write();
    },
    stop() {
      stopped = true;
      cancelTimer?.();
    },
  };
}
