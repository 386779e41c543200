import type { AnyObject } from '../../objects/index.ts';
import { internalError } from '../status-errors.ts';

/** Where a node's kubelet answers. */
export interface KubeletEndpoint {
  readonly host: string;
  readonly port: number;
}

/** kube-apiserver's default, when a node does not tell its port. */
const defaultPort = 10_250;

/**
 * A node's kubelet, by the node's status: the first address of the first preferred type that it has, and the port that it tells.
 * @throws StatusError 500 when it tells none of those addresses.
 */
export function kubeletEndpoint({ metadata, status }: AnyObject, preferredTypes: readonly string[]): KubeletEndpoint {
  const addresses: readonly { type: string; address: string }[] = status?.addresses ?? [];
  const found = preferredTypes.flatMap((type) => addresses.find((address) => address.type === type) ?? [])[0];
  if (!found) {
    const known = addresses.map(({ type, address }) => `${type}=${address}`).join(' ');
    throw internalError(`no preferred addresses found for node ${JSON.stringify(metadata.name)}; known addresses: [${known}]`);
  }
  return { host: found.address, port: status?.daemonEndpoints?.kubeletEndpoint?.Port || defaultPort };
}
