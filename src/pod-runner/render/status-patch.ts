import type { KubeObject, PodStatus } from '../../objects/client.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * The merge patch (RFC 7396) that brings the status of an object to the wanted one: undefined when nothing differs. Fields of ours that are
 * no longer wanted are set to null; fields that we never write stay.
 */
export function statusPatch(
  current: PodStatus | undefined,
  wanted: PodStatus,
  uid: string | undefined,
): { metadata: { uid?: string }; status: unknown } | undefined {
  const own: readonly (keyof PodStatus)[] = ['podIP', 'podIPs', 'initContainerStatuses', 'containerStatuses', 'reason', 'message'];
  const changes: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wanted))
    if (!same(current?.[key as keyof PodStatus] as Json, value as Json)) changes[key] = value;
  for (const key of own) if (current?.[key] !== undefined && wanted[key] === undefined) changes[key] = null;
  return Object.keys(changes).length === 0 ? undefined : { metadata: uid === undefined ? {} : { uid }, status: changes };
}

/** Equal as JSON, whatever the order of keys; a key with null is as good as none, since the API server may leave it out. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || a === undefined || b === undefined) return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((value, index) => same(value, b[index]));
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]));
}

/** The later of two versions of an object. Revisions that are no numbers are taken in the order of arrival. */
export function newer<T extends KubeObject>(known: T, arrived: T): T {
  const [a, b] = [known.metadata.resourceVersion, arrived.metadata.resourceVersion].map((text) =>
    /^\d+$/.test(text ?? '') ? BigInt(text!) : undefined,
  );
  return a !== undefined && b !== undefined && b < a ? known : arrived;
}
