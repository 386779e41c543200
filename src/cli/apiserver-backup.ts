import { statSync } from 'node:fs';
import { writeArchive } from '../storage/archive.ts';
import { openEmbeddedSnapshot, type Snapshot } from '../storage/snapshot.ts';
import { bytesText, maintained, type MaintenanceFlags, print, progress } from './apiserver-maintenance.ts';

/** `podwire apiserver backup FILE`. @throws Error in plain words. */
export async function runBackup(file: string, flags: MaintenanceFlags): Promise<void> {
  const tell = progress();
  const write = async (snapshot: Snapshot) => {
    const { revision, source, pages } = snapshot;
    const header = { format: 'podwire-backup', version: 1, revision, takenAt: new Date().toISOString(), source } as const;
    try {
      const keys = await writeArchive(file, header, pages, (count) => tell(`${count} keys`));
      return { ...header, keys };
    } finally {
      await snapshot.close();
    }
  };
  const { revision, source, takenAt, keys } = await maintained(flags, {
    embedded: async (folder) => write(await openEmbeddedSnapshot(folder)),
    etcd: async (etcd) => write(await etcd.snapshot()),
  });
  const bytes = statSync(file).size;
  print(flags, { file, source, revision, takenAt, keys, bytes }, `${file}: ${keys} keys at revision ${revision}, ${bytesText(bytes)}`);
}
