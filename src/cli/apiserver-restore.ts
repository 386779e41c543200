import { checkArchive, readArchive } from '../storage/archive.ts';
import { createEmbeddedStore } from '../storage/embedded-maintenance.ts';
import { maintained, type MaintenanceFlags, print, progress } from './apiserver-maintenance.ts';

interface RestoreFlags extends MaintenanceFlags {
  readonly force?: boolean;
  readonly bumpRevision?: number;
}

/** How many changes may have been made after the backup. In etcd each is a write, so fewer are taken for granted. */
const defaultBump = { embedded: 1_000_000, etcd: 1_000 } as const;

/** `podwire apiserver restore FILE`: the file is read and checked as a whole before anything is changed. @throws Error in plain words. */
export async function runRestore(file: string, flags: RestoreFlags): Promise<void> {
  const { force = false } = flags;
  const tell = progress();
  const archive = await checkArchive(file);
  const beyond = (backend: keyof typeof defaultBump): number => archive.revision + (flags.bumpRevision ?? defaultBump[backend]);
  const revision = await maintained(flags, {
    async embedded(folder) {
      await createEmbeddedStore(folder, readArchive(file), {
        revision: beyond('embedded'),
        force,
        onProgress: (keys) => tell(`${keys} of ${archive.keys} keys`),
      });
      return beyond('embedded');
    },
    etcd: (etcd) => etcd.replace(readArchive(file), { beyond: beyond('etcd'), force, onProgress: tell }),
  });
  print(
    flags,
    { file, keys: archive.keys, backupRevision: archive.revision, revision },
    `${archive.keys} keys of revision ${archive.revision} restored; the store is at revision ${revision}, and watches from before it list anew`,
  );
}
