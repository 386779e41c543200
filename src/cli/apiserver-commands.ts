import { Command, Option } from 'commander';
import { configureStorage, type StorageFlags, storageOptions } from './apiserver-storage.ts';
import { wholeNumber } from './flags.ts';

const json = (): Option => new Option('-o, --output <format>', 'how the result is printed').choices(['text', 'json']).default('text');
const largest = Number.MAX_SAFE_INTEGER;

/** `podwire apiserver backup|restore|compact|fsck`: what looks after the store. Each is loaded when it runs. */
export function maintenanceCommands(): Command[] {
  return [backup(), restore(), compact(), fsck()];
}

function command(name: string, description: string): Command {
  const made = new Command(name).description(description);
  configureStorage(made);
  // What single flags cannot tell is wrong usage too.
  made.hook('preAction', () => {
    try {
      storageOptions(made.opts<StorageFlags>());
    } catch (error) {
      made.error(`error: ${(error as Error).message}`);
    }
  });
  return made.addOption(json());
}

const backup = (): Command =>
  command('backup', 'write all objects, as of one revision, into a file; the server may run meanwhile')
    .argument('<file>', 'where to; readable by its owner alone, replaced at once when it exists')
    .action(async (file: string, flags) => (await import('./apiserver-backup.ts')).runBackup(file, flags));

const restore = (): Command =>
  command('restore', 'put the objects of a backup into an empty store, while no server runs on it')
    .argument('<file>', 'a backup')
    .option('--force', 'replace what is in the store')
    .option(
      '--bump-revision <count>',
      'how far beyond the backup the revision is put, so that nobody takes old revisions for new ones (default: 1000000, in etcd 1000)',
      wholeNumber(1, 1_000_000_000),
    )
    .action(async (file: string, flags) => (await import('./apiserver-restore.ts')).runRestore(file, flags));

const compact = (): Command =>
  command('compact', "drop history, and give the disk back what is free; the embedded store's server must not run meanwhile")
    .option('--revision <revision>', 'drop what is older than this (default: all but what stands)', wholeNumber(1, largest))
    .option('--defragment', 'etcd: also free the disk space of each member, which does not answer meanwhile', false)
    .action(async (flags) => (await import('./apiserver-compact.ts')).runCompact(flags));

const fsck = (): Command =>
  command('fsck', 'check that every object is what its key says and that nothing is given twice; 0 when all is well, else 1')
    .option('--repair', 'mend what can be mended without losing an object; no server may run on the store meanwhile', false)
    .action(async (flags) => (await import('./apiserver-fsck.ts')).runFsck(flags));
