import type { Container, Pod } from '../../objects/client.ts';
import { type BuiltInProgram, type ImageResolution, resolveImage } from '../images.ts';
import { type BindMount, bindMounts } from '../volumes/mounts.ts';
import { containerEnvironment, type PodPlace, podHostname } from './environment.ts';
import { ContainerConfigError } from './errors.ts';
import { expandReferences } from './expand.ts';
import { type ContainerSecurity, containerSecurity } from './security.ts';

/** All that a runtime needs to know to start a container's process. */
export interface LaunchSpec {
  readonly container: string;
  readonly image: string;
  readonly program: BuiltInProgram | undefined;
  /** The command and its arguments; for a built-in program its arguments alone. */
  readonly argv: readonly string[];
  /** `command` and `args` as the pod says; what is left out is the image's, where the runtime has images. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly workingDir: string;
  /** The folder that the pod asks for; '' for the image's. */
  readonly ownWorkingDir: string;
  readonly hostname: string;
  /** Standard input can be written to: never, as long as the container runs, or until the first who writes to it ends. */
  readonly stdin: 'none' | 'open' | 'once';
  /** The process has a terminal. */
  readonly tty: boolean;
  /** What it sees at places of its own, outer ones first. */
  readonly mounts: readonly BindMount[];
  readonly security: ContainerSecurity;
}

/** The launch of a container. @throws ContainerConfigError when its configuration cannot be made. */
export function launchSpec(pod: Pod, container: Container, place: PodPlace): LaunchSpec {
  const environment = containerEnvironment(pod, container, place);
  const expand = (words: readonly string[]): readonly string[] => words.map((word) => expandReferences(word, environment));
  const { command = [], args = [] } = container;
  const image: ImageResolution = place.ownImages ? { kind: 'command', argv: [...command, ...args], imageID: '' } : resolveImage(container);
  if (image.kind === 'unknown') throw new ContainerConfigError(container.name, image.message);
  const argv = expand(image.kind === 'program' ? image.args : image.argv);
  const tty = Boolean(container.tty);
  const variables = tty ? new Map([['TERM', 'xterm'], ...environment]) : environment;
  return {
    container: container.name,
    image: container.image ?? '',
    program: image.kind === 'program' ? image.program : undefined,
    argv,
    command: expand(command),
    args: expand(args),
    environment:
      image.kind === 'program' ? new Map([...variables, ['PODWIRE_POD', pod.metadata.name], ['PODWIRE_NODE', place.nodeName]]) : variables,
    workingDir: container.workingDir || '/',
    ownWorkingDir: container.workingDir ?? '',
    hostname: podHostname(pod, place.nodeName),
    stdin: container.stdin ? (container.stdinOnce ? 'once' : 'open') : 'none',
    tty,
    mounts: bindMounts(pod, container, environment, place.volumesDir ?? ''),
    security: containerSecurity(pod, container),
  };
}
