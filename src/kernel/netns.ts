import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, statSync } from 'node:fs';
import type { CommandRunner } from './command-runner.ts';
import { ipBatch } from './ip.ts';

const folder = '/run/netns';

/** Where a named network namespace is mounted (ip-netns(8)). */
export const networkNamespacePath = (name: string): string => `${folder}/${name}`;

/** Names of all named network namespaces. */
export function listNetworkNamespaces(): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * iproute2 makes the folder and mounts it on itself with the first namespace ever. Undoes that when the folder holds no namespace any more;
 * one that is in use stays.
 */
export async function removeNamespaceFolder(runner: CommandRunner): Promise<void> {
  if (listNetworkNamespaces().length > 0 || !existsSync(folder)) return;
  await runner.run('umount', [folder], { acceptExitCodes: [1, 32] });
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

export const namespaceFolderExists = (): boolean => existsSync(folder);

/** Makes named network namespaces with one process. @throws IpBatchError naming the first that exists already. */
export async function addNetworkNamespaces(runner: CommandRunner, names: readonly string[]): Promise<void> {
  await ipBatch(
    runner,
    names.map((name) => `netns add ${name}`),
  );
}

/** Removes named network namespaces; one that is gone already is no error. What lives in them goes when their last process ends. */
export async function removeNetworkNamespaces(runner: CommandRunner, names: readonly string[]): Promise<void> {
  const failures = await ipBatch(
    runner,
    names.map((name) => `netns del ${name}`),
    { force: true },
  );
  const [failure] = failures.filter(({ detail }) => !/No such file or directory/.test(detail));
  if (failure) throw failure;
}

/** Ids of the processes inside any of the named namespaces, by one pass over /proc. */
export function networkNamespaceProcesses(names: readonly string[]): number[] {
  const inodes = new Set(
    names.flatMap((name) => {
      const inode = statSync(networkNamespacePath(name), { throwIfNoEntry: false })?.ino;
      return inode === undefined ? [] : [`net:[${inode}]`];
    }),
  );
  if (inodes.size === 0) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/ns/net`)) && readFileSync(`/proc/${pid}/stat`, 'utf8') !== '';
      } catch {
        // Ended meanwhile.
        return false;
      }
    })
    .map(Number);
}
