import type { PodStatus } from '../../objects/client.ts';

/** Which run of a container has the log that is asked for, or why there is none, in kubelet's words. */
export type LogRun = { readonly attempt: number } | { readonly problem: string };

/** Chooses by the pod's status, as kubelet does. A pod's restart count is the number of the run that its status shows. Pure. */
export function logRun(pod: string, status: PodStatus, container: string, previous: boolean): LogRun {
  const subject = `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod)}`;
  const found = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].find(({ name }) => name === container);
  if (!found) return { problem: `${subject} is not available` };
  const { running, terminated, waiting } = found.state ?? {};
  const last = found.lastState?.terminated;
  const shown = found.restartCount;
  if (previous && !last) return { problem: `previous terminated ${subject} not found` };
  if (running || terminated) return { attempt: previous ? shown - 1 : shown };
  // Held back between two runs: the last state is that of the run which ended.
  if (last) return { attempt: shown };
  switch (waiting?.reason) {
    case undefined:
      return { problem: `${subject} is waiting to start - no logs yet` };
    case 'ErrImagePull':
      return { problem: `${subject} is waiting to start: image can't be pulled` };
    case 'ImagePullBackOff':
      return { problem: `${subject} is waiting to start: trying and failing to pull image` };
    default:
      return { problem: `${subject} is waiting to start: ${waiting?.reason}` };
  }
}
