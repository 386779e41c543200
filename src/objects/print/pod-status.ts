// What kubectl's STATUS, READY and RESTARTS columns say of a pod (the reference's pkg/printers/internalversion, printPod).
import type { AnyObject } from '../kind.ts';
import type { ContainerState, ContainerStatus } from '../types/index.ts';
import { humanDuration } from './duration.ts';

export interface PodSummary {
  /** E.g. `Running`, `Terminating`, `CrashLoopBackOff`, `Init:0/1`. */
  readonly status: string;
  /** Ready and all containers: `1/2`. */
  readonly ready: string;
  /** `3` or `3 (5m ago)`. */
  readonly restarts: string;
}

interface Progress {
  reason: string;
  ready: number;
  restarts: number;
  /** Milliseconds since the epoch; 0 when nothing was restarted. */
  lastRestart: number;
}

/** Sums up a pod at the time `now` (milliseconds since the epoch). */
export function summarizePod(pod: AnyObject, now: number): PodSummary {
  const { status = {}, spec = {}, metadata } = pod;
  const sidecars = new Set<string>(
    (spec.initContainers ?? [])
      .filter((c: { restartPolicy?: string }) => c.restartPolicy === 'Always')
      .map((c: { name: string }) => c.name),
  );
  const progress: Progress = { reason: status.reason || status.phase || '', ready: 0, restarts: 0, lastRestart: 0 };
  const conditionIs = (type: string, reason?: string) =>
    (status.conditions ?? []).some(
      (c: { type: string; status: string; reason?: string }) => c.type === type && (reason ? c.reason === reason : c.status === 'True'),
    );
  if (conditionIs('PodScheduled', 'SchedulingGated')) progress.reason = 'SchedulingGated';
  const initializing = countInitContainers(progress, status.initContainerStatuses ?? [], sidecars, spec.initContainers?.length ?? 0);
  if (!initializing || conditionIs('Initialized')) countContainers(progress, status, sidecars, () => conditionIs('Ready'));
  if (metadata.deletionTimestamp) {
    if (status.reason === 'NodeLost') progress.reason = 'Unknown';
    else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') progress.reason = 'Terminating';
  }
  const { restarts, lastRestart } = progress;
  return {
    status: progress.reason,
    ready: `${progress.ready}/${(spec.containers?.length ?? 0) + sidecars.size}`,
    restarts: restarts > 0 && lastRestart > 0 ? `${restarts} (${humanDuration(now - lastRestart)} ago)` : String(restarts),
  };
}

function countRestarts(progress: Progress, container: ContainerStatus): void {
  progress.restarts += container.restartCount ?? 0;
  const finished = Date.parse(container.lastState?.terminated?.finishedAt ?? '');
  if (finished > progress.lastRestart) progress.lastRestart = finished;
}

/** Goes through the init containers up to the one that is not done; true when there is one. */
function countInitContainers(
  progress: Progress,
  statuses: readonly ContainerStatus[],
  sidecars: ReadonlySet<string>,
  total: number,
): boolean {
  for (const [index, container] of statuses.entries()) {
    countRestarts(progress, container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started) {
      if (container.ready) progress.ready++;
      continue;
    }
    if (terminated) progress.reason = `Init:${terminated.reason || exitText(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') progress.reason = `Init:${waiting.reason}`;
    else progress.reason = `Init:${index}/${total}`;
    return true;
  }
  return false;
}

function countContainers(progress: Progress, status: AnyObject['status'], sidecars: ReadonlySet<string>, isReady: () => boolean): void {
  // Restarts of init containers that are done no longer count, those of sidecars do.
  progress.restarts = 0;
  progress.lastRestart = 0;
  for (const container of status.initContainerStatuses ?? []) if (sidecars.has(container.name)) countRestarts(progress, container);
  let running = false;
  for (const container of (status.containerStatuses ?? []).toReversed() as ContainerStatus[]) {
    countRestarts(progress, container);
    const { waiting, terminated } = container.state ?? {};
    if (waiting?.reason) progress.reason = waiting.reason;
    else if (terminated) progress.reason = terminated.reason || exitText(terminated);
    else if (container.ready && container.state?.running) {
      running = true;
      progress.ready++;
    }
  }
  if (progress.reason === 'Completed' && running) progress.reason = isReady() ? 'Running' : 'NotReady';
}

const exitText = ({ signal, exitCode }: NonNullable<ContainerState['terminated']>): string =>
  signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
