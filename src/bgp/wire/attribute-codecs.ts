import { addressFromBytes, type Address } from '../../net/index.ts';
import { readAsPath } from './as-path.ts';
import { attributeTypes, updateErrors } from './constants.ts';
import type { AsPath } from './as-path.ts';
import { Reader } from './reader.ts';
import type { LargeCommunity, Origin, PathAttributes, WireContext } from './types.ts';

/** The attributes of an UPDATE while they are being read. */
export type AttributeDraft = { -readonly [K in keyof PathAttributes]?: PathAttributes[K] } & {
  as4Path?: AsPath;
  as4Aggregator?: { asn: number; address: Address };
};

/** One attribute is malformed: what RFC 7606 section 7 says to do about it. */
export class AttributeError extends Error {
  readonly action: 'discard' | 'withdraw';
  readonly subcode: number;
  constructor(action: 'discard' | 'withdraw', subcode: number, message: string) {
    super(message);
    this.name = 'AttributeError';
    this.action = action;
    this.subcode = subcode;
  }
}

export interface AttributeCodec {
  readonly name: string;
  /** What the Optional and Transitive bits must be. */
  readonly category: 'well-known' | 'optional-transitive' | 'optional-nontransitive';
  /** What to do when the value is too short or too long. */
  readonly malformed: 'discard' | 'withdraw';
  /** Reads the whole value into the draft. @throws AttributeError; TruncatedError for a wrong length. */
  read(value: Uint8Array, draft: AttributeDraft, context: WireContext): void;
}

const origins: readonly Origin[] = ['igp', 'egp', 'incomplete'];
const subcodes = updateErrors;

function requireLength(value: Uint8Array, length: number, action: 'discard' | 'withdraw' = 'withdraw'): Reader {
  if (value.length !== length)
    throw new AttributeError(action, subcodes.attributeLength, `has ${value.length} octets instead of ${length}`);
  return new Reader(value);
}

/** A list of items of `size` octets; at least one (RFC 7606 sections 7.8, 7.10, 7.14; RFC 8092 section 6). */
function readList<T>(value: Uint8Array, size: number, item: (reader: Reader) => T): T[] {
  if (value.length === 0 || value.length % size !== 0)
    throw new AttributeError('withdraw', subcodes.attributeLength, `has ${value.length} octets, not a multiple of ${size}`);
  const reader = new Reader(value);
  return Array.from({ length: value.length / size }, () => item(reader));
}

/** AS 0 never names a real AS: such a path is malformed (RFC 7607). */
function refuseAsZero(path: AsPath, action: 'discard' | 'withdraw'): AsPath {
  if (path.some(({ asns }) => asns.includes(0))) throw new AttributeError(action, subcodes.malformedAsPath, 'contains AS 0');
  return path;
}

function readAggregator(value: Uint8Array, octets: 2 | 4): { asn: number; address: Address } {
  const reader = requireLength(value, octets + 4, 'discard');
  const asn = octets === 4 ? reader.u32() : reader.u16();
  if (asn === 0) throw new AttributeError('discard', subcodes.optionalAttribute, 'names AS 0');
  return { asn, address: addressFromBytes(reader.bytes(4)) };
}

