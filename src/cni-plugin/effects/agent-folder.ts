import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { identify, isRunning } from '../../kernel/processes.ts';
import { readFileIfThere, writeFileAtomically } from '../../storage/install-file.ts';

/** Beside the launcher: a symbolic link to the agent's folder. launcher.sh knows the name. */
export const agentLinkName = 'podwire-cni.agent';

/**
 * Where the agent of a network keeps what launchers need. In it:
 *
 *     current     one line: process id of the agent, name of its run folder, start time of the process
 *     run-XXXXXX  see request-slots.ts; every start of an agent has one of its own, so that no launcher waits at a pipe of a former one
 *     queue       see delete-queue.ts
 *
 * A network's name does not start with a dot, so no network's folder is here.
 */
export const agentFolder = (stateDir: string): string => join(stateDir, '.agent');

export const queueFolder = (folder: string): string => join(folder, 'queue');

/** Makes the folder and a run folder; returns the latter. Removes those of former agents. */
export function makeRunFolder(folder: string): string {
  mkdirSync(queueFolder(folder), { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) if (name.startsWith('run-')) rmSync(join(folder, name), { recursive: true, force: true });
  return mkdtempSync(join(folder, 'run-'));
}

/** From now on launchers ask this process. */
export function announceAgent(folder: string, runFolder: string): void {
  writeFileAtomically(join(folder, 'current'), `${process.pid} ${basename(runFolder)} ${identify(process.pid)?.startTime ?? 0}\n`, 0o600);
}

/** From now on launchers do without. */
export function withdrawAgent(folder: string, runFolder: string): void {
  if (readFileIfThere(join(folder, 'current'))?.includes(` ${basename(runFolder)} `)) rmSync(join(folder, 'current'), { force: true });
}

/** Is there an agent that launchers can ask? */
export function readCurrentAgent(folder: string): boolean {
  const [pid, , startTime] = (readFileIfThere(join(folder, 'current')) ?? '').trim().split(' ');
  return Number(pid) > 0 && isRunning({ pid: Number(pid), startTime: Number(startTime) });
}

/** Puts the link to the folder beside the launcher, in one step. */
export function linkAgentFolder(folder: string, binDir: string): void {
  mkdirSync(binDir, { recursive: true, mode: 0o755 });
  const temporary = join(binDir, `.${agentLinkName}.${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(folder, temporary);
  renameSync(temporary, join(binDir, agentLinkName));
}
