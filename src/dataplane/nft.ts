import { addressFromValue, type Family } from '../net/index.ts';

// One nftables table of family inet as data. Text: nft-print.ts. Reading `nft -j`: nft-parse.ts. Comparing: nft-diff.ts. Applying to data: nft-apply.ts.

export interface NftTable {
  readonly name: string;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
  /** Names of the named counters; what they have counted is not part of the state. */
  readonly counters: ReadonlySet<string>;
}

export interface NftChain {
  /** A base chain has one; other chains are only reached by jumps. */
  readonly hook?: NftHook;
  readonly rules: readonly NftRule[];
}

export interface NftHook {
  readonly type: 'filter';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** 0 is `filter`. Chains of one hook run from low to high. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

export type NftKeyType = 'ipv4_addr' | 'ipv6_addr' | 'inet_service';

/** A set, or with `verdicts` a verdict map. */
export interface NftSet {
  /** More than one: a concatenation. */
  readonly key: readonly NftKeyType[];
  readonly interval: boolean;
  readonly verdicts: boolean;
  /** By key in canonical text: `10.0.0.1`, `10.0.0.0-10.0.0.9` (also for a prefix), `10.0.0.1 . 80`. The value is undefined in a plain set. */
  readonly elements: ReadonlyMap<string, NftVerdict | undefined>;
}

export type NftVerdict = { readonly verdict: 'accept' | 'drop' | 'return' } | { readonly verdict: 'jump' | 'goto'; readonly chain: string };

export type NftProtocol = 'tcp' | 'udp' | 'sctp';

export type NftConntrackState = 'invalid' | 'new' | 'established' | 'related' | 'untracked';

/** First and last port, both included. */
export type NftPorts = readonly [first: number, last: number];

export type NftMatch =
  | { readonly match: 'ct-state'; readonly states: readonly NftConntrackState[] }
  | { readonly match: 'ct-direction'; readonly direction: 'original' | 'reply' }
  | {
      readonly match: 'address';
      readonly side: 'saddr' | 'daddr';
      readonly family: Family;
      readonly in: { readonly set: string } | { readonly address: string };
    }
  | { readonly match: 'protocol'; readonly protocol: NftProtocol }
  /** Disjoint, in order, none touching the next. */
  | { readonly match: 'port'; readonly side: 'sport' | 'dport'; readonly protocol: NftProtocol; readonly ports: readonly NftPorts[] }
  /** Address and port together, in a set of concatenations. */
  | {
      readonly match: 'address-port';
      readonly side: 'source' | 'destination';
      readonly family: Family;
      readonly protocol: NftProtocol;
      readonly set: string;
    };

export interface NftRule {
  readonly matches: readonly NftMatch[];
  /** A named counter. */
  readonly counter?: string;
  /** A counter of the rule's own. */
  readonly count?: boolean;
  /** What is done with the packet; undefined goes on with the next rule. */
  readonly verdict?:
    | NftVerdict
    | { readonly verdict: 'map'; readonly side: 'saddr' | 'daddr'; readonly family: Family; readonly map: string };
  /** At most 128 bytes. */
  readonly comment?: string;
  /** A rule we could not read: its JSON. Such a rule is never ours. */
  readonly unknown?: string;
}

export const emptyNftTable = (name: string): NftTable => ({ name, chains: new Map(), sets: new Map(), counters: new Set() });

/** The key of an interval set's element, from and to as the addresses' values. @throws RangeError outside the family */
export function intervalKey(family: Family, first: bigint, last: bigint): string {
  const [from, to] = [addressFromValue(family, first).text, addressFromValue(family, last).text];
  return first === last ? from : `${from}-${to}`;
}

/** One step of a transaction on one table. */
export type NftOperation =
  | { readonly op: 'add-table' }
  | { readonly op: 'delete-table' }
  | { readonly op: 'add-counter'; readonly counter: string }
  | { readonly op: 'delete-counter'; readonly counter: string }
  | { readonly op: 'add-set'; readonly set: string; readonly of: Omit<NftSet, 'elements'> }
  | { readonly op: 'delete-set'; readonly set: string; readonly verdicts: boolean }
  | { readonly op: 'add-elements'; readonly set: string; readonly elements: ReadonlyMap<string, NftVerdict | undefined> }
  | { readonly op: 'delete-elements'; readonly set: string; readonly elements: readonly string[] }
  | { readonly op: 'add-chain'; readonly chain: string; readonly hook?: NftHook }
  | { readonly op: 'flush-chain'; readonly chain: string }
  | { readonly op: 'delete-chain'; readonly chain: string }
  | { readonly op: 'add-rule'; readonly chain: string; readonly rule: NftRule };

/** Operations that the kernel does all or none of. */
export interface NftTransaction {
  readonly table: string;
  readonly operations: readonly NftOperation[];
}
