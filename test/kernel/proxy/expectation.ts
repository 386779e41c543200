import { parseAddress } from '../../../src/net/index.ts';
import type { Family } from '../../kube-proxy/scenario-objects.ts';
import type { Probe } from './peer-process.ts';
import { addresses, masqueradedSource, placeOf } from './topology.ts';

// What a real packet meets when the node does what the model says.

export interface RealFlow {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
}

export interface WantedOutcome {
  readonly outcome: 'dnat' | 'accept' | 'drop' | 'reject';
  readonly backends: readonly { readonly address: string; readonly text: string; readonly masquerade: boolean }[];
}

/** Long enough for an answer within one machine, and short enough that rows which expect none do not hold up the others. */
export const silence = 300;
const patience = 3_000;

export const hostPort = (address: string, port: number): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);

/** Every answer that may come, as peers give them: `PLACE ADDRESS:PORT SOURCE`, or `! CODE`. */
export function possibleAnswers(flow: RealFlow, { outcome, backends }: WantedOutcome, family: Family): string[] {
  const { from, to, port } = flow;
  if (outcome === 'drop') return ['! TIMEOUT'];
  if (outcome === 'reject') return ['! ECONNREFUSED'];
  if (outcome === 'dnat') {
    return backends.map(({ address, text, masquerade }) =>
      // A pod does not take a packet from itself that comes in from outside.
      address === from && !masquerade
        ? '! TIMEOUT'
        : `${placeOf(address)} ${text} ${masquerade ? masqueradedSource(address, family) : from}`,
    );
  }
  // Untouched, it comes to whoever has the address; the kernel takes nothing for a loopback address from outside (RFC 1122, 3.2.1.3).
  const isNode = addresses.node.some((pair) => pair.includes(to)) || isLoopback(to);
  if (isLoopback(to) && !isLoopback(from)) return ['! TIMEOUT'];
  return [`${isNode ? 'node' : 'beyond'} ${hostPort(to, port)} ${from}`];
}

/** The probe that sees all of `answers`, or, with `once`, one of them. */
export function probeFor(flow: RealFlow & { readonly protocol: 'TCP' | 'UDP' }, answers: readonly string[], once = false): Probe {
  const want = once ? 1 : answers.length;
  const { from, protocol, to: host, port } = flow;
  const timeout = answers.includes('! TIMEOUT') ? silence : patience;
  // 80 tries miss one of three endpoints with odds of 3 * (2/3)^80, about 10^-14.
  return { protocol, host, port, from, want, tries: once ? 1 : want > 1 ? 80 : 2, timeout };
}

const isLoopback = (text: string): boolean => {
  const address = parseAddress(text);
  return address.family === 4 ? address.value >> 24n === 127n : address.text === '::1';
};
