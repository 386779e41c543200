import { readFileSync } from 'node:fs';
import { LabError } from './errors.ts';
import { parseLabFile, type Topology } from './topology.ts';

/** Reads and resolves a lab file. @throws LabError when it cannot be read, or with one line per problem in it */
export function readLabFile(file: string): Topology {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new LabError(`lab file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  return parseLabFile(text, file);
}
