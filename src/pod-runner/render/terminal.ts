import { shellWord } from './shell-words.ts';

/** Columns and rows of a terminal. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Two bytes each (tty_ioctl(4), struct winsize). */
const largest = 0xffff;

/** A size as remotecommand sends it, one JSON object `{"Width":80,"Height":24}`. Undefined for anything else. */
export function parseTerminalSize(text: string): TerminalSize | undefined {
  try {
    const { Width: width, Height: height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    return isSize(width) && isSize(height) ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

const isSize = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= largest;

/**
 * Runs a command in a terminal of its own: script(1) makes it, carries bytes between it and its own standard streams, and ends with the
 * command's exit code. The path of the terminal is written to `file` before the command begins; `size` is set before that, too. Descriptors 4 and
 * 5, by which a container's pipes are kept open, are script's alone.
 */
export function terminalCommand(argv: readonly string[], file: string, size: TerminalSize | undefined): [string, ...string[]] {
  const resize = size ? `stty cols ${size.width} rows ${size.height}; ` : '';
  const line = `exec 4>&- 5>&-; tty >${shellWord(file)}; ${resize}exec ${argv.map(shellWord).join(' ')}`;
  return ['env', 'SHELL=/bin/sh', 'script', '--quiet', '--flush', '--return', '--echo', 'always', '--command', line, '/dev/null'];
}

/** Makes what follows the leader of a session whose terminal is its standard input, as the first process in a terminal is. */
export const sessionCommand = (argv: readonly string[]): string[] => ['setsid', '--ctty', '--wait', '--', ...argv];

/** Changes the size of a terminal; its foreground processes get SIGWINCH. */
export const resizeCommand = (terminal: string, { width, height }: TerminalSize): [string, ...string[]] => [
  'stty',
  '-F',
  terminal,
  'cols',
  String(width),
  'rows',
  String(height),
];
