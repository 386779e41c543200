import { copyFileSync, statSync, truncateSync } from 'node:fs';

/** A container's log is set aside once when it is larger (bytes); so it takes twice this at most, plus what is written between two looks. */
const largestLog = 10 * 1024 * 1024;

/**
 * Copies a log that has grown too large to `<log>.1` and empties it. The writers hold the file open for appending, so renaming it would
 * not stop them. A line written between the two steps is lost.
 */
export function rotateLog(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= largestLog) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file, 0);
}
