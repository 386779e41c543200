import { expect, it } from 'vitest';
import { qdiscDifference } from '../../src/dataplane/qdisc.ts';

const bucket = { rate: 8_000_000, burst: 20_000 };

it('a token bucket is as wanted within what tc rounds', () => {
  expect(qdiscDifference(bucket, { kind: 'tbf', bucket })).toBeUndefined();
  expect(qdiscDifference(bucket, { kind: 'tbf', bucket: { ...bucket, burst: 19_999 } })).toBeUndefined();
  // At 10 Gbit/s a microsecond is 1250 bytes.
  expect(qdiscDifference({ rate: 1e10, burst: 1_600 }, { kind: 'tbf', bucket: { rate: 1e10, burst: 1_250 } })).toBeUndefined();
  // The kernel keeps whole bytes per second.
  expect(qdiscDifference({ rate: 1_003, burst: 2_000 }, { kind: 'tbf', bucket: { rate: 1_000, burst: 2_000 } })).toBeUndefined();
  // Longer than the listing can tell.
  expect(qdiscDifference({ rate: 1e6, burst: 268_435_455 }, { kind: 'tbf', bucket: { rate: 1e6, burst: 27_917_286 } })).toBeUndefined();
});

it('a difference is told in words', () => {
  expect(qdiscDifference(bucket, undefined)).toBe('is gone');
  expect(qdiscDifference(bucket, { kind: 'other', name: 'noqueue' })).toBe('is gone');
  expect(qdiscDifference(bucket, { kind: 'other', name: 'fq_codel' })).toBe('is fq_codel, not tbf');
  expect(qdiscDifference(bucket, { kind: 'tbf', bucket: { ...bucket, rate: 8e9 } })).toBe('has a rate of 8000000000 bit/s, not 8000000');
  expect(qdiscDifference(bucket, { kind: 'tbf', bucket: { ...bucket, burst: 2_000 } })).toBe('has a burst of 2000 bytes, not 20000');
});
