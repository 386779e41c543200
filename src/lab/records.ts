import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ProcessIdentity } from '../kernel/processes.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** What the supervisor writes down of itself. */
export interface SupervisorRecord extends ProcessIdentity {
  /** Loopback port of the host that the API server answers on. */
  readonly apiServerPort: number;
}

/** What it writes down of each daemon. */
export interface ComponentRecord extends ProcessIdentity {
  readonly name: string;
  readonly node: string;
  readonly restarts: number;
  /** RFC 3339. */
  readonly startedAt: string;
}

export const readTopology = (layout: LabLayout): Topology | undefined => readJson<Topology>(layout.topologyFile);
export const writeTopology = (layout: LabLayout, topology: Topology): void => writeJson(layout.topologyFile, topology);
export const readSupervisor = (layout: LabLayout): SupervisorRecord | undefined => readJson<SupervisorRecord>(layout.supervisorFile);
export const writeSupervisor = (layout: LabLayout, record: SupervisorRecord): void => writeJson(layout.supervisorFile, record);
export const removeSupervisor = (layout: LabLayout): void => rmSync(layout.supervisorFile, { force: true });
export const writeComponent = (layout: LabLayout, record: ComponentRecord): void =>
  writeJson(join(layout.processes, `${record.name}.json`), record);

/** By component name. */
export function readComponents(layout: LabLayout): ReadonlyMap<string, ComponentRecord> {
  let files: string[] = [];
  try {
    files = readdirSync(layout.processes).filter((file) => file.endsWith('.json'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const records = files.map((file) => [basename(file, '.json'), readJson<ComponentRecord>(join(layout.processes, file))] as const);
  return new Map(records.filter((entry): entry is [string, ComponentRecord] => entry[1] !== undefined));
}

/** Undefined when there is no such file, or when it holds no JSON (a crash before the first write ended). */
function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all: a reader never sees half a record. */
function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}