/** Attributes that mean something inside an AS only are dropped when they come from outside it (RFC 7606 sections 7.5, 7.9, 7.10). */
function refuseFromExternal(context: WireContext): void {
  if (!context.internal) throw new AttributeError('discard', subcodes.attributeFlags, 'comes from an external peer');
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** An address that a router can have: not 0.0.0.0/8, loopback, multicast or class E (RFC 4271 section 6.3, "a valid IP host address"). */
export function isHostAddress(address: Address): boolean {
  if (address.family === 6) return address.value > 1n && address.value >> 120n !== 0xffn;
  const first = Number(address.value >> 24n);
  return first !== 0 && first !== 127 && first < 224;
}

/** How to read each attribute we know, except MP_REACH_NLRI and MP_UNREACH_NLRI, which carry prefixes. */
export const attributeCodecs: ReadonlyMap<number, AttributeCodec> = new Map<number, AttributeCodec>([
  [
    attributeTypes.origin,
    {
      name: 'ORIGIN',
      category: 'well-known',
      malformed: 'withdraw',
      read(value, draft) {
        const code = requireLength(value, 1).u8();
        const origin = origins[code];
        if (origin === undefined) throw new AttributeError('withdraw', subcodes.invalidOrigin, `has the undefined value ${code}`);
        draft.origin = origin;
      },
    },
  ],
  [
    attributeTypes.asPath,
    {
      name: 'AS_PATH',
      category: 'well-known',
      malformed: 'withdraw',
      read(value, draft, { fourOctetAsn }) {
        draft.asPath = refuseAsZero(readAsPath(new Reader(value), fourOctetAsn ? 4 : 2), 'withdraw');
      },
    },
  ],
  [
    attributeTypes.nextHop,
    {
      name: 'NEXT_HOP',
      category: 'well-known',
      malformed: 'withdraw',
      read(value, draft) {
        const address = addressFromBytes(requireLength(value, 4).bytes(4));
        if (!isHostAddress(address)) throw new AttributeError('withdraw', subcodes.invalidNextHop, `${address.text} is not a host address`);
        draft.nextHop = address;
      },
    },
  ],
  [
    attributeTypes.med,
    {
      name: 'MULTI_EXIT_DISC',
      category: 'optional-nontransitive',
      malformed: 'withdraw',
      read: (value, draft) => void (draft.med = requireLength(value, 4).u32()),
    },
  ],
  [
    attributeTypes.localPref,
    {
      name: 'LOCAL_PREF',
      category: 'well-known',
      malformed: 'withdraw',
      read(value, draft, context) {
        refuseFromExternal(context);
        draft.localPref = requireLength(value, 4).u32();
      },
    },
  ],
  [
    attributeTypes.atomicAggregate,
    {
      name: 'ATOMIC_AGGREGATE',
      category: 'well-known',
      malformed: 'discard',
      read(value, draft) {
        requireLength(value, 0, 'discard');
        draft.atomicAggregate = true;
      },
    },
  ],
  [
    attributeTypes.aggregator,
    {
      name: 'AGGREGATOR',
      category: 'optional-transitive',
      malformed: 'discard',
      read: (value, draft, { fourOctetAsn }) => void (draft.aggregator = readAggregator(value, fourOctetAsn ? 4 : 2)),
    },
  ],
  [
    attributeTypes.communities,
    {
      name: 'COMMUNITIES',
      category: 'optional-transitive',
      malformed: 'withdraw',
      read: (value, draft) => void (draft.communities = readList(value, 4, (reader) => reader.u32())),
    },
  ],
  [
    attributeTypes.originatorId,
    {
      name: 'ORIGINATOR_ID',
      category: 'optional-nontransitive',
      malformed: 'withdraw',
      read(value, draft, context) {
        refuseFromExternal(context);
        draft.originatorId = addressFromBytes(requireLength(value, 4).bytes(4));
      },
    },
  ],
  [
    attributeTypes.clusterList,
    {
      name: 'CLUSTER_LIST',
      category: 'optional-nontransitive',
      malformed: 'withdraw',
      read(value, draft, context) {
        refuseFromExternal(context);
        draft.clusterList = readList(value, 4, (reader) => addressFromBytes(reader.bytes(4)));
      },
    },
  ],
  [
    attributeTypes.extendedCommunities,
    {
      name: 'EXTENDED_COMMUNITIES',
      category: 'optional-transitive',
      malformed: 'withdraw',
      read: (value, draft) => void (draft.extendedCommunities = readList(value, 8, (reader) => hex(reader.bytes(8)))),
    },
  ],
  [
    attributeTypes.as4Path,
    {
      name: 'AS4_PATH',
      category: 'optional-transitive',
      malformed: 'discard',
      // A speaker with four-octet AS numbers must not send it, and we must then ignore it (RFC 6793 section 4.1).
      read(value, draft, { fourOctetAsn }) {
        if (fourOctetAsn)
          throw new AttributeError('discard', subcodes.optionalAttribute, 'comes from a speaker with four-octet AS numbers');
        draft.as4Path = refuseAsZero(readAsPath(new Reader(value), 4), 'discard');
      },
    },
  ],
  [
    attributeTypes.as4Aggregator,
    {
      name: 'AS4_AGGREGATOR',
      category: 'optional-transitive',
      malformed: 'discard',
      read(value, draft, { fourOctetAsn }) {
        if (fourOctetAsn)
          throw new AttributeError('discard', subcodes.optionalAttribute, 'comes from a speaker with four-octet AS numbers');
        draft.as4Aggregator = readAggregator(value, 4);
      },
    },
  ],
  [
    attributeTypes.largeCommunities,
    {
      name: 'LARGE_COMMUNITY',
      category: 'optional-transitive',
      malformed: 'withdraw',
      read: (value, draft) =>
        void (draft.largeCommunities = readList(value, 12, (reader): LargeCommunity => [reader.u32(), reader.u32(), reader.u32()])),
    },
  ],
]);
