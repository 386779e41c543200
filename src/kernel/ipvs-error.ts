import { CommandError } from './command-runner.ts';

export type IpvsErrorCode =
  /** The kernel lacks a module; the message names it. */
  | 'no-kernel-support'
  | 'not-installed'
  | 'not-permitted'
  | 'timeout'
  /** The kernel does not hold what the change was made for. Reading it anew helps. */
  | 'conflict'
  | 'refused';

/** A failed ipvsadm, ipset or `ip` command of the IPVS mode. `code` is stable. */
export class IpvsError extends Error {
  readonly code: IpvsErrorCode;
  constructor(code: IpvsErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'IpvsError';
    this.code = code;
  }
}

/** What to do about a module that is not there. */
export const missingModule = (module: string, what: string, cause?: unknown): IpvsError =>
  new IpvsError(
    'no-kernel-support',
    `the kernel has no ${what}: load its module with "modprobe ${module}", or choose --proxy-mode nftables or iptables where there is none`,
    cause,
  );

/** The error of a command as one of these. `missing` finds the module in what the tool said; `conflict` knows its words for a state that was not as thought. */
export function classifyIpvs(
  error: unknown,
  packageName: string,
  missing: (stderr: string) => readonly [module: string, what: string] | undefined,
  conflict: RegExp,
): unknown {
  if (!(error instanceof CommandError)) return error;
  const [tool = ''] = error.command;
  const module = error.reason === 'failed' ? missing(error.stderr) : undefined;
  if (module) return missingModule(...module, error);
  if (error.reason === 'not-installed')
    return new IpvsError('not-installed', `${tool} is not installed (Debian package ${packageName})`, error);
  if (error.reason !== 'failed') return new IpvsError(error.reason, error.message.trim(), error);
  return new IpvsError(conflict.test(error.stderr) ? 'conflict' : 'refused', error.message.trim(), error);
}
