import type { ContainerRun } from './machine/types.ts';

/** The state file of a container, `<root>/pods/<uid>/<container>.json`: what a later runner, or `lab pod-exec`, needs to find its process. */
export interface ContainerRecord {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  /** Path of the pod's network namespace; undefined on the host's network. */
  readonly netns?: string;
  readonly image: string;
  /** What a command that is run beside it gets, too. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly stdin?: 'none' | 'open' | 'once';
  readonly tty?: boolean;
  readonly run: ContainerRun;
  readonly last?: ContainerRun;
  /** Of the boot in which the process ids mean something. */
  readonly bootID: string;
  /** The process that waits for the container's and writes down its exit code. */
  readonly shim?: { readonly pid: number; readonly startTime: number };
  /** The container's own first process, by the host's process ids. Undefined until it has started. */
  readonly process?: { readonly pid: number; readonly startTime: number };
  /** The process tells by a file when it serves; until then it is starting. */
  readonly announces: boolean;
}

/** Reads a state file's text. Undefined when it is none (cut short by a crash, or of another version). */
export function parseContainerRecord(text: string): ContainerRecord | undefined {
  try {
    const record = JSON.parse(text) as ContainerRecord;
    const strings = [record.namespace, record.pod, record.uid, record.container, record.bootID];
    const known = strings.every((value) => typeof value === 'string') && Number.isInteger(record.run?.attempt) && isPhase(record.run.phase);
    return known && isIdentity(record.shim) && isIdentity(record.process) ? record : undefined;
  } catch {
    return undefined;
  }
}

const isPhase = (phase: unknown): boolean => phase === 'starting' || phase === 'running' || phase === 'exited';
const isIdentity = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' && value !== null && Number.isInteger((value as { pid?: unknown }).pid) && (value as { pid: number }).pid > 1);
