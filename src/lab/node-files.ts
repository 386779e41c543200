import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { staticPods } from './cluster-objects.ts';
import { controlNode } from './components.ts';
import { writeContainerdFiles } from './cri/start-files.ts';
import type { LabLayout } from './layout.ts';
import { roleObjects } from './roles.ts';
import type { Topology } from './topology.ts';

/** Writes what the daemons of a node read: the manifests of its static pods, what containerd is started with where there is one, and on the control plane the objects that the API server makes. */
export async function writeManifests(topology: Topology, layout: LabLayout, node: string): Promise<void> {
  const { manifests, containerd, cniConfDir, cniBinDir } = layout.node(node);
  if (topology.nodes.some(({ name, containerd: wanted }) => name === node && wanted))
    await writeContainerdFiles(containerd, { cniConfDir, cniBinDir });
  if (node === controlNode(topology).name) {
    await mkdir(layout.root, { recursive: true, mode: 0o700 });
    await writeFile(
      layout.initialObjects,
      roleObjects()
        .map((object) => stringify(object))
        .join('---\n'),
    );
  }
  await mkdir(manifests, { recursive: true, mode: 0o700 });
  await Promise.all(staticPods(topology, node).map((pod) => writeFile(join(manifests, `${pod.metadata.name}.yaml`), stringify(pod))));
}
