import { readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import type { MachineFacts } from '../render/node.ts';

/** What this machine is. `root` is on the file system whose size is told. */
export function readMachine(root: string): MachineFacts {
  const { bsize, blocks } = statfsSync(root);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    diskBytes: bsize * blocks,
    architecture: { x64: 'amd64', ia32: '386' }[arch() as string] ?? arch(),
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readOr('/etc/os-release', ''))?.[1] ?? 'Linux',
    machineID: readOr('/etc/machine-id', '').trim(),
    bootID: readOr('/proc/sys/kernel/random/boot_id', '').trim(),
  };
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
