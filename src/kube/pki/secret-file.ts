import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file that only its owner can read, in folders that only its owner can open. Whoever reads it meanwhile sees the old text or the new
 * one, never a part. `mode` is 0600 unless told.
 */
export async function writeSecretFile(file: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}.new`;
  await writeFile(next, text, { mode });
  // The mode above holds for new files only, and the umask may narrow it.
  await chmod(next, mode);
  await rename(next, file);
}
