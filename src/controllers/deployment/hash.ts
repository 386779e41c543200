import type { PodTemplate } from '../../objects/client.ts';
import { canonicalJson } from '../equal.ts';

export const podTemplateHashLabel = 'pod-template-hash';

/** No vowels and no 0, 1, 3: no words come out by chance (apimachinery's rand.SafeEncodeString). */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * A short name for a pod template: 32 bits of FNV-1a in decimal, each digit written as a letter. `collisionCount` gives another name to the same
 * template when the first is taken. Equal templates have equal hashes whatever the order of their fields.
 */
export function podTemplateHash(template: PodTemplate, collisionCount = 0): string {
  const text = canonicalJson(template) + (collisionCount === 0 ? '' : `#${collisionCount}`);
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return safeEncode(hash >>> 0);
}

/** A number's decimal digits, each as one of the letters. */
export const safeEncode = (value: number): string =>
  [...String(value)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
