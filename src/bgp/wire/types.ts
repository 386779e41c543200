import type { Address, Family, Prefix } from '../../net/index.ts';
import type { AsPath } from './as-path.ts';

export type Origin = 'igp' | 'egp' | 'incomplete';

/** RFC 8092: three numbers of 32 bits. */
export type LargeCommunity = readonly [global: number, local1: number, local2: number];

/** An optional attribute that we do not know, kept to be passed on (RFC 4271 section 5). */
export interface UnknownAttribute {
  readonly type: number;
  readonly flags: number;
  readonly value: Uint8Array;
}

/** The attributes of a route, without those that carry the prefixes themselves. Shared between routes of one UPDATE and never mutated. */
export interface PathAttributes {
  readonly origin: Origin;
  readonly asPath: AsPath;
  /** The NEXT_HOP attribute (IPv4). A route of MP_REACH_NLRI has its next hop there. */
  readonly nextHop?: Address;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: boolean;
  readonly aggregator?: { readonly asn: number; readonly address: Address };
  /** RFC 1997: 32-bit numbers. */
  readonly communities?: readonly number[];
  /** RFC 4456. */
  readonly originatorId?: Address;
  readonly clusterList?: readonly Address[];
  /** RFC 4360: eight octets each, as 16 hex digits. */
  readonly extendedCommunities?: readonly string[];
  readonly largeCommunities?: readonly LargeCommunity[];
  readonly unknown?: readonly UnknownAttribute[];
}

export interface MpReach {
  readonly family: Family;
  readonly nextHop: Address;
  /** A second, link-local next hop (RFC 2545 section 3). */
  readonly linkLocal?: Address;
  readonly prefixes: readonly Prefix[];
}

export interface MpUnreach {
  readonly family: Family;
  readonly prefixes: readonly Prefix[];
}

/**
 * How a malformed attribute was handled short of a reset (RFC 7606): `discard` went on without the attribute; `withdraw` turned the routes of the
 * UPDATE into withdrawals.
 */
export interface UpdateFinding {
  readonly action: 'discard' | 'withdraw';
  /** Type code; 0 when the list as a whole is at fault. */
  readonly attribute: number;
  readonly reason: string;
}

export interface OpenMessage {
  readonly type: 'open';
  readonly version: number;
  /** The 16-bit field; AS_TRANS when the number needs four octets. */
  readonly asn: number;
  /** Seconds. */
  readonly holdTime: number;
  /** The BGP identifier as an IPv4 address (RFC 6286: any 32-bit number but 0). */
  readonly routerId: Address;
  readonly capabilities: readonly Capability[];
}

export type Capability =
  | { readonly type: 'multiprotocol'; readonly afi: number; readonly safi: number }
  | { readonly type: 'route-refresh' }
  | { readonly type: 'four-octet-asn'; readonly asn: number }
  | GracefulRestartCapability
  | { readonly type: 'unknown'; readonly code: number; readonly value: Uint8Array };

/** RFC 4724 section 3, with the N bit of RFC 8538. */
export interface GracefulRestartCapability {
  readonly type: 'graceful-restart';
  /** The sender has restarted (R). */
  readonly restarting: boolean;
  /** The sender keeps to RFC 8538 for NOTIFICATION messages (N). */
  readonly notification: boolean;
  /** Seconds, 0 to 4095. */
  readonly restartTime: number;
  readonly families: readonly { readonly afi: number; readonly safi: number /** F */; readonly forwarding: boolean }[];
}

export interface UpdateMessage {
  readonly type: 'update';
  /** IPv4 prefixes of the Withdrawn Routes field. */
  readonly withdrawn: readonly Prefix[];
  /** IPv4 prefixes of the NLRI field. */
  readonly nlri: readonly Prefix[];
  /** Present when the UPDATE announces anything. */
  readonly attributes?: PathAttributes;
  readonly mpReach?: MpReach;
  readonly mpUnreach?: MpUnreach;
  /** Empty for a well-formed message. */
  readonly findings: readonly UpdateFinding[];
}

export interface NotificationMessage {
  readonly type: 'notification';
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface KeepaliveMessage {
  readonly type: 'keepalive';
}

/** RFC 2918. The reserved octet is the subtype of RFC 7313; 0 is a plain request. */
export interface RouteRefreshMessage {
  readonly type: 'route-refresh';
  readonly afi: number;
  readonly safi: number;
  readonly subtype: number;
}

export type BgpMessage = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage;

/** What of the session decides how its messages read. */
export interface WireContext {
  /** Both sides have the four-octet AS capability (RFC 6793). */
  readonly fourOctetAsn: boolean;
  /** The peer is in our AS. */
  readonly internal: boolean;
}
