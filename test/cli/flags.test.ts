import { Command, InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePeer } from '../../src/cli/bgp.ts';
import {
  address,
  anyText,
  boolean,
  booleanOption,
  cidr,
  cidrs,
  duration,
  durationOption,
  hostPort,
  list,
  listenPort,
  listOf,
  oneOf,
  port,
  repeatable,
  wholeNumber,
} from '../../src/cli/flags.ts';

/** What a parser says of a text that it refuses. */
function refusal(parse: (text: string) => unknown, text: string): string {
  try {
    return `took ${JSON.stringify(parse(text))}`;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return (error as InvalidArgumentError).message;
  }
}

describe('a whole number', () => {
  const mtu = wholeNumber(1_280, 65_535, 'bytes');

  it('is one within its bounds, both included', () => {
    fc.assert(fc.property(fc.integer({ min: 1_280, max: 65_535 }), (value) => mtu(String(value)) === value));
    expect([mtu('1280'), mtu('65535')]).toEqual([1_280, 65_535]);
  });

  it.each(['1279', '65536', '', '-1500', '+1500', '1500.0', '1e4', '0x600', ' 1500', '1500 ', 'NaN', '9'.repeat(400)])(
    '%j is refused, and the bounds are told',
    (text) => expect(refusal(mtu, text)).toBe('Expected bytes, 1280 to 65535.'),
  );

  it('goes by no other name when it has none', () => {
    expect(refusal(wholeNumber(1, 9), '0')).toBe('Expected a whole number, 1 to 9.');
  });
});

describe('a port', () => {
  it('is 1 to 65535, and to listen on also 0', () => {
    expect([port('1'), port('65535'), listenPort('0'), listenPort('6443')]).toEqual([1, 65_535, 0, 6_443]);
  });

  it.each(['0', '65536', '-1', '80a', ''])('%j is refused', (text) => {
    expect(refusal(port, text)).toBe('Expected a port, 1 to 65535.');
    if (text !== '0') expect(refusal(listenPort, text)).toBe('Expected a port, 1 to 65535, or 0 for any free one.');
  });
});

describe('a bind address', () => {
  it('is a host and a port; without host it is loopback', () => {
    expect(hostPort('[::1]:80')).toEqual({ host: '::1', port: 80 });
    expect(hostPort(':10256')).toEqual({ host: '127.0.0.1', port: 10256 });
    expect(hostPort('node:0')).toEqual({ host: 'node', port: 0 });
  });

  it.each(['80', 'host', 'host:99999', '::1:80x', '[::1]', ''])('%j is refused', (text) => {
    expect(refusal(hostPort, text)).toBe('Expected HOST:PORT, such as 127.0.0.1:10256.');
  });
});

describe('addresses and CIDRs', () => {
  it('are given back in canonical form', () => {
    expect(address('FD00:88:0:0::11')).toBe('fd00:88::11');
    expect(cidr('fd00:10:244:0::/56')).toMatchObject({ family: 6, length: 56, text: 'fd00:10:244::/56' });
    expect(cidrs('10.244.0.0/16, FD00:10:244::/56')).toEqual(['10.244.0.0/16', 'fd00:10:244::/56']);
  });

  it.each(['', '10.0.0', '10.0.0.256', '10.0.0.1/32', 'host', '010.0.0.1'])('the address %j is refused', (text) => {
    expect(refusal(address, text)).toBe(`${JSON.stringify(text)} is not an IP address.`);
  });

  it('a CIDR with host bits is refused with the one that was likely meant', () => {
    expect(refusal(cidr, '10.0.0.1/8')).toBe('"10.0.0.1/8" has host bits set; did you mean 10.0.0.0/8?');
    expect(refusal(cidrs, '10.244.0.0/16,fd00::1/64')).toContain('did you mean fd00::/64?');
  });

  it.each(['', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,', ','])('the CIDRs %j are refused', (text) => {
    expect(refusal(cidrs, text)).toContain('is not a CIDR');
  });
});

