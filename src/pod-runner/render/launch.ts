import type { Container, Pod } from '../../objects/client.ts';
import { type BuiltInProgram, resolveImage } from '../images.ts';
import { ContainerConfigError, containerEnvironment, type PodPlace, podHostname } from './environment.ts';
import { expandReferences } from './expand.ts';

/** All that a runtime needs to know to start a container's process. */
export interface LaunchSpec {
  readonly container: string;
  readonly image: string;
  readonly program: BuiltInProgram | undefined;
  /** The command and its arguments; for a built-in program its arguments alone. */
  readonly argv: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly workingDir: string;
  readonly hostname: string;
}

/** The launch of a container. @throws ContainerConfigError when its configuration cannot be made. */
export function launchSpec(pod: Pod, container: Container, place: PodPlace): LaunchSpec {
  const image = resolveImage(container);
  if (image.kind === 'unknown') throw new ContainerConfigError(container.name, image.message);
  const environment = containerEnvironment(pod, container, place);
  const argv = (image.kind === 'program' ? image.args : image.argv).map((word) => expandReferences(word, environment));
  return {
    container: container.name,
    image: container.image ?? '',
    program: image.kind === 'program' ? image.program : undefined,
    argv,
    environment:
      image.kind === 'program'
        ? new Map([...environment, ['PODWIRE_POD', pod.metadata.name], ['PODWIRE_NODE', place.nodeName]])
        : environment,
    workingDir: container.workingDir || '/',
    hostname: podHostname(pod, place.nodeName),
  };
}
