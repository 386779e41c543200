import type { Address, Prefix } from '../../net/index.ts';
import { asPathAsns } from '../wire/as-path.ts';
import type { PathAttributes } from '../wire/types.ts';
import type { Path, PathSource } from './path.ts';

export interface ImportContext {
  readonly localAsn: number;
  readonly routerId: Address;
  /** All of our own addresses, as text. */
  readonly ownAddresses: ReadonlySet<string>;
  /** RFC 8212: without a policy, nothing of an external peer is used. */
  readonly importPolicy: 'all' | 'none';
}

/** A received route as a path, marked when it may not be used: loops (RFC 4271 section 9.1.2, RFC 4456 section 8), a next hop of our own, policy. */
export function importPath(prefix: Prefix, nextHop: Address, attributes: PathAttributes, source: PathSource, context: ImportContext): Path {
  const ineligible = whyIneligible(prefix, nextHop, attributes, context);
  return { prefix, nextHop, attributes, source, ...(ineligible ? { ineligible } : {}) };
}

function whyIneligible(prefix: Prefix, nextHop: Address, attributes: PathAttributes, context: ImportContext): string | undefined {
  if (context.importPolicy === 'none') return 'no import policy (RFC 8212)';
  if (asPathAsns(attributes.asPath).includes(context.localAsn)) return `AS path holds our own AS ${context.localAsn}`;
  if (attributes.originatorId?.value === context.routerId.value) return 'we are the originator';
  if (attributes.clusterList?.some(({ value }) => value === context.routerId.value)) return 'cluster list holds our own identifier';
  if (context.ownAddresses.has(nextHop.text)) return `next hop ${nextHop.text} is our own address`;
  if (nextHop.family !== prefix.family) return `next hop ${nextHop.text} is of the other address family`;
  return undefined;
}
