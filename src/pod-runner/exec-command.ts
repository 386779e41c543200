import { PodRunnerError } from './errors.ts';
import { environmentCommand } from './render/shim.ts';
import type { ContainerRecord } from './container-record.ts';

/**
 * The arguments that run a command inside a running container: in its network, mount, hostname and process namespaces,
 * with its variables and in its folder.
 * `state` is the parsed `<root>/pods/<uid>/<container>.json`. @throws PodRunnerError when the container is not running.
 */
export function podExecCommand(
  state: Pick<ContainerRecord, 'container' | 'pod' | 'namespace' | 'process' | 'run' | 'environment' | 'workingDir'>,
  command: readonly string[],
  /** What is put around the command inside. */
  wrap: (argv: readonly string[]) => readonly string[] = (argv) => argv,
): [string, ...string[]] {
  const subject = `container ${state.container} of pod ${state.namespace}/${state.pod}`;
  if (command.length === 0) throw new PodRunnerError(subject, 'there is no command to run');
  if (!state.process || state.run.phase === 'exited') throw new PodRunnerError(subject, `is not running (${state.run.phase})`);
  const program = state.environment ? environmentCommand(new Map(Object.entries(state.environment)), command) : command;
  return [
    'nsenter',
    '--target',
    String(state.process.pid),
    '--net',
    '--mount',
    '--uts',
    '--pid',
    `--wdns=${state.workingDir ?? '/'}`,
    '--',
    ...wrap(program),
  ];
}
