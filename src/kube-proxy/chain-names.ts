import { hash as sha256 } from 'node:crypto';
import type { Backend, ServicePortModel } from './model.ts';

type PortIdentity = Pick<ServicePortModel, 'name' | 'protocol'>;

/** Policy Cluster's endpoints: `KUBE-SVC-` and 16 characters of base32 of SHA-256 over the name and the protocol in lower case, as kube-proxy's. */
export const clusterChain = (port: PortIdentity): string => `KUBE-SVC-${hash(identity(port))}`;
/** Policy Local's endpoints. */
export const localChain = (port: PortIdentity): string => `KUBE-SVL-${hash(identity(port))}`;
/** Traffic to an address that outsiders use. */
export const externalChain = (port: PortIdentity): string => `KUBE-EXT-${hash(identity(port))}`;
/** The source ranges of load-balancer addresses. */
export const firewallChain = (port: PortIdentity): string => `KUBE-FW-${hash(identity(port))}`;
/** One endpoint. */
export const endpointChain = (port: PortIdentity, { text }: Pick<Backend, 'text'>): string => `KUBE-SEP-${hash(identity(port) + text)}`;

/** Services whose addresses are in one block, in the bucketed layout. */
export const bucketChain = (prefix: string): string => `KUBE-BKT-${hash(prefix)}`;

const identity = ({ name, protocol }: PortIdentity): string => name + protocol.toLowerCase();

function hash(text: string): string {
  const digest = sha256('sha256', text, 'buffer');
  let encoded = '';
  // Five bytes are eight characters.
  for (const start of [0, 5]) {
    const high = (digest[start]! << 12) | (digest[start + 1]! << 4) | (digest[start + 2]! >> 4);
    const low = ((digest[start + 2]! & 15) << 16) | (digest[start + 3]! << 8) | digest[start + 4]!;
    for (let shift = 15; shift >= 0; shift -= 5) encoded += alphabet[(high >> shift) & 31];
    for (let shift = 15; shift >= 0; shift -= 5) encoded += alphabet[(low >> shift) & 31];
  }
  return encoded;
}

/** RFC 4648 section 6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
