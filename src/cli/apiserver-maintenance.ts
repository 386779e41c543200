import { readEtcdFlags } from '../api-server/open-store.ts';
import { systemClock } from '../runtime/clock.ts';
import { createEtcdMaintenance, type EtcdMaintenance } from '../storage/etcd/maintenance.ts';
import { type StorageFlags, storageOptions } from './apiserver-storage.ts';

export interface MaintenanceFlags extends StorageFlags {
  readonly output: 'text' | 'json';
}

/** The store that a command is to look after. @throws Error in plain words for flags that do not go together. */
export async function maintained<T>(
  flags: StorageFlags,
  at: { embedded(folder: string): Promise<T>; etcd(maintenance: EtcdMaintenance): Promise<T> },
): Promise<T> {
  const { dataDir, etcd } = storageOptions(flags);
  if (!etcd) return at.embedded(dataDir);
  const maintenance = createEtcdMaintenance(readEtcdFlags(etcd), systemClock);
  try {
    return await at.etcd(maintenance);
  } finally {
    maintenance.close();
  }
}

/** Prints the result on standard output: as JSON, or as the sentence. */
export function print(flags: MaintenanceFlags, result: object, sentence: string): void {
  process.stdout.write(`${flags.output === 'json' ? JSON.stringify(result, null, 2) : sentence}\n`);
}

/** Tells on standard error how far a command is, at most twice a second, when a person looks. */
export function progress(): (text: string) => void {
  let last = performance.now();
  return (text) => {
    if (!process.stderr.isTTY || performance.now() - last < 500) return;
    last = performance.now();
    process.stderr.write(`${text}\n`);
  };
}

/** 1234567 as `1.2 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
