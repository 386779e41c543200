import { readFileSync, statfsSync, statSync } from 'node:fs';

/** From linux/magic.h: the file system of /run/netns/NAME and /proc/PID/ns/net. */
const nsfsMagic = 0x6e736673;

/** A number that tells one network namespace from every other alive, as `net:[NUMBER]` shows it; undefined when nothing is at the path. */
export function namespaceIdentity(path: string): { readonly inode: number; readonly isNamespace: boolean } | undefined {
  try {
    return { inode: statSync(path).ino, isNamespace: statfsSync(path).type === nsfsMagic };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Changes with every boot of the machine: what was true of the kernel before is void. */
export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Does the network namespace of this process forward packets of the family? */
export function readForwarding(family: 4 | 6): boolean {
  const path = family === 4 ? '/proc/sys/net/ipv4/ip_forward' : '/proc/sys/net/ipv6/conf/all/forwarding';
  try {
    return readFileSync(path, 'utf8').trim() !== '0';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
