import { type Address, addressToBytes } from '../net/index.ts';

/**
 * Name of the node's end of a veth pair: `veth` and 11 hex digits (44 bits of FNV-1a) of the container id and the interface name, so that DEL
 * finds it without having been told.
 */
export function hostLinkName(containerId: string, ifname: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(`${containerId}@${ifname}`)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return `veth${(hash >> 20n).toString(16).padStart(11, '0')}`;
}

export const isHostLinkName = (name: string): boolean => /^veth[0-9a-f]{11}$/.test(name);

/**
 * MAC of a link with the address: a prefix and the address's last four bytes. The next pod with this address has the same MAC, so whoever
 * knows the old neighbour knows the new one. Prefix 0a:58 (locally administered) is the pod's or the bridge's, 0e:58 the node's end of a pair.
 */
export function macOfAddress(address: Address, prefix: '0a:58' | '0e:58'): string {
  const tail = Array.from(addressToBytes(address).slice(-4), (byte) => byte.toString(16).padStart(2, '0'));
  return [prefix, ...tail].join(':');
}
