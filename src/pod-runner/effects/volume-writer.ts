import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { VolumeFile } from '../volumes/render.ts';

const dataLink = '..data';
const nextLink = '..data_tmp';

/**
 * Makes the files of a volume what they are to be, all at once, as kubelet's atomic writer does: they lie in a folder of their own, the link
 * `..data` leads there, and each top-level name is a link through it. Programs in the container see the old files or the new ones, and learn of
 * a change by watching `..data`. Writes nothing when nothing has changed. @returns whether something was written.
 */
export function writeVolume(dir: string, files: ReadonlyMap<string, VolumeFile>, now: Date): boolean {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  chmodSync(dir, 0o755);
  const before = existsSync(join(dir, dataLink)) ? readlinkSync(join(dir, dataLink)) : undefined;
  if (before !== undefined && isSame(join(dir, before), files)) return false;
  const stamp = now.toISOString().replace(/[-:T]/g, '_').slice(0, 19);
  const next = `..${stamp}.${randomBytes(5).toString('hex')}`;
  mkdirSync(join(dir, next), { mode: 0o755 });
  chmodSync(join(dir, next), 0o755);
  for (const [path, { content, mode }] of files) {
    const file = join(dir, next, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, content, { mode });
    // The umask may have narrowed it.
    chmodSync(file, mode);
  }
  rmSync(join(dir, nextLink), { force: true });
  symlinkSync(next, join(dir, nextLink));
  renameSync(join(dir, nextLink), join(dir, dataLink));
  linkNames(dir, new Set([...files.keys()].map((path) => path.split('/', 1)[0]!)));
  for (const name of readdirSync(dir)) {
    // What a writer that was killed has left goes too.
    if (name.startsWith('..') && name !== dataLink && name !== next) rmSync(join(dir, name), { recursive: true, force: true });
  }
  return true;
}

function linkNames(dir: string, names: ReadonlySet<string>): void {
  for (const name of names) {
    if (!lstatSync(join(dir, name), { throwIfNoEntry: false })) symlinkSync(join(dataLink, name), join(dir, name));
  }
  for (const name of readdirSync(dir)) if (!name.startsWith('..') && !names.has(name)) rmSync(join(dir, name), { force: true });
}

function isSame(folder: string, files: ReadonlyMap<string, VolumeFile>): boolean {
  if (!existsSync(folder)) return false;
  const standing = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (standing.length !== files.size) return false;
  return [...files].every(([path, { content, mode }]) => {
    const file = join(folder, path);
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat?.isFile() && (stat.mode & 0o7777) === mode && readFileSync(file).equals(content);
  });
}
