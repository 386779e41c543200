import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../../kernel/processes.ts';
import { PodRunnerError } from '../errors.ts';
import { isProgram } from '../runtime/find-program.ts';
import { readIfThere, writeWhole } from '../runtime/pod-files.ts';

/** What the pod runner starts, and the Debian package it comes in. */
const tools = { ip: 'iproute2', nsenter: 'util-linux', unshare: 'util-linux', mount: 'mount', sh: 'dash', env: 'coreutils' } as const;

/** @throws PodRunnerError saying what is missing and what to do. */
export function checkMachine(path = process.env['PATH'] ?? ''): void {
  if (process.getuid?.() !== 0) throw new PodRunnerError('pod-runner', 'making network namespaces needs root; run it with sudo');
  for (const [tool, debianPackage] of Object.entries(tools)) {
    if (!path.split(':').some((folder) => isProgram(join(folder, tool))))
      throw new PodRunnerError('pod-runner', `${tool} is not installed; run apt-get install ${debianPackage}`);
  }
}

/**
 * Takes the folder for this process: two runners on one folder would start everything twice. Returns what gives it back; a runner that
 * was killed holds it no longer. @throws PodRunnerError naming the process that has it.
 */
export function takeFolder(root: string): () => void {
  mkdirSync(join(root, 'pods'), { recursive: true, mode: 0o700 });
  const file = join(root, 'pod-runner.json');
  const holder = parseIdentity(readIfThere(file));
  if (holder && isRunning(holder))
    throw new PodRunnerError('--root-dir', `${root} is in use by the pod runner with process id ${holder.pid}`);
  writeWhole(file, `${JSON.stringify(identify(process.pid))}\n`);
  return () => rmSync(file, { force: true });
}

function parseIdentity(text: string | undefined): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text ?? '') as ProcessIdentity;
    return Number.isInteger(value?.pid) && value.pid > 0 ? value : undefined;
  } catch {
    return undefined;
  }
}
