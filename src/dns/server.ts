import type { Family } from '../net/index.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/log.ts';
import { createResponder, type DnsTransport, type Outcome } from './answer.ts';
import type { DnsTally } from './metrics.ts';
import type { DnsOptions } from './options.ts';
import type { Forwarder } from './upstream.ts';
import { FormatError, nameToText, rcodes } from './wire/index.ts';
import type { Zone } from './zone.ts';

export interface ServerParts {
  readonly options: Pick<DnsOptions, 'udpPayloadSize'>;
  /** The zone as of now; undefined before the first. */
  readonly zone: () => Zone | undefined;
  /** Undefined without upstreams. */
  readonly forwarder: Forwarder | undefined;
  readonly tally: DnsTally;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every name about to be forwarded (wire); true when it must not be. */
  readonly isOwnProbe: (name: Uint8Array) => boolean;
}

/** Answers requests: from the zone at once, from an upstream later. `reply` is called once, with undefined for a request to be ignored. */
export type RequestHandler = (
  request: Uint8Array,
  transport: DnsTransport,
  family: Family,
  reply: (answer: Uint8Array | undefined) => void,
) => void;

type Forwarded = Outcome & { kind: 'forward' };
type Replied = Outcome & { kind: 'reply' };

/** The handler of all of a server's sockets. */
export function createRequestHandler({ options, zone, forwarder, tally, clock, log, isOwnProbe }: ServerParts): RequestHandler {
  const responder = createResponder(options, forwarder !== undefined);

  async function forward(outcome: Forwarded, request: Uint8Array, transport: DnsTransport): Promise<Replied> {
    const { query, name } = outcome;
    if (isOwnProbe(name)) return responder.refuse(query, request, rcodes.REFUSED);
    try {
      const response = await forwarder!.resolve({
        name,
        type: query.type,
        checkingDisabled: (query.flags & 0x10) !== 0,
        dnssecOk: query.edns?.dnssecOk ?? false,
      });
      return responder.relay(outcome, request, transport, response);
    } catch (error) {
      if (!(error instanceof FormatError)) log.debug({ err: error, name: nameToText(name) }, 'forwarding failed');
      return responder.refuse(query, request, rcodes.SERVFAIL);
    }
  }

  return (request, transport, family, reply) => {
    const start = clock.monotonic();
    const outcome = responder.answer(zone(), request, transport);
    const send = (done: Replied, from: 'zone' | 'upstream' | 'other'): void => {
      reply(done.bytes);
      tally.count(transport, family, done.query?.type, done.rcode, from, (clock.monotonic() - start) / 1_000);
    };
    const forwardThenSend = async (asked: Forwarded): Promise<void> => send(await forward(asked, request, transport), 'upstream');
    if (outcome.kind === 'drop') reply(undefined);
    else if (outcome.kind === 'reply') send(outcome, outcome.ours ? 'zone' : 'other');
    else void forwardThenSend(outcome);
  };
}
