import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError, type CommandRunner } from '../../../src/kernel/command-runner.ts';

/**
 * Has a small shell start the commands, one after the other: where forking costs in proportion to the memory of the process that forks, as in
 * user-mode Linux, that takes half the time. Input and output go through files in `folder`.
 */
export function createShellRunner(folder: string): CommandRunner & { stop(): void } {
  const shell = spawn('sh', { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: ((code: number) => void)[] = [];
  createInterface({ input: shell.stdout }).on('line', (line) => waiting.shift()?.(Number(line)));
  shell.once('exit', () => {
    for (const tell of waiting.splice(0)) tell(255);
  });
  let last = 0;
  return {
    async run(command, args, { input, acceptExitCodes = [] } = {}) {
      const base = join(folder, `${++last}`);
      const [from, out, err] = [input === undefined ? '/dev/null' : `${base}.in`, `${base}.out`, `${base}.err`];
      if (input !== undefined) writeFileSync(from, input);
      const words = [command, ...args].map(quoted).join(' ');
      const exitCode = await new Promise<number>((resolve) => {
        waiting.push(resolve);
        shell.stdin.write(`${words} <${quoted(from)} >${quoted(out)} 2>${quoted(err)}; echo $?\n`);
      });
      const [stdout, stderr] = [readFileSync(out, 'utf8'), readFileSync(err, 'utf8')];
      for (const file of [out, err, ...(input === undefined ? [] : [from])]) rmSync(file, { force: true });
      if (exitCode === 0 || acceptExitCodes.includes(exitCode)) return { stdout, stderr, exitCode };
      throw new CommandError(exitCode === 127 ? 'not-installed' : 'failed', [command, ...args], exitCode, stderr);
    },
    stop: () => void shell.stdin.end(),
  };
}

/** In single quotes, as the shell has them. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
