import type { Container, Pod } from '../../objects/client.ts';
import { ContainerConfigError } from '../render/errors.ts';
import { expandReferences } from '../render/expand.ts';
import { mountsOf, volumesOf } from './types.ts';

/** A file or folder of the node that a container sees at a place of its own. */
export interface BindMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** The folder of a volume of a pod, below the folder of all its volumes. */
export const volumeFolder = (volumesDir: string, volume: string): string => `${volumesDir}/${volume}`;

/**
 * What is mounted into a container, outer places before inner ones. `volumesDir` is the folder of the pod's volumes.
 * @throws ContainerConfigError for a sub-path that leads out of its volume.
 */
export function bindMounts(
  pod: Pod,
  container: Container,
  environment: ReadonlyMap<string, string>,
  volumesDir: string,
): readonly BindMount[] {
  const volumes = new Map(volumesOf(pod).map((volume) => [volume.name, volume]));
  return mountsOf(container)
    .map(({ name, mountPath, readOnly = false, subPath, subPathExpr }): BindMount => {
      const volume = volumes.get(name);
      if (!volume) throw new ContainerConfigError(container.name, `volumeMount ${name}: the pod has no such volume`);
      const inner = subPathExpr === undefined ? (subPath ?? '') : expandReferences(subPathExpr, environment);
      if (inner.startsWith('/') || inner.split('/').includes('..')) {
        throw new ContainerConfigError(container.name, `volumeMount ${name}: subPath ${JSON.stringify(inner)} leads out of the volume`);
      }
      const folder = volume.hostPath?.path ?? volumeFolder(volumesDir, name);
      // What comes out of the API is the API's: a container cannot change it.
      const fixed = Boolean(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);
      return { source: inner === '' ? folder : `${folder}/${inner}`, target: trimmed(mountPath), readOnly: readOnly || fixed };
    })
    .toSorted((a, b) => a.target.length - b.target.length);
}

const trimmed = (path: string): string => {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  return absolute.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
};
