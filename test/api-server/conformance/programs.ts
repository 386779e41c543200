import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findKubectls } from '../kubectl-programs.ts';

export interface KubectlProgram {
  readonly file: string;
  /** `32` of 1.32. */
  readonly minor: number;
}

/** One kubectl of each version on this machine from 1.27 on, oldest first. */
export async function kubectlVersions(): Promise<KubectlProgram[]> {
  const programs = await Promise.all(findKubectls().map(async ({ file }) => ({ file, minor: await minorVersion(file) })));
  const byMinor = new Map(programs.map((program) => [program.minor, program]));
  return [...byMinor.values()].filter(({ minor }) => minor >= 27).toSorted((a, b) => a.minor - b.minor);
}

async function minorVersion(file: string): Promise<number> {
  const { stdout } = await promisify(execFile)(file, ['version', '--client', '--output=json']);
  return Number.parseInt(JSON.parse(stdout).clientVersion.minor, 10);
}
