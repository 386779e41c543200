import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDuration, printDuration } from '../../src/objects/index.ts';

test.each([
  ['0', 0],
  ['0s', 0],
  ['30s', 30_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['-250ms', -250],
  ['1h0m0.5s', 3_600_500],
  ['.5s', 500],
  ['1us', 0.001],
])('%s is %d ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each(['', '5', 's', '1 s', '1d', '--1s', '1s ', `${'1s'.repeat(100)}`])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [0, '0s'],
  [1.5, '1.5ms'],
  [250, '250ms'],
  [1_000, '1s'],
  [90_000, '1m30s'],
  [86_400_000, '24h0m0s'],
  [-30_000, '-30s'],
  [0.05, '50µs'],
])('%d ms are printed as %s', (milliseconds, text) => {
  expect(printDuration(milliseconds)).toBe(text);
});

test('what is printed is read as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (milliseconds) => parseDuration(printDuration(milliseconds)) === milliseconds),
  );
});
