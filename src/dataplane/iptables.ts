import type { Family } from '../net/index.ts';

// Tables, chains and rules of iptables as data. Reading and writing their text: iptables-parse.ts, iptables-print.ts. Comparing: iptables-diff.ts.

export type IptablesTableName = 'raw' | 'mangle' | 'nat' | 'filter' | 'security';

/** The rules of one family, as a dump shows them or as somebody wants them. */
export interface IptablesRuleset {
  readonly family: Family;
  readonly tables: ReadonlyMap<IptablesTableName, IptablesTable>;
}

/** Chains by name, in the order of the dump. */
export type IptablesTable = ReadonlyMap<string, IptablesChain>;

export interface IptablesChain {
  /** Only built-in chains have one. */
  readonly policy?: 'ACCEPT' | 'DROP';
  readonly rules: readonly IptablesRule[];
}

/** A rule whose every match and target is known, or one kept as its text because something in it is not. */
export type IptablesRule = KnownRule | UnknownRule;

export interface KnownRule {
  readonly matches: readonly IptablesMatch[];
  /** Undefined counts packets and goes on. */
  readonly target?: IptablesTarget;
}

/** `text` is what follows `-A CHAIN`; `jump` the chain or target after -j or -g, if any. */
interface UnknownRule {
  readonly text: string;
  readonly jump?: string;
}

export type TransportProtocol = 'tcp' | 'udp' | 'sctp';

/** Packet's conntrack states, with the virtual ones of `-m conntrack`. */
export type ConntrackState = 'INVALID' | 'NEW' | 'ESTABLISHED' | 'RELATED' | 'UNTRACKED' | 'SNAT' | 'DNAT';

export type IptablesMatch =
  /** `prefix` is canonical and always has its length. */
  | { readonly match: 'source' | 'destination'; readonly prefix: string; readonly not?: boolean }
  /** A trailing `+` matches any rest of the name. */
  | { readonly match: 'in' | 'out'; readonly interface: string; readonly not?: boolean }
  | { readonly match: 'protocol'; readonly protocol: string; readonly not?: boolean }
  | { readonly match: 'comment'; readonly text: string }
  | {
      readonly match: 'sport' | 'dport';
      readonly protocol: TransportProtocol;
      readonly first: number;
      readonly last: number;
      readonly not?: boolean;
    }
  /** `-m tcp` without options: checks nothing, but is part of the rule. */
  | { readonly match: 'transport'; readonly protocol: TransportProtocol }
  | { readonly match: 'addrtype'; readonly side: 'source' | 'destination'; readonly type: 'LOCAL'; readonly not?: boolean }
  | { readonly match: 'mark'; readonly value: number; readonly mask: number; readonly not?: boolean }
  | { readonly match: 'ctstate'; readonly states: readonly ConntrackState[]; readonly not?: boolean }
  /** `odds` out of 2^31, the kernel's own unit. */
  | { readonly match: 'statistic'; readonly odds: number }
  /** Whether an ipset holds the packet's addresses and ports, taken from these sides in the order of the set's parts. */
  | { readonly match: 'set'; readonly set: string; readonly sides: readonly ('src' | 'dst')[]; readonly not?: boolean }
  | RecentMatch;

/** `-m recent` by source address: `set` records, `rcheck` asks whether it was seen in the last `seconds`. */
export interface RecentMatch {
  readonly match: 'recent';
  readonly operation: 'set' | 'rcheck';
  readonly name: string;
  readonly seconds?: number;
  readonly reap?: boolean;
}

export type IptablesTarget =
  | { readonly target: 'accept' | 'drop' | 'return' }
  | { readonly target: 'jump' | 'goto'; readonly chain: string }
  | { readonly target: 'reject'; readonly with: string }
  /** `to` is `address`, `address:port` or `[address]:port`. */
  | { readonly target: 'dnat' | 'snat'; readonly to: string; readonly random?: boolean }
  | { readonly target: 'masquerade'; readonly randomFully?: boolean }
  /** mark = (mark AND NOT mask) XOR value */
  | { readonly target: 'mark'; readonly value: number; readonly mask: number };

export const builtInChains: Readonly<Record<IptablesTableName, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** What REJECT answers when the rule does not say. */
export const defaultReject = (family: Family): string => (family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable');

export const isKnownRule = (rule: IptablesRule): rule is KnownRule => 'matches' in rule;

/** The user-defined chain a rule goes to, if it goes to one. An unknown rule's target may also be an extension's name. */
export function jumpOf(rule: IptablesRule): string | undefined {
  if (!isKnownRule(rule)) return rule.jump;
  return rule.target?.target === 'jump' || rule.target?.target === 'goto' ? rule.target.chain : undefined;
}
