import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../storage/make-folder.ts';
import type { Damage } from '../damage.ts';

/** No network's folder: a network's name does not start with an underscore. */
const damageFolder = '_damaged';

/** Keeps what was found in a file of its own below the data folder, and tells of it in one line. */
export function damageReporter(tell: (message: string) => void): (damage: Damage) => void {
  let count = 0;
  return ({ dataDir, what, outcome, text }) => {
    const name = `${what.replaceAll(/[^\w.-]+/g, '-').slice(0, 150)}.${Date.now()}.${process.pid}.${count++}`;
    const path = join(dataDir, damageFolder, name);
    let kept = `what was in its place is kept as ${path}`;
    try {
      makeFolder(join(dataDir, damageFolder), 0o700);
      writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      kept = `what was in its place cannot be kept (${(error as Error).message}): ${JSON.stringify(text.slice(0, 500))}`;
    }
    tell(`${what} cannot be read: ${outcome}; ${kept}`);
  };
}
