import { readSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { spawnRunner } from '../kernel/spawn-runner.ts';
import { agentLinkName, queueFolder } from './effects/agent-folder.ts';
import { queuedDeletesIn } from './effects/delete-queue.ts';
import { agentProblem, systemPorts } from './effects/system-ports.ts';
import { maxStdinBytes } from './input.ts';
import { invoke } from './invoke.ts';

/** Runs the plugin once on this process's environment and standard input, prints the answer and sets the exit code. */
export async function main(): Promise<void> {
  // A runtime may give its plugins no PATH; `ip` and `nsenter` are in one of these on every Linux.
  process.env['PATH'] = [process.env['PATH'], '/usr/sbin', '/usr/bin', '/sbin', '/bin'].filter(Boolean).join(':');
  const invocation = { environment: process.env, stdin: await readStdin(), program: basename(process.argv0) };
  const { stdout, exitCode } = await invoke(invocation, () => ({
    ...systemPorts(spawnRunner),
    agentProblem: () => agentProblem(process.execPath),
    queuedDeletes: queuedDeletesIn(queueFolder(join(dirname(process.execPath), agentLinkName))),
    // Set by launcher.sh.
    continuesAdd: process.env['PODWIRE_CNI_CONTINUES'] === '1',
  }));
  process.stdout.write(stdout);
  process.exitCode = exitCode;
}

/** All of standard input, up to one byte more than is allowed. */
async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Not process.stdin: asking for it makes the pipe non-blocking.
  if (isatty(0)) return '';
  try {
    while (length <= maxStdinBytes) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const count = readSync(0, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      length += count;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN') return Buffer.concat(chunks).toString() + (await readStream());
    if (code !== 'EOF') throw error;
  }
  return Buffer.concat(chunks).toString();
}

/** For a standard input that does not block. */
async function readStream(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > maxStdinBytes) break;
  }
  return text;
}
