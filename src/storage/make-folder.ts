import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes the folder and those above it that are missing. Not mkdirSync's `recursive`: where the system says that there is no such folder although
 * the one above is there (/proc does), Node 24 tries for ever.
 * @throws the system's error
 */
export function makeFolder(path: string, mode: number): void {
  if (made(path, mode)) return;
  if (dirname(path) !== path) makeFolder(dirname(path), mode);
  // Somebody else may have made it meanwhile; if nobody has, this throws.
  if (!made(path, mode)) mkdirSync(path, { mode });
}

/** False when the folder above is missing. */
function made(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return true;
    if (code === 'ENOENT') return false;
    throw error;
  }
}
