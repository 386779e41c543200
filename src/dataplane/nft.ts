import { addressFromValue, type Family } from '../net/index.ts';

// One nftables table as data. Text: nft-print.ts. Reading `nft -j`: nft-parse.ts. Comparing: nft-diff.ts. Applying to data: nft-apply.ts.

export type NftFamily = 'inet' | 'ip' | 'ip6';

export interface NftTable {
  /** `inet`, for both families, when it is not said. */
  readonly family?: NftFamily;
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
  readonly type: 'filter' | 'nat';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** 0 is `filter`, -100 `dstnat`, 100 `srcnat`. Chains of one hook run from low to high. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

/** `integer` is what numgen yields. */
export type NftKeyType = 'ipv4_addr' | 'ipv6_addr' | 'inet_service' | 'inet_proto' | 'integer';

/** A set; a verdict map with `verdicts`; a map to values with `data`. */
export interface NftSet {
  /** More than one: a concatenation. */
  readonly key: readonly NftKeyType[];
  readonly interval: boolean;
  readonly verdicts: boolean;
  /** What the map leads to. More than one: a concatenation. */
  readonly data?: readonly NftKeyType[];
  /**
   * Whose ports `inet_service` stands for; tcp when it is not said. nft refuses a rule that takes ports of one protocol from a map to ports of another.
   * The kernel does not tell it, so that it does not count in a comparison.
   */
  readonly protocol?: NftProtocol;
  /** Rules put elements in, which leave after so many seconds. Such elements are not part of the state. */
  readonly timeout?: number;
  /**
   * By key in canonical text: `10.0.0.1`, `10.0.0.0-10.0.0.9` (also for a prefix), `10.0.0.1 . tcp . 80`. The value is a verdict in a
   * verdict map, canonical text in a map to values, and undefined in a set.
   */
  readonly elements: ReadonlyMap<string, NftElement>;
}

export type NftElement = NftVerdict | string | undefined;

export type NftVerdict = { readonly verdict: 'accept' | 'drop' | 'return' } | { readonly verdict: 'jump' | 'goto'; readonly chain: string };

export type NftProtocol = 'tcp' | 'udp' | 'sctp';

export type NftConntrackState = 'invalid' | 'new' | 'established' | 'related' | 'untracked';

/** First and last port, both included. */
export type NftPorts = readonly [first: number, last: number];

/** A property of a packet, in nft's own words. `th` is the port of any transport protocol. */
export type NftSelector =
  | `${'ip' | 'ip6'} ${'saddr' | 'daddr'}`
  | `${'th' | NftProtocol} ${'sport' | 'dport'}`
  | `fib ${'saddr' | 'daddr'} type`
  | 'meta l4proto'
  | 'iifname'
  | 'oifname'
  | 'ct status'
  /** The destination port that the connection was opened to, before DNAT. nft 1.0.6 takes it only in a rule that names the protocol. */
  | 'ct original proto-dst'
  | `numgen random mod ${number}`;

export type NftMatch =
  | { readonly match: 'ct-state'; readonly states: readonly NftConntrackState[] }
  | { readonly match: 'ct-direction'; readonly direction: 'original' | 'reply' }
  /** Canonical text: an address, a CIDR, a protocol, a link's name (a `*` at its end is a wildcard), a kind of address, a status. */
  | { readonly match: 'is'; readonly of: NftSelector; readonly values: readonly string[]; readonly not?: true }
  /** What the selectors find, taken together, is an element of the set. */
  | { readonly match: 'in'; readonly of: readonly NftSelector[]; readonly set: string; readonly not?: true }
  /** The bits of `mask` in the packet's mark are those of `value`. */
  | { readonly match: 'mark'; readonly mask: number; readonly value: number; readonly not?: true }
  /** Disjoint, in order, none touching the next. */
  | { readonly match: 'port'; readonly side: 'sport' | 'dport'; readonly protocol: NftProtocol; readonly ports: readonly NftPorts[] };

/** What a rule does besides deciding. */
export type NftStatement =
  /** Sets bits of the packet's mark. */
  | { readonly do: 'set-mark-bits'; readonly bits: number }
  | { readonly do: 'clear-mark-bits'; readonly bits: number }
  /** Puts an element into a set with a timeout, or starts its time anew. */
  | { readonly do: 'update'; readonly set: string; readonly of: readonly NftSelector[] };

/** Where DNAT leads: one address, or what a map holds for the selectors. */
export type NftDestination =
  | { readonly address: string; readonly port?: number }
  | { readonly of: readonly NftSelector[]; readonly map: string };

/** How a rule decides. */
export type NftDecision =
  | NftVerdict
  | { readonly verdict: 'vmap'; readonly of: readonly NftSelector[]; readonly map: string }
  /** One of the chains, each as likely as the others; at least two. */
  | { readonly verdict: 'spread'; readonly chains: readonly string[] }
  | { readonly verdict: 'reject'; readonly with: 'port-unreachable' | 'tcp reset' }
  | { readonly verdict: 'masquerade'; readonly fullyRandom?: true }
  | { readonly verdict: 'dnat'; readonly family: Family; readonly to: NftDestination };

export interface NftRule {
  readonly matches: readonly NftMatch[];
  /** A named counter. */
  readonly counter?: string;
  /** A counter of the rule's own. */
  readonly count?: boolean;
  /** Done in order, after counting and before the verdict. */
  readonly statements?: readonly NftStatement[];
  /** What is done with the packet; undefined goes on with the next rule. */
  readonly verdict?: NftDecision;
  /** At most 128 bytes. */
  readonly comment?: string;
  /** A rule we could not read: its JSON. Such a rule is never ours. */
  readonly unknown?: string;
}

export const emptyNftTable = (name: string, family: NftFamily = 'inet'): NftTable => ({
  ...(family === 'inet' ? {} : { family }),
  name,
  chains: new Map(),
  sets: new Map(),
  counters: new Set(),
});

/** The type of an address's key. */
export const addressKey = (family: Family): 'ipv4_addr' | 'ipv6_addr' => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');

/** The source or destination address as a selector. */
export const addressSelector = (family: Family, side: 'saddr' | 'daddr'): NftSelector => `${family === 4 ? 'ip' : 'ip6'} ${side}`;

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
  | { readonly op: 'delete-set'; readonly set: string; readonly map: boolean }
  | { readonly op: 'add-elements'; readonly set: string; readonly elements: ReadonlyMap<string, NftElement> }
  | { readonly op: 'delete-elements'; readonly set: string; readonly elements: readonly string[] }
  | { readonly op: 'add-chain'; readonly chain: string; readonly hook?: NftHook }
  | { readonly op: 'flush-chain'; readonly chain: string }
  | { readonly op: 'delete-chain'; readonly chain: string }
  | { readonly op: 'add-rule'; readonly chain: string; readonly rule: NftRule };

/** Operations that the kernel does all or none of. */
export interface NftTransaction {
  /** `inet` when it is not said. */
  readonly family?: NftFamily;
  readonly table: string;
  readonly operations: readonly NftOperation[];
}

/** Whether the set is declared as a map. */
export const isMap = ({ verdicts, data }: Pick<NftSet, 'verdicts' | 'data'>): boolean => verdicts || data !== undefined;

/** Names of the sets and maps that the rule looks into. */
export const setsOfRule = ({ matches, statements, verdict }: NftRule): string[] => [
  ...matches.flatMap((match) => (match.match === 'in' ? [match.set] : [])),
  ...(statements ?? []).flatMap((statement) => (statement.do === 'update' ? [statement.set] : [])),
  ...(verdict?.verdict === 'vmap' ? [verdict.map] : verdict?.verdict === 'dnat' && 'map' in verdict.to ? [verdict.to.map] : []),
];

/** Names of the chains that the rule itself names. */
export const chainsOfRule = ({ verdict }: NftRule): readonly string[] => {
  if (!verdict) return [];
  if (verdict.verdict === 'spread') return verdict.chains;
  return 'chain' in verdict ? [verdict.chain] : [];
};
