import type { Address, Prefix } from '../../net/index.ts';
import type { PathAttributes } from '../wire/types.ts';

/** Where a path was learned. */
export interface PathSource {
  readonly kind: 'local' | 'internal' | 'external';
  /** Key of the peer: its address as text; `local` for our own routes. */
  readonly peer: string;
  /** The peer's address; our own for local routes. */
  readonly address: Address;
  /** The peer's BGP identifier. */
  readonly routerId: Address;
  readonly asn: number;
}

/** One way to a prefix. Immutable. */
export interface Path {
  readonly prefix: Prefix;
  readonly nextHop: Address;
  readonly attributes: PathAttributes;
  readonly source: PathSource;
  /** Why it may not be used; undefined for a usable path. */
  readonly ineligible?: string;
}

export const localPeer = 'local';
/** The preference of a route that carries none (RFC 4271 leaves the value to us; 100 is what every router takes). */
export const defaultLocalPref = 100;
