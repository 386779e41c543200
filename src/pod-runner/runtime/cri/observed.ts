import type { ContainerRun } from '../../machine/types.ts';
import type { ContainerItem, ContainerStatus, SandboxItem, SandboxStatus } from './messages.ts';
import type { PodRef } from '../runtime.ts';

/** The labels by which Kubernetes' tools know what belongs to which pod (kubelet's, crictl reads them). */
export const labelNames = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
} as const;

/** Which pod a sandbox or container is of; undefined for what no kubelet has made. */
export function podOf({ labels }: Pick<SandboxItem | ContainerItem, 'labels'>): PodRef | undefined {
  const { [labelNames.podName]: name, [labelNames.podNamespace]: namespace, [labelNames.podUid]: uid } = labels;
  return name && namespace && uid ? { namespace, name, uid } : undefined;
}

/** kubelet's exit code for a container of whose end nothing is known. */
const unknownExitCode = 137;
const startError = 'StartError';

const milliseconds = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1_000_000n);

/** A container as the runtime shows it. `runtimeName` is the first part of its id in the API: `containerd://`. */
export function runOf(status: ContainerStatus, runtimeName: string): ContainerRun {
  const { id, metadata, state, startedAt, finishedAt, exitCode, reason, message, imageRef } = status;
  const begun = {
    attempt: metadata?.attempt ?? 0,
    id: `${runtimeName}://${id}`,
    imageID: imageRef,
    ...(startedAt === '0' ? {} : { startedAt: milliseconds(startedAt) }),
  };
  if (state === 'CONTAINER_CREATED') return { ...begun, phase: 'starting' };
  if (state === 'CONTAINER_RUNNING') return { ...begun, phase: 'running' };
  const end = finishedAt === '0' ? {} : { finishedAt: milliseconds(finishedAt) };
  if (state === 'CONTAINER_UNKNOWN') return { ...begun, ...lost, ...end, ...(message ? { message } : {}) };
  // The other reasons (Completed, Error) are told by the exit code; kubelet shows OOMKilled, too.
  const kept = reason === startError || reason === 'OOMKilled' ? { reason } : {};
  return { ...begun, phase: 'exited', exitCode, ...end, ...kept, ...(message ? { message } : {}) };
}

/** A run that was there, and is not in the runtime any more. */
export const lost: Pick<ContainerRun, 'phase' | 'exitCode' | 'reason' | 'message'> = {
  phase: 'exited',
  exitCode: unknownExitCode,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod runner looked for it',
};

/** What could not be started. */
export const failedStart = (run: ContainerRun, message: string, finishedAt: number): ContainerRun => ({
  ...run,
  phase: 'exited',
  exitCode: 128,
  reason: startError,
  message,
  finishedAt,
});

/** Which phase comes after which: what a slower answer says of an earlier one is not news. */
const order: Readonly<Record<ContainerRun['phase'], number>> = { starting: 0, running: 1, exited: 2 };

/** `next` tells more than `known` does. */
export const isLater = (next: ContainerRun, known: ContainerRun | undefined): boolean =>
  !known || next.attempt > known.attempt || (next.attempt === known.attempt && order[next.phase] > order[known.phase]);

/** The addresses of a sandbox with a network of its own, primary first; undefined without a finished one. */
export function addressesOf({ state, network }: SandboxStatus): readonly string[] | undefined {
  if (state !== 'SANDBOX_READY' || !network?.ip) return undefined;
  return [network.ip, ...network.additionalIps.map(({ ip }) => ip)];
}