describe('several values', () => {
  it('a list is its words, without blanks and empty ones', () => {
    expect(list(' a, b,,c ,')).toEqual(['a', 'b', 'c']);
    expect(list('')).toEqual([]);
  });

  it('a list of something reads each word, and none may be missing', () => {
    expect(listOf(address)('10.0.0.1, fd00::1')).toEqual(['10.0.0.1', 'fd00::1']);
    expect(refusal(listOf(address), '10.0.0.1,')).toBe('"" is not an IP address.');
  });

  it('a repeatable flag gathers what it was given, in order', () => {
    const parsed = (...words: string[]): unknown =>
      new Command()
        .option('--to <x>', '', repeatable(list))
        .option('--with <x>', '', repeatable(anyText), [])
        .parse(words, { from: 'user' })
        .opts();
    expect(parsed('--to', 'a,b', '--with', 'x,y', '--to', 'c', '--with', 'z')).toEqual({ to: ['a', 'b', 'c'], with: ['x,y', 'z'] });
    expect(parsed()).toEqual({ with: [] });
  });

  it('a default of a repeatable flag is not written to', () => {
    const initial: readonly string[] = Object.freeze([]);
    expect(repeatable(anyText)('a', initial)).toEqual(['a']);
    expect(initial).toEqual([]);
  });
});

describe('one of some words', () => {
  const mode = oneOf('disabled', 'insecure', 'verified');

  it('is that word; others are refused with the choice', () => {
    expect(mode('verified')).toBe('verified');
    for (const text of ['', 'Verified', 'toString']) expect(refusal(mode, text)).toBe('Expected disabled, insecure or verified.');
  });
});

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1.5s', 1_500],
    ['0s', 0],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(duration(text)).toBe(milliseconds);
  });

  it('is the sum of its parts', () => {
    const part = fc.nat({ max: 999 });
    fc.assert(
      fc.property(part, part, part, part, (h, m, s, ms) => duration(`${h}h${m}m${s}s${ms}ms`) === ((h * 60 + m) * 60 + s) * 1_000 + ms),
    );
  });

  it.each(['', '30', 's', '30 s', '-1s', '1d', '1s,', '1..5s'])('%j is refused', (text) => {
    expect(refusal(duration, text)).toBe('Expected a duration such as 500ms, 30s or 1m30s.');
  });

  it('is shown in the help as it was written', () => {
    const command = new Command().addOption(durationOption('--period <duration>', 'how often', '1m30s'));
    expect(command.opts()).toEqual({ period: 90_000 });
    expect(command.helpInformation()).toContain('how often (default: 1m30s)');
  });
});

describe('a switch', () => {
  const value = (...words: string[]): unknown =>
    new Command()
      .addOption(booleanOption('--elect', '', false))
      .parse(words, { from: 'user' })
      .opts()['elect'];

  it('is on when it is given, and takes true and false', () => {
    expect([value(), value('--elect'), value('--elect=true'), value('--elect=false')]).toEqual([false, true, true, false]);
  });

  it.each(['yes', '1', 'True', ''])('%j is refused', (text) => expect(refusal(boolean, text)).toBe('Expected true or false.'));
});

describe('a BGP peer', () => {
  it('is an address and an AS number, with words after them', () => {
    expect(parsePeer('192.0.2.1,64513')).toEqual({ address: '192.0.2.1', asn: 64_513 });
    expect(parsePeer('192.0.2.1,64513,import=all,export=none,port=1179,next-hop-self')).toEqual({
      address: '192.0.2.1',
      asn: 64_513,
      import: 'all',
      export: 'none',
      port: 1_179,
      nextHopSelf: true,
    });
  });

  it.each([
    ['192.0.2.1', 'Expected ADDRESS,ASN such as 192.0.2.1,64513.'],
    ['192.0.2.1,AS1', 'Expected ADDRESS,ASN such as 192.0.2.1,64513.'],
    ['192.0.2.1,64513,port=0', 'Expected a port, 1 to 65535.'],
    ['192.0.2.1,64513,import=some', '"import=some" is not one of import=all|none'],
  ])('%s is refused', (text, reason) => {
    expect(refusal(parsePeer, text)).toContain(reason);
  });
});
