import type { DnsOptions } from './options.ts';
import {
  classes,
  countRecords,
  encodeRecord,
  findSet,
  flags,
  headerLength,
  headerOnly,
  isAddressSet,
  maxMessageSize,
  nameKey,
  type NameEntry,
  parseQuery,
  plainUdpSize,
  type Query,
  rcodes,
  readMessage,
  recordHeaderLength,
  type RecordSet,
  recordTypes,
  ResponseWriter,
  srvTargetOffset,
} from './wire/index.ts';
import { lookUp, type Zone } from './zone.ts';

export type DnsTransport = 'udp' | 'tcp';

/** What is to be done with a request. */
export type Outcome =
  | { readonly kind: 'drop' }
  | { readonly kind: 'reply'; readonly bytes: Buffer; readonly rcode: number; readonly query: Query | undefined; readonly ours: boolean }
  /** Ask an upstream for `name` (wire); `aliases` are the CNAMEs of ours that led there, in wire form. */
  | { readonly kind: 'forward'; readonly query: Query; readonly name: Uint8Array; readonly aliases: readonly Uint8Array[] };

export interface Responder {
  /** Answers from the zone; undefined while the caches have not synced: SERVFAIL, as a NXDOMAIN would be kept. */
  answer(zone: Zone | undefined, request: Uint8Array, transport: DnsTransport): Outcome;
  /** Makes the reply to a forwarded request from what the upstream answered. @throws FormatError when that is malformed. */
  relay(
    outcome: Outcome & { kind: 'forward' },
    request: Uint8Array,
    transport: DnsTransport,
    response: Uint8Array,
  ): Outcome & { kind: 'reply' };
  /** A reply without records. */
  refuse(query: Query, request: Uint8Array, rcode: number): Outcome & { kind: 'reply' };
}

/** RFC 6891 section 6.2.4 leaves chains unbounded; ours are Services pointing at Services. */
const maxAliases = 8;
const questionPointer = Uint8Array.of(0xc0, headerLength);

