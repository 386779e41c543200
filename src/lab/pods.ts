import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseContainerRecord, podExecCommand } from '../pod-runner/index.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** A running container of a lab, found by what the pod runners wrote down. */
export interface LabPod {
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
  /** The arguments that run a command inside. */
  command(words: readonly string[]): readonly string[];
}

/** Every running container of every node. Needs no API server, so that a pod can be entered while it is down. */
export function findPods(topology: Topology, layout: LabLayout): readonly LabPod[] {
  return topology.nodes.flatMap(({ name: node }) => {
    const pods = join(layout.node(node).runnerRoot, 'pods');
    return namesIn(pods).flatMap((uid) =>
      namesIn(join(pods, uid))
        .filter((file) => file.endsWith('.json'))
        .flatMap((file) => containerAt(join(pods, uid, file), node) ?? []),
    );
  });
}

const terminal: Readonly<Record<string, string>> = process.env['TERM'] === undefined ? {} : { TERM: process.env['TERM'] };

function containerAt(file: string, node: string): LabPod | undefined {
  try {
    const record = parseContainerRecord(readFileSync(file, 'utf8'));
    if (!record?.process || record.run.phase === 'exited') return undefined;
    return {
      node,
      namespace: record.namespace,
      name: record.pod,
      container: record.container,
      // The terminal is the one that this command was typed on.
      command: (words) => podExecCommand({ ...record, environment: { ...terminal, ...record.environment } }, words),
    };
  } catch (error) {
    // The pod ended between the listing and the reading.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
