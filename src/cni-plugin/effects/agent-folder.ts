import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { identify, isRunning } from '../../kernel/processes.ts';
import { installLink, linkTargetOf, readFileIfThere, writeFileAtomically } from '../../storage/install-file.ts';

/** Beside the launcher: a symbolic link to the agent's folder. launcher.sh knows the name. */
export const agentLinkName = 'podwire-cni.agent';

/**
 * Where the agent of a network keeps what launchers need. In it:
 *
 *     current     one line: process id of the agent, name of its run folder, start time of the process
 *     run-XXXXXX  see request-slots.ts; every start of an agent has one of its own, so that no launcher waits at a pipe of a former one.
 *                 Where there is a file system in memory it is there, and this is a symbolic link: a request is a file for 5 ms, and on
 *                 a disk making and removing it may take as long
 *     queue       see delete-queue.ts
 *
 * A network's name does not start with a dot, so no network's folder is here.
 */
export const agentFolder = (stateDir: string): string => join(stateDir, '.agent');

export const queueFolder = (folder: string): string => join(folder, 'queue');

/** Usual places of file systems in memory. */
const memoryFolders = ['/run', '/dev/shm'];

/** Run folders in memory: the process id and start time of the agent tell whether it is still needed. */
const runFolderName = /^podwire-cni-(\d+)-(\d+)-\w+$/;

/** TMPFS_MAGIC of statfs(2). */
const tmpfs = 0x01021994;

/**
 * Makes the folder and a run folder; returns the latter's path. Removes those of former agents of this folder, and those in memory whose agents
 * are gone.
 */
export function makeRunFolder(folder: string): string {
  mkdirSync(queueFolder(folder), { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) if (name.startsWith('run-')) removeRunFolder(join(folder, name));
  const memory = memoryFolders.find((path) => existsSync(path) && statfsSync(path).type === tmpfs);
  if (memory === undefined) return mkdtempSync(join(folder, 'run-'));
  for (const name of readdirSync(memory)) {
    const [, pid, startTime] = runFolderName.exec(name) ?? [];
    if (pid !== undefined && !isRunning({ pid: Number(pid), startTime: Number(startTime) }))
      rmSync(join(memory, name), { recursive: true, force: true });
  }
  const inMemory = mkdtempSync(join(memory, `podwire-cni-${process.pid}-${identify(process.pid)?.startTime ?? 0}-`));
  const path = join(folder, `run-${inMemory.slice(-6)}`);
  symlinkSync(inMemory, path);
  return path;
}

/** Removes a run folder, also where the link leads. */
export function removeRunFolder(path: string): void {
  const target = linkTargetOf(path);
  if (target !== undefined && runFolderName.test(basename(target))) rmSync(target, { recursive: true, force: true });
  rmSync(path, { recursive: true, force: true });
}

/** From now on launchers ask this process. */
export function announceAgent(folder: string, runFolder: string): void {
  writeFileAtomically(join(folder, 'current'), `${process.pid} ${basename(runFolder)} ${identify(process.pid)?.startTime ?? 0}\n`, 0o600);
}

/** Announces again what request-watch.ts took for stuck. Another agent's announcement stays. */
export function announceAgentAgain(folder: string, runFolder: string): boolean {
  if (existsSync(join(folder, 'current'))) return false;
  announceAgent(folder, runFolder);
  return true;
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
export const linkAgentFolder = (folder: string, binDir: string): void => installLink(folder, join(binDir, agentLinkName));
