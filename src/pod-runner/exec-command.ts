import { PodRunnerError } from './errors.ts';
import type { ContainerRecord } from './container-record.ts';

/**
 * The arguments that run a command inside a running container: in its network, mount, hostname and process namespaces.
 * `state` is the parsed `<root>/pods/<uid>/<container>.json`. @throws PodRunnerError when the container is not running.
 */
export function podExecCommand(
  state: Pick<ContainerRecord, 'container' | 'pod' | 'namespace' | 'process' | 'run'>,
  command: readonly string[],
): string[] {
  const subject = `container ${state.container} of pod ${state.namespace}/${state.pod}`;
  if (command.length === 0) throw new PodRunnerError(subject, 'there is no command to run');
  if (!state.process || state.run.phase === 'exited') throw new PodRunnerError(subject, `is not running (${state.run.phase})`);
  return ['nsenter', '--target', String(state.process.pid), '--net', '--mount', '--uts', '--pid', '--wd=/', '--', ...command];
}
