/** A deep copy of JSON data. Several times faster than structuredClone, which must be ready for cycles, dates and the like. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const copy: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    // As JSON.parse does: assigned, it would become the copy's prototype.
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value: copyJson(inner), writable: true, enumerable: true, configurable: true });
    else copy[key] = copyJson(inner);
  }
  return copy as T;
}
