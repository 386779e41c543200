import { joinHostPort } from '../net/index.ts';
import type { Clock } from '../runtime/clock.ts';
import { DnsError } from './errors.ts';
import type { DnsOptions, Upstream } from './options.ts';
import { encodeQuery, FormatError, nameKey, rcodes, readMessage, type ReceivedMessage } from './wire/index.ts';

/**
 * Sends a request to a server and resolves with the first answer that `accept` takes; others are ignored, so that a forged one cannot end
 * the wait. Over UDP from a socket of its own, so that the port is random. Rejects when the signal aborts.
 */
export type Exchange = (
  upstream: Upstream,
  transport: 'udp' | 'tcp',
  request: Uint8Array,
  accept: (answer: Uint8Array) => boolean,
  signal: AbortSignal,
) => Promise<Uint8Array>;

export interface ForwarderParts {
  readonly upstreams: readonly Upstream[];
  readonly exchange: Exchange;
  readonly clock: Clock;
  /** An unpredictable integer below the bound. */
  readonly randomInteger: (below: number) => number;
  readonly options: Pick<DnsOptions, 'maxConcurrentForwards' | 'forwardTimeout' | 'udpPayloadSize'>;
}

export interface ForwardRequest {
  /** Wire name. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
}

export interface Forwarder {
  /** The answer of the first upstream that gives one. @throws DnsError: overloaded, upstream-failed (naming each upstream and its reason) */
  resolve(request: ForwardRequest): Promise<Uint8Array>;
  /** Never asks this upstream again: it leads back to ourselves. */
  disable(upstream: Upstream): void;
  readonly upstreams: readonly { readonly server: string; readonly state: 'up' | 'down' | 'loop' }[];
  readonly pending: number;
}

/** How long an upstream that did not answer is asked last (ms). */
const downTime = 5_000;

interface UpstreamState {
  readonly upstream: Upstream;
  readonly server: string;
  downUntil: number;
  loop: boolean;
}

/** Asks upstreams in order, those that lately failed last; each once, a truncated answer again over TCP. */
export function createForwarder({ upstreams, exchange, clock, randomInteger, options }: ForwarderParts): Forwarder {
  const states: UpstreamState[] = upstreams.map((upstream) => ({
    upstream,
    server: joinHostPort(upstream.address, upstream.port),
    downUntil: 0,
    loop: false,
  }));
  let pending = 0;

  async function ask(state: UpstreamState, request: ForwardRequest, transport: 'udp' | 'tcp'): Promise<Uint8Array> {
    const id = randomInteger(65_536);
    const message = encodeQuery(id, request.name, request.type, { ...request, payloadSize: options.udpPayloadSize });
    const key = nameKey(request.name);
    const abort = new AbortController();
    const cancel = clock.setTimer(options.forwardTimeout, () => abort.abort());
    try {
      let parsed: ReceivedMessage | undefined;
      const answer = await exchange(
        state.upstream,
        transport,
        message,
        (bytes) => {
          parsed = answersTo(bytes, id, key, request.type);
          return parsed !== undefined;
        },
        abort.signal,
      );
      if (parsed?.truncated && transport === 'udp') return await ask(state, request, 'tcp');
      if (parsed?.rcode === rcodes.SERVFAIL || parsed?.rcode === rcodes.REFUSED)
        throw new DnsError('upstream-failed', parsed.rcode === rcodes.REFUSED ? 'REFUSED' : 'SERVFAIL');
      return answer;
    } finally {
      cancel();
      abort.abort();
    }
  }

  return {
    get pending() {
      return pending;
    },
    get upstreams() {
      const now = clock.monotonic();
      return states.map(({ server, loop, downUntil }) => ({ server, state: loop ? 'loop' : downUntil > now ? 'down' : 'up' }) as const);
    },
    disable(upstream) {
      for (const state of states) if (state.upstream === upstream) state.loop = true;
    },
    async resolve(request) {
      if (pending >= options.maxConcurrentForwards)
        throw new DnsError('overloaded', `${pending} requests are waiting for upstreams already`);
      pending++;
      try {
        const now = clock.monotonic();
        const usable = states.filter((state) => !state.loop);
        const order = [...usable.filter((state) => state.downUntil <= now), ...usable.filter((state) => state.downUntil > now)];
        const failures: string[] = [];
        for (const state of order) {
          try {
            const answer = await ask(state, request, 'udp');
            state.downUntil = 0;
            return answer;
          } catch (error) {
            // An upstream that refuses or fails a name is there all the same.
            if (!(error instanceof DnsError)) state.downUntil = clock.monotonic() + downTime;
            failures.push(`${state.server}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
        throw new DnsError('upstream-failed', failures.length > 0 ? failures.join('; ') : 'no upstream is usable');
      } finally {
        pending--;
      }
    },
  };
}

/** The message, if it is the answer to our request: id and question must be ours (RFC 5452 section 9.1). */
function answersTo(bytes: Uint8Array, id: number, key: string, type: number): ReceivedMessage | undefined {
  try {
    const message = readMessage(bytes);
    const { question } = message;
    return message.isResponse && message.id === id && question.key === key && question.type === type && question.class === 1
      ? message
      : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
