/**
 * Whether two pieces of API objects mean the same: order of fields, and fields that are null, missing or an empty list or map, make no
 * difference (apimachinery's semantic equality).
 */
export const sameMeaning = (a: unknown, b: unknown): boolean => a === b || canonicalJson(a) === canonicalJson(b);

/** JSON with sorted keys and without what is empty. */
export const canonicalJson = (value: unknown): string => JSON.stringify(canonical(value)) ?? '';

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => canonical(item) ?? null);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, canonical(item)] as const)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
