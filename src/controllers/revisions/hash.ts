import { safeEncode } from '../deployment/hash.ts';

/**
 * The name of a revision's data: 32 bits of FNV-1 over its JSON as Go writes it (keys sorted, `<`, `>` and `&` escaped) and the number of
 * collisions, in letters that make no words. As the reference's HashControllerRevision.
 */
export function revisionHash(data: unknown, collisionCount = 0): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(goJson(data) + String(collisionCount))) hash = Math.imul(hash, 0x01000193) ^ byte;
  return safeEncode(hash >>> 0);
}

const goJson = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  ).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
