import { type Address, addressToBytes, parseAddress } from '../net/index.ts';

/**
 * Name of the node's end of a veth pair: `veth` and 11 hex digits (44 bits of FNV-1a) of the container id and the interface name, so that DEL
 * finds it without having been told.
 */
export function hostLinkName(containerId: string, ifname: string): string {
  return `veth${(hashOf(`${containerId}@${ifname}`) >> 20n).toString(16).padStart(11, '0')}`;
}

/** FNV-1a, 64 bits. */
function hashOf(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return hash;
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

/** MAC of a link that has no address to derive it from: always the same for the same name. */
export const macOfName = (name: string, prefix: '0a:58' | '0e:58'): string =>
  [prefix, ...(hashOf(name) >> 32n).toString(16).padStart(8, '0').match(/../g)!].join(':');

/** The link-local address that the kernel itself gives to a link with the MAC (RFC 4291, appendix A: modified EUI-64). */
export function linkLocalAddress(mac: string): Address {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const identifier = [bytes[0]! ^ 2, bytes[1]!, bytes[2]!, 0xff, 0xfe, ...bytes.slice(3)];
  const groups = [0, 2, 4, 6].map((at) => ((identifier[at]! << 8) | identifier[at + 1]!).toString(16));
  return parseAddress(`fe80::${groups.join(':')}`);
}
