import type { Address, Family, Prefix } from '../../net/index.ts';
import type { SessionStateName } from '../session/index.ts';
import type { MessageCounters } from './peer-link.ts';

/** A peer as the configuration wants it. */
export interface PeerConfig {
  readonly address: Address;
  readonly asn: number;
  readonly port: number;
  /** Our end of the session. */
  readonly localAddress: Address;
  /** For people: the node's name, or the address. */
  readonly name: string;
  /** RFC 8212: `none` neither takes nor gives routes. */
  readonly importPolicy: 'all' | 'none';
  readonly exportPolicy: 'all' | 'none';
  readonly nextHopSelf: boolean;
}

export interface SpeakerOptions {
  readonly asn: number;
  readonly routerId: Address;
  /** Our addresses; the first of each family is its next hop. */
  readonly addresses: readonly Address[];
  /** Seconds. */
  readonly holdTime: number;
  /** Seconds that peers keep our routes after a lost connection; 0 turns graceful restart off. */
  readonly restartTime: number;
  /** Seconds that we keep found kernel routes and wait for the peers' End-of-RIB after a restart (Selection_Deferral_Timer, RFC 4724). */
  readonly deferralTime: number;
  /** Seconds that stale routes of a peer which is back may wait for its End-of-RIB. */
  readonly stalePathTime: number;
  /** We have restarted: routes of an earlier run are in the kernel. */
  readonly restarting: boolean;
}

/** A route of our own. */
export interface Advertisement {
  readonly prefix: Prefix;
  readonly nextHop: Address;
}

export interface SpeakerListener {
  /** The loc-RIB changed. `release(generation)` lets the peers know, once the kernel has it. */
  routesChanged(generation: number): void;
  /** The time of waiting after a restart is over. */
  deferralEnded(): void;
}

export interface PeerReport {
  readonly name: string;
  readonly address: string;
  readonly asn: number;
  readonly state: SessionStateName;
  /** Seconds since the session was established; undefined when it is not. */
  readonly uptime?: number;
  readonly routerId?: string;
  /** Negotiated, in seconds. */
  readonly holdTime?: number;
  readonly families: readonly Family[];
  readonly received: number;
  readonly accepted: number;
  readonly stale: number;
  readonly advertised: number;
  readonly policy: { readonly import: 'all' | 'none'; readonly export: 'all' | 'none' };
  readonly messages: { readonly received: Readonly<MessageCounters>; readonly sent: Readonly<MessageCounters> };
  readonly lastError?: string;
}
