import { parseTerminalSize, type TerminalSize } from '../render/terminal.ts';

/** An object is a few dozen bytes; what goes on beyond this is none. */
const longest = 1_024;

/** Reads the resize stream: JSON objects one after the other, with or without anything between. Gives the sizes, and what is left for later. */
export function readSizes(rest: string, chunk: string): readonly [readonly TerminalSize[], rest: string] {
  const parts = (rest + chunk).split('}');
  const left = parts.pop()!;
  return [parts.flatMap((part) => parseTerminalSize(`${part}}`) ?? []), left.length > longest ? '' : left];
}
