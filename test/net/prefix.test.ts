import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressFromBytes,
  addressFromValue,
  addressToBytes,
  compareAddresses,
  lastAddress,
  nthAddress,
  nthPrefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
  prefixOf,
  tryParseAddress,
  tryParsePrefix,
} from '../../src/net/index.ts';

const address = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => addressFromValue(4, value)),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => addressFromValue(6, value)),
);
const prefix = address.chain((a) => fc.integer({ min: 0, max: a.family === 4 ? 32 : 128 }).map((length) => prefixOf(a, length)));

describe('addresses', () => {
  it('survive text and bytes unchanged', () => {
    fc.assert(
      fc.property(address, (a) => {
        expect(parseAddress(a.text)).toEqual(a);
        expect(addressFromBytes(addressToBytes(a))).toEqual(a);
      }),
    );
  });

  it('are written as RFC 5952 asks', () => {
    expect(parseAddress('FD00:0:0:0:0:0:0:0A').text).toBe('fd00::a');
    expect(parseAddress('2001:db8:0:1:1:1:1:1').text).toBe('2001:db8:0:1:1:1:1:1');
  });

  it.each(['', '10.0.0', '10.0.0.256', '010.0.0.1', '10.0.0.1 ', 'fe80::1%eth0', ':::', '1::2::3', 'example'])('refuse %j', (text) => {
    expect(tryParseAddress(text)).toBeUndefined();
  });

  it('sort IPv4 before IPv6, then by value', () => {
    const sorted = ['fd00::1', '10.0.0.2', '9.255.0.1'].map(parseAddress).sort(compareAddresses);
    expect(sorted.map((a) => a.text)).toEqual(['9.255.0.1', '10.0.0.2', 'fd00::1']);
  });
});

describe('prefixes', () => {
  it('survive text unchanged and hold their first and last address', () => {
    fc.assert(
      fc.property(prefix, (p) => {
        expect(parsePrefix(p.text, { strict: true })).toEqual(p);
        expect(prefixContains(p, p.address)).toBe(true);
        expect(prefixContains(p, lastAddress(p))).toBe(true);
      }),
    );
  });

  it('overlap exactly when one holds the other', () => {
    fc.assert(
      fc.property(prefix, prefix, (a, b) => {
        const holds = a.family === b.family && (prefixContains(a, b.address) || prefixContains(b, a.address));
        expect(prefixesOverlap(a, b)).toBe(holds);
      }),
    );
  });

  it('name the network that a CIDR with host bits means', () => {
    expect(() => parsePrefix('10.244.1.7/16', { strict: true })).toThrow('"10.244.1.7/16" has host bits set; did you mean 10.244.0.0/16?');
  });

  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', 'fd00::/129', '/8'])('refuse %j', (text) => {
    expect(tryParsePrefix(text)).toBeUndefined();
    expect(() => parsePrefix(text)).toThrow('is not a CIDR');
  });

  it('are divided into numbered parts', () => {
    const pods = parsePrefix('10.244.0.0/16');
    expect(nthPrefix(pods, 24, 2n).text).toBe('10.244.2.0/24');
    expect(nthAddress(nthPrefix(pods, 24, 2n), 1n).text).toBe('10.244.2.1');
    expect(() => nthPrefix(pods, 24, 256n)).toThrow(RangeError);
  });
});
