import type { Invocation } from './input.ts';
import type { InvocationOutcome } from './invoke.ts';

/** A request as the launcher writes it: the launcher's process id, `CNI_...=...` lines, an empty line, the configuration. */
export interface ServiceRequest {
  /** Process id of the launcher. */
  readonly launcher: number;
  readonly invocation: Invocation;
}

/** Undefined when it is not whole. */
export function parseServiceRequest(text: string): ServiceRequest | undefined {
  const end = text.indexOf('\n\n');
  const [first = '', ...lines] = text.slice(0, Math.max(end, 0)).split('\n');
  if (!/^\d{1,10}$/.test(first)) return undefined;
  const pairs = lines.map((line) => /^(CNI_[A-Z]+)=(.*)$/s.exec(line));
  if (pairs.includes(null)) return undefined;
  const environment = Object.fromEntries(pairs.map((pair) => [pair![1]!, pair![2]!]));
  return { launcher: Number(first), invocation: { environment, stdin: text.slice(end + 2) } };
}

/** What the launcher still has to do in the pod's namespace, and then to print. */
export interface ServiceReply extends InvocationOutcome {
  /** Lines for one `ip -batch -` there. */
  readonly podLines: readonly string[];
}

/** A pipe takes so much at once. */
const maxReplyBytes = 60_000;

/**
 * A reply as the launcher reads it: exit code and number of lines, the lines, then what to print as one line. Undefined when it cannot be told
 * this way; the launcher then does the request by itself.
 */
export function renderServiceReply({ exitCode, podLines, stdout }: ServiceReply): string | undefined {
  const text = [`${exitCode} ${podLines.length}`, ...podLines, stdout.trimEnd(), ''].join('\n');
  if (Buffer.byteLength(text) > maxReplyBytes || [...podLines, stdout.trimEnd()].some((line) => /[\n\0]/.test(line))) return undefined;
  return text;
}

/** Tells the launcher to do the request by itself. */
export const declined = 'decline 0\n';
