import fc from 'fast-check';
import { expect, it } from 'vitest';
import { copyJson } from '../../src/objects/index.ts';

it('copies any JSON value, and shares nothing with it', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value = JSON.parse(text) as unknown;
      const copy = copyJson(value);
      expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
      expect(shared(value, copy)).toBe(false);
    }),
  );
});

it('copies a field called __proto__ as a field', () => {
  const copy = copyJson(JSON.parse('{"data":{"__proto__":{"a":1}}}') as { data: object });
  expect(JSON.stringify(copy)).toBe('{"data":{"__proto__":{"a":1}}}');
  expect(Object.getPrototypeOf(copy.data)).toBe(Object.prototype);
});

function shared(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null) return false;
  return a === b || Object.entries(a).some(([key, inner]) => shared(inner, Object.getOwnPropertyDescriptor(b, key)?.value));
}
