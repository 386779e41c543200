import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { staticPods } from './cluster-objects.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** Writes the manifests of a node's static pods. */
export async function writeManifests(topology: Topology, layout: LabLayout, node: string): Promise<void> {
  const { manifests } = layout.node(node);
  await mkdir(manifests, { recursive: true, mode: 0o700 });
  await Promise.all(staticPods(topology, node).map((pod) => writeFile(join(manifests, `${pod.metadata.name}.yaml`), stringify(pod))));
}
