import type { LinkAddress } from '../dataplane/links.ts';
import { rangeOf } from '../ipam/index.ts';
import { type Address, nthAddress, prefixOf } from '../net/index.ts';
import type { Dns } from './dns-options.ts';
import type { IpamOptions, PodRoute } from './ipam-options.ts';
import type { CniResult } from './results.ts';

/** An address of the pod with what belongs to it. */
export interface PodAddress {
  readonly address: LinkAddress;
  /** Absent when another IPAM plugin gave none. */
  readonly gateway?: Address;
}

/** What an address manager gives to one attachment. */
export interface Lease {
  readonly addresses: readonly PodAddress[];
  readonly routes: readonly PodRoute[];
  readonly dns: Dns;
}

export const emptyLease: Lease = { addresses: [], routes: [], dns: {} };

/**
 * The lease of addresses out of our own ranges, one per range set and in their order.
 * @throws RangeError when an address is in none of its ranges
 */
export function ownLease({ ranges, routes }: IpamOptions, reserved: readonly Address[], dns: Dns = {}): Lease {
  const addresses = reserved.map((address, index): PodAddress => {
    const range = ranges[index] && rangeOf(ranges[index], address);
    if (!range) throw new RangeError(`${address.text} is in none of the ranges of ipam.ranges[${index}]`);
    return { address: { address, length: range.subnet.length }, gateway: range.gateway };
  });
  return { addresses, routes, dns };
}

/**
 * The lease that another IPAM plugin's result tells of.
 * @param gateways give an address without a gateway the first of its subnet, as the reference does when the bridge is to be the gateway
 */
export const leaseOfResult = ({ ips, routes, dns }: CniResult, gateways: boolean): Lease => ({
  addresses: ips.map(({ address, gateway }) => {
    const chosen = gateway ?? (gateways ? firstOf(address) : undefined);
    return { address, ...(chosen ? { gateway: chosen } : {}) };
  }),
  routes,
  dns,
});

/** The first address of the subnet, unless that is the address itself. */
function firstOf({ address, length }: LinkAddress): Address | undefined {
  if (length >= (address.family === 4 ? 31 : 127)) return undefined;
  const first = nthAddress(prefixOf(address, length), 1n);
  return first.value === address.value ? undefined : first;
}
