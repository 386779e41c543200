import type { Family } from '../net/index.ts';

// Sets of ipset as data. Reading their text: ipset-parse.ts. Comparing and writing: ipset-diff.ts.

/** Types that are made and understood here; sets of other types are somebody else's. */
export const ipSetTypes = ['hash:ip', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net', 'bitmap:port'] as const;
export type IpSetType = (typeof ipSetTypes)[number];

export interface IpSet {
  readonly type: IpSetType;
  /** Undefined for bitmap:port, which has none. */
  readonly family: Family | undefined;
  /** As ipset prints them: `10.96.0.1,tcp:80`, `30080`, `10.0.0.1,tcp:80,192.0.2.0/24`; a whole prefix of one address without its length. */
  readonly elements: IpSetElements;
}

export type IpSetElements = ReadonlyMap<string, true>;

/** By name. */
export type IpSets = ReadonlyMap<string, IpSet>;

/** Most bytes of a name (IPSET_MAXNAMELEN with the closing zero is 32). */
export const longestSetName = 31;
