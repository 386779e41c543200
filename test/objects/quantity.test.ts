import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalQuantity, quantityNanos } from '../../src/objects/quantity.ts';

describe('quantities', () => {
  it.each([
    ['0', '0'],
    ['0.5', '500m'],
    ['1000m', '1'],
    ['2000', '2k'],
    ['1500', '1500'],
    ['1.5Gi', '1536Mi'],
    ['1024Mi', '1Gi'],
    ['1000Mi', '1000Mi'],
    ['0.5Ki', '512'],
    ['1.1Ki', '1126400m'],
    ['1e3', '1e3'],
    ['12e4', '120e3'],
    ['-2.50', '-2500m'],
    ['+3', '3'],
    ['.5', '500m'],
    ['5.', '5'],
    ['0.0000000001', '1n'],
    ['1E', '1E'],
    [2, '2'],
  ])('%s is written %s', (text, normal) => expect(canonicalQuantity(text)).toBe(normal));

  it.each(['', '-', 'x', '1x', '1 Mi', '1mi', '1e', '1eM', '--1', '1.2.3', '٣', '1'.repeat(200)])('%j is none', (text) =>
    expect(canonicalQuantity(text)).toBeUndefined(),
  );

  it('mean the same in their normal form, which stays as it is', () => {
    const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e2', 'E-3');
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(999), suffix, (whole, fraction, unit) => {
        const text = `${whole}.${fraction}${unit}`;
        const normal = canonicalQuantity(text)!;
        expect(quantityNanos(normal)).toBe(quantityNanos(text));
        expect(canonicalQuantity(normal)).toBe(normal);
      }),
    );
  });
});
