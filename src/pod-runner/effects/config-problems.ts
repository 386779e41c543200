import type { Container, Pod } from '../../objects/client.ts';
import { resolveImage } from '../images.ts';
import type { ConfigProblem } from '../machine/types.ts';
import { containerEnvironment, type PodPlace } from '../render/environment.ts';
import { ContainerConfigError } from '../render/errors.ts';
import type { Images } from '../runtime/runtime.ts';
import { bindMounts } from '../volumes/mounts.ts';

/** Why containers cannot be started as they are configured. */
export function configProblems(pod: Pod, place: PodPlace, images: Images | undefined): Map<string, ConfigProblem> {
  const problems = new Map<string, ConfigProblem>();
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const problem = images
      ? images.problem(pod.metadata.uid ?? '', container.name, container.image ?? '', container.imagePullPolicy)
      : builtInProblem(container);
    if (problem) problems.set(container.name, problem);
    try {
      bindMounts(pod, container, containerEnvironment(pod, container, place), place.volumesDir ?? '');
    } catch (error) {
      if (!(error instanceof ContainerConfigError)) throw error;
      problems.set(container.name, { kind: 'config', message: error.message });
    }
  }
  return problems;
}

function builtInProblem(container: Container): ConfigProblem | undefined {
  const image = resolveImage(container);
  return image.kind === 'unknown' ? { kind: 'image', message: image.message } : undefined;
}
