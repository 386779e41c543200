import { CniError, cniErrorCodes } from './errors.ts';

/** A way in which an attachment is not as ADD made it, and what repairs it: a shell command for the node, or {@link addAgain}. */
export interface Difference {
  readonly problem: string;
  readonly repair: string;
}

/** The repair where no command puts things right. */
export const addAgain = 'DEL and ADD the pod again';

/** The command, to be given in the node, for the pod's network namespace. */
export const inPod = (netns: string, command: string): string => `nsenter --net=${quoted(netns)} ${command}`;

/** As one word of a shell. */
export const quoted = (text: string): string => (/^[\w./:@+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * The answer of a CHECK that found differences: every problem in the message; in the details one line for a shell in the node that repairs them,
 * each command once and in the order of the problems.
 */
export function notAsAdded(differences: readonly Difference[]): CniError {
  const problems = differences.map(({ problem }) => problem);
  const repairs = new Set(differences.map(({ repair }) => repair));
  // It comes last, after what it would not bring (forwarding), and whatever else is named is then no harm.
  if (repairs.delete(addAgain)) repairs.add(addAgain);
  return new CniError(cniErrorCodes.notAsAdded, problems.join('; '), `repair: ${[...repairs].join('; ')}`);
}
