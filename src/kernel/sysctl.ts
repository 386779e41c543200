import type { CommandRunner } from './command-runner.ts';

/** Kernel parameter: path below /proc/sys with slashes (`net/ipv4/ip_forward`), and value. */
export type Sysctl = readonly [path: string, value: string];

// /proc/sys/net shows the network namespace of whoever opens it, so the writer has to run inside. A fixed script; paths and values are its arguments.
const writeAll = 'while [ $# -gt 1 ]; do printf %s "$2" >"/proc/sys/$1" || exit 1; shift 2; done';

/** Writes kernel parameters with one process, in the network namespace of the runner. @throws CommandError naming the parameter that failed. */
export async function writeSysctls(runner: CommandRunner, sysctls: readonly Sysctl[]): Promise<void> {
  if (sysctls.length === 0) return;
  for (const [path] of sysctls)
    if (!/^[\w-]+(\/[\w.-]+)+$/.test(path) || path.includes('..')) throw new RangeError(`${path} is no sysctl path`);
  await runner.run('sh', ['-c', writeAll, 'sysctl', ...sysctls.flat()]);
}

/** The value of a kernel parameter in the network namespace of the runner; undefined when this kernel has none of that name. @throws CommandError */
export async function readSysctl(runner: CommandRunner, path: string): Promise<string | undefined> {
  if (!/^[\w-]+(\/[\w.-]+)+$/.test(path) || path.includes('..')) throw new RangeError(`${path} is no sysctl path`);
  const { stdout, exitCode } = await runner.run('cat', [`/proc/sys/${path}`], { acceptExitCodes: [1] });
  return exitCode === 0 ? stdout.trim() : undefined;
}
