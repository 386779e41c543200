// Rules for amounts of resources (the reference's ValidateResourceRequirements).
import { quantityNanos } from '../quantity.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, required } from './causes.ts';
import { negativeText, qualifiedName } from './names.ts';

type Amounts = Readonly<Record<string, string | number>>;

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
/** Whether a request may be lower than its limit. */
const mayOvercommit = (name: string): boolean => isNative(name) && !isHugePages(name);

/** Names and amounts at the path `at`. */
export function validateQuantities(amounts: Amounts | undefined, at: string): StatusCause[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const field = `${at}[${name}]`;
    const causes = resourceName(name, field);
    const nanos = quantityNanos(amount) ?? 0n;
    if (nanos < 0n) causes.push(invalid(field, amount, negativeText));
    if (!isNative(name) && nanos % 1_000_000_000n !== 0n) causes.push(invalid(field, amount, 'must be an integer'));
    return causes;
  });
}

function resourceName(name: string, field: string): StatusCause[] {
  const problems = invalids(field, name, qualifiedName(name));
  if (problems.length > 0 || name.includes('/')) {
    const extended = !name.includes('kubernetes.io/') && !name.startsWith('requests.');
    if (problems.length > 0 || extended || isNative(name)) return problems;
    return [invalid(field, name, "doesn't follow extended resource name standard")];
  }
  if (containerResources.has(name) || isHugePages(name)) return [];
  const known = ['pods', 'services', 'storage', 'secrets', 'configmaps', 'persistentvolumeclaims'].includes(name);
  const second = invalid(field, name, 'must be a standard resource for containers');
  return known ? [second] : [invalid(field, name, 'must be a standard resource type or fully qualified'), second];
}

/** Rules for a container's resources: what it may use (limits) and what is kept for it (requests). */
export function validateResources({ limits = {}, requests = {} }: { limits?: Amounts; requests?: Amounts }, at: string): StatusCause[] {
  const causes = [...validateQuantities(limits, `${at}.limits`), ...validateQuantities(requests, `${at}.requests`)];
  for (const [name, request] of Object.entries(requests)) {
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined;
    if (limit === undefined) {
      if (!mayOvercommit(name)) causes.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
      continue;
    }
    const [asked, allowed] = [quantityNanos(request) ?? 0n, quantityNanos(limit) ?? 0n];
    if (asked !== allowed && !mayOvercommit(name))
      causes.push(invalid(`${at}.requests`, request, `must be equal to ${name} limit of ${limit}`));
    else if (asked > allowed) causes.push(invalid(`${at}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) {
    causes.push(forbidden(at, 'HugePages require cpu or memory'));
  }
  return causes;
}
