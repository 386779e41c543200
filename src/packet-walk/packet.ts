import type { IpSets } from '../dataplane/ipset.ts';
import type { ConntrackState } from '../dataplane/iptables.ts';
import { type Address, parseAddress } from '../net/index.ts';

/** A packet that sets out on its way through a machine's rules. */
export interface Packet {
  /** Where it enters: `prerouting` from a link, `output` from a process of the machine. */
  readonly hook: 'prerouting' | 'output';
  /** Source address. Default 192.0.2.1, or 2001:db8::1 when `to` is IPv6. */
  readonly from?: string;
  readonly sourcePort?: number;
  /** Destination address. */
  readonly to: string;
  /** Destination port; needed by tcp, udp and sctp. */
  readonly port?: number;
  readonly protocol: string;
  /** Link it came in by. */
  readonly in?: string;
  /** Connection tracking's opinion. Default NEW; NAT rules are asked only about NEW packets. */
  readonly state?: ConntrackState;
  readonly mark?: number;
}

/** The machine around the rules. */
export interface WalkWorld {
  /** The machine's own addresses, without 127.0.0.0/8 and ::1, which are always its own. */
  readonly addresses: readonly string[];
  /** Whether a rule with these odds (0 to 1) is taken. Without it always. */
  choose?(odds: number): boolean;
  /** What `-m recent` remembers: list name -> source address -> seconds. Changed by the walk. */
  readonly recent?: Map<string, Map<string, number>>;
  /** What `-m set` asks. */
  readonly sets?: IpSets;
  /** Seconds, for `-m recent`. */
  readonly now?: number;
}

export interface WalkStep {
  /** Such as `nat PREROUTING`. */
  readonly table: string;
  readonly hook: string;
  readonly chain: string;
  /** Counts from 0; undefined for the policy of a built-in chain. */
  readonly rule?: number;
  /** The rule in iptables' own words. */
  readonly text: string;
}

export interface WalkResult {
  /** `dnat`: let through to another destination; `accept`: let through as it was. */
  readonly verdict: 'accept' | 'dnat' | 'drop' | 'reject';
  /** `address`, `address:port` or `[address]:port` where it ends up. */
  readonly to: string;
  /** The source is replaced by the machine's own address. */
  readonly masquerade: boolean;
  /** Where it leaves the rules: for the machine itself, or to be forwarded or sent. */
  readonly delivered: 'local' | 'out';
  /** What a REJECT answers with. */
  readonly rejectWith?: string;
  readonly mark: number;
  /** Every rule that matched, in order. */
  readonly path: readonly WalkStep[];
}

/** The rules hold something the walk does not know: the answer would be a guess. */
export class WalkError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WalkError';
  }
}

/** Tells the machine's own addresses. */
export function localAddresses({ addresses }: WalkWorld): (address: Address) => boolean {
  const own = new Set(addresses.map((text) => parseAddress(text).text));
  return ({ text, family, value }) => own.has(text) || text === '::1' || (family === 4 && value >> 24n === 127n);
}
