import { createHash } from 'node:crypto';
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

const identity = ({ name, protocol }: PortIdentity): string => name + protocol.toLowerCase();

function hash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let bits = 0n;
  for (const byte of digest.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let encoded = '';
  for (let shift = 75n; shift >= 0n; shift -= 5n) encoded += alphabet[Number((bits >> shift) & 31n)];
  return encoded;
}

/** RFC 4648 section 6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