/** A responder writes one answer at a time and so may be shared. `recursion`: whether there are upstreams. */
export function createResponder(options: Pick<DnsOptions, 'udpPayloadSize'>, recursion: boolean): Responder {
  const writer = new ResponseWriter(options.udpPayloadSize);
  // Each set has its own turn: one for all would give every second record only to a client that asks for A and AAAA in pairs.
  const turns = new WeakMap<RecordSet, number>();
  const nextTurn = (set: RecordSet): number => {
    const count = countRecords(set);
    if (count < 2) return 0;
    const turn = turns.get(set) ?? 0;
    turns.set(set, turn + 1 === count ? 0 : turn + 1);
    return turn;
  };
  const available = recursion ? flags.RA : 0;

  const limitOf = (query: Query, transport: DnsTransport): number =>
    transport === 'tcp' ? maxMessageSize : Math.max(plainUdpSize, Math.min(query.edns?.payloadSize ?? 0, options.udpPayloadSize));
  const bitsOf = (query: Query): number => query.flags | available;
  const finish = (query: Query, rcode: number, bits: number, ours: boolean): Outcome & { kind: 'reply' } => ({
    kind: 'reply',
    bytes: writer.finish(rcode, bitsOf(query) | bits),
    rcode,
    query,
    ours,
  });
  const refuse: Responder['refuse'] = (query, request, rcode) => {
    writer.begin(request, query, plainUdpSize);
    return finish(query, rcode, 0, false);
  };

  /** Writes what the entry has of the type. `owner` is where the entry's name stands in the message. */
  function writeEntry(entry: NameEntry, type: number, owner: number): boolean {
    const set = type === recordTypes.ANY ? entry.sets[0] : findSet(entry, type);
    if (!set) return false;
    const turn = nextTurn(set);
    if (!set.targets) {
      writer.addSet('answer', set, owner, turn);
      return true;
    }
    const count = countRecords(set);
    const placed: { at: number; target: NameEntry }[] = [];
    for (let step = 0; step < count; step++) {
      const index = (turn + step) % count;
      const at = writer.addRecord('answer', set, index, owner);
      if (at < 0) return true;
      placed.push({ at, target: set.targets[index]! });
    }
    const targetOffset = set.type === recordTypes.SRV ? srvTargetOffset : recordHeaderLength;
    const written = new Set<NameEntry>();
    for (const { at, target } of placed) {
      if (written.has(target)) continue;
      written.add(target);
      for (const address of target.sets) if (isAddressSet(address)) writer.addSet('additional', address, at + targetOffset);
    }
    return true;
  }

  const writeSoa = (zone: Zone, apexOffset: number): void => {
    writer.addRecord('authority', zone.soa, 0, apexOffset);
  };

  function answerFrom(zone: Zone, query: Query, request: Uint8Array, transport: DnsTransport): Outcome {
    let { key, labels } = query as { key: string; labels: readonly number[] };
    let owner = headerLength;
    const aliases: Uint8Array[] = [];
    let name: Uint8Array = request.subarray(headerLength, query.questionEnd - 4);
    const forward = (): Outcome => ({ kind: 'forward', query, name, aliases });
    writer.begin(request, query, limitOf(query, transport));
    for (let hops = 0; ; hops++) {
      const found = lookUp(zone, key, labels);
      if (found.kind === 'outside') {
        if (recursion) return forward();
        return hops > 0 ? finish(query, rcodes.NOERROR, flags.AA, true) : refuse(query, request, rcodes.REFUSED);
      }
      if (found.kind === 'no-such-name') {
        writeSoa(zone, owner + found.apex);
        return finish(query, rcodes.NXDOMAIN, flags.AA, true);
      }
      if (found.kind === 'no-such-reverse') {
        if (recursion) return forward();
        writeSoa(zone, owner + found.apex);
        return finish(query, found.exists ? rcodes.NOERROR : rcodes.NXDOMAIN, flags.AA, true);
      }
      const { entry } = found;
      if (entry.alias && query.type !== recordTypes.CNAME && query.type !== recordTypes.ANY) {
        // Two ExternalNames may point at each other, or at an ever longer way round.
        if (hops >= maxAliases) return refuse(query, request, rcodes.SERVFAIL);
        const set = entry.sets[0]!;
        const at = writer.addRecord('answer', set, 0, owner);
        if (at < 0) return finish(query, rcodes.NOERROR, flags.AA, true);
        aliases.push(Buffer.concat([name, set.bytes.subarray(2)]));
        owner = at + recordHeaderLength;
        name = entry.alias;
        key = nameKey(name);
        labels = labelsOf(name);
        continue;
      }
      if (!writeEntry(entry, query.type, owner)) {
        const apex = apexIn(zone, key, labels);
        if (apex >= 0) writeSoa(zone, owner + apex);
      }
      return finish(query, rcodes.NOERROR, flags.AA, true);
    }
  }

  return {
    refuse,
    answer(zone, request, transport) {
      const parsed = parseQuery(request);
      if (parsed.kind === 'drop') return parsed;
      if (parsed.kind === 'error') {
        return {
          kind: 'reply',
          bytes: headerOnly(parsed.id, parsed.flags, parsed.rcode),
          rcode: parsed.rcode,
          query: undefined,
          ours: false,
        };
      }
      const { query } = parsed;
      if (query.edns && query.edns.version !== 0) return refuse(query, request, rcodes.BADVERS);
      if (query.class !== classes.IN || isTransfer(query.type)) return refuse(query, request, rcodes.REFUSED);
      if (query.type === recordTypes.OPT) return refuse(query, request, rcodes.FORMERR);
      if (!zone) return refuse(query, request, rcodes.SERVFAIL);
      return answerFrom(zone, query, request, transport);
    },
    relay({ query, aliases }, request, transport, response) {
      const message = readMessage(response);
      writer.begin(request, query, limitOf(query, transport));
      writer.addEncoded('answer', aliases);
      const encode = (records: typeof message.answers): Uint8Array[] =>
        records.flatMap(({ owner, type, class: recordClass, ttl, data }) =>
          data === undefined || type === recordTypes.OPT
            ? []
            : [encodeRecord(nameKey(owner) === query.key ? questionPointer : owner, type, recordClass, ttl, data)],
        );
      writer.addEncoded('answer', encode(message.answers));
      if (!writer.truncated) {
        writer.addEncoded('authority', encode(message.authorities));
        if (aliases.length === 0) writer.addEncoded('additional', encode(message.additionals));
      }
      return finish(query, message.rcode, message.flags & (aliases.length > 0 ? 0 : flags.AA | flags.AD), false);
    },
  };
}

/** Zone transfers (AXFR, IXFR) and the two obsolete mailbox types beside them. */
const isTransfer = (type: number): boolean => type >= recordTypes.IXFR && type < recordTypes.ANY;

function labelsOf(name: Uint8Array): number[] {
  const labels: number[] = [];
  for (let at = 0; name[at]; at += name[at]! + 1) labels.push(at);
  return labels;
}

/** Where the zone's own name begins in the key of a name that exists, for the SOA of a NODATA answer. */
function apexIn(zone: Zone, key: string, labels: readonly number[]): number {
  const count = key.endsWith(zone.apexKey) ? zone.apexLabels : 2;
  return labels.length === count ? 0 : (labels[labels.length - count] ?? -1);
}
