import type { Container } from '../../objects/client.ts';
import { quantityNanos } from '../../objects/quantity.ts';
import { type ResourceFieldRef, resourcesOf } from './types.ts';

/** What the node has, for limits that a container does not set. */
export type NodeResources = Readonly<Record<string, string>>;

/**
 * The value of a resourceFieldRef such as `limits.cpu`, rounded up to whole divisors (core/v1 ResourceFieldSelector); a limit that is not set
 * is what the node has. Undefined for a resource that has no value.
 */
export function resourceValue(container: Container, { resource, divisor }: ResourceFieldRef, node: NodeResources): string | undefined {
  const match = /^(limits|requests)\.(.+)$/.exec(resource);
  if (!match) return undefined;
  const [, list, name] = match as unknown as [string, 'limits' | 'requests', string];
  const { limits = {}, requests = {} } = resourcesOf(container);
  const set = list === 'limits' ? (limits[name] ?? node[name]) : (requests[name] ?? limits[name] ?? '0');
  const value = set === undefined ? undefined : quantityNanos(set);
  const by = quantityNanos(divisor && divisor !== '0' ? divisor : '1');
  if (value === undefined || by === undefined || by <= 0n) return undefined;
  return String((value + by - 1n) / by);
}
