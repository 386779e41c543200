import { describe, expect, it } from 'vitest';
import { BgpMessageError, decodeMessage, type UpdateMessage } from '../../src/bgp/wire/index.ts';
import { bytes } from './golden.ts';

// Attributes in hex: flags, type, length, value.
const origin = '40010100';
const path = '4002060201' + '0000fde8';
const hop = '400304c0a85809';
const pref = '40050400000064';
const good = origin + path + hop;
const nlri = '180af409';

function message(attributes: string, { withdrawn = '', routes = nlri, attributesLength = attributes.length / 2 } = {}): Uint8Array {
  const u16 = (value: number): string => value.toString(16).padStart(4, '0');
  const body = u16(withdrawn.length / 2) + withdrawn + u16(attributesLength) + attributes + routes;
  return bytes('ff'.repeat(16) + u16(19 + body.length / 2) + '02' + body);
}

const read = (text: string, options?: Parameters<typeof message>[1], internal = false): UpdateMessage =>
  decodeMessage(message(text, options), { fourOctetAsn: true, internal }) as UpdateMessage;

/** What becomes of the route 10.244.9.0/24. */
function outcome(attributes: string, options?: Parameters<typeof message>[1], internal = false): string {
  try {
    const { nlri: announced, withdrawn, findings } = read(attributes, options, internal);
    if (announced.length > 0) return findings.length > 0 ? 'discard' : 'fine';
    return withdrawn.some(({ text }) => text === '10.244.9.0/24') ? 'withdraw' : 'nothing';
  } catch (error) {
    if (!(error instanceof BgpMessageError)) throw error;
    return `reset ${error.code}/${error.subcode}`;
  }
}

describe('a malformed UPDATE from an external peer (RFC 7606)', () => {
  it.each([
    ['nothing wrong', good, 'fine'],
    ['ORIGIN missing', path + hop, 'withdraw'],
    ['AS_PATH missing', origin + hop, 'withdraw'],
    ['NEXT_HOP missing', origin + path, 'withdraw'],
    ['ORIGIN with an undefined value', '40010103' + path + hop, 'withdraw'],
    ['ORIGIN of two octets', '4001020000' + path + hop, 'withdraw'],
    ['ORIGIN flagged optional', 'c0010100' + path + hop, 'withdraw'],
    ['AS_PATH with a segment cut short', origin + '40020602020000fde8' + hop, 'withdraw'],
    ['AS_PATH with an empty segment', origin + '4002020200' + hop, 'withdraw'],
    ['AS_PATH with a confederation segment', origin + '40020603010000fde8' + hop, 'withdraw'],
    ['AS 0 in AS_PATH (RFC 7607)', origin + '400206020100000000' + hop, 'withdraw'],
    ['NEXT_HOP of three octets', origin + path + '400303c0a858', 'withdraw'],
    ['NEXT_HOP that is multicast', origin + path + '400304e0000001', 'withdraw'],
    ['MED of three octets', good + '800403000001', 'withdraw'],
    ['LOCAL_PREF', good + pref, 'discard'],
    ['LOCAL_PREF of two octets', good + '4005020064', 'discard'],
    ['ATOMIC_AGGREGATE with a value', good + '40060100', 'discard'],
    ['AGGREGATOR of six octets', good + 'c00706fde8c0a85809', 'discard'],
    ['AGGREGATOR with AS 0', good + 'c0070800000000c0a85809', 'discard'],
    ['COMMUNITIES of three octets', good + 'c00803000001', 'withdraw'],
    ['COMMUNITIES without any', good + 'c00800', 'withdraw'],
    ['ORIGINATOR_ID', good + '800904c0a85809', 'discard'],
    ['CLUSTER_LIST', good + '800a04c0a85809', 'discard'],
    ['EXTENDED_COMMUNITIES of seven octets', good + 'c0100700000000000000', 'withdraw'],
    ['LARGE_COMMUNITY of eleven octets', good + 'c0200b' + '00'.repeat(11), 'withdraw'],
    ['AS4_PATH from a four-octet speaker', good + 'c01106020100011170', 'discard'],
    ['an attribute twice', good + origin, 'discard'],
    ['an attribute past the total length', good + 'c008ff00000001', 'withdraw'],
    ['half an attribute header at the end', good + 'c0', 'withdraw'],
    ['an unknown well-known attribute', good + '40630100', 'reset 3/2'],
    ['an unknown optional transitive attribute', good + 'c0630100', 'fine'],
    ['MP_REACH_NLRI twice', good + '800e09000101' + '04c0a85809' + '00' + '800e09000101' + '04c0a85809' + '00', 'reset 3/1'],
    ['MP_REACH_NLRI with a next hop of five octets', good + '800e0a00010105c0a858090000', 'reset 3/9'],
    ['MP_REACH_NLRI with a prefix length of 200', good + '800e1600020110' + 'fd'.repeat(16) + '00c8', 'reset 3/9'],
    ['MP_UNREACH_NLRI cut short', good + '800f0400020140', 'reset 3/9'],
    ['an address family that we do not speak', good + '800f03000185', 'discard'],
  ])('%s', (_, attributes, expected) => expect(outcome(attributes)).toBe(expected));

  it.each([
    ['a prefix length of 33', good, { routes: '210af40900' }, 'reset 3/10'],
    ['a prefix cut short', good, { routes: '180af4' }, 'reset 3/10'],
    ['a withdrawn prefix length of 40', '', { withdrawn: '280a00000000', routes: '' }, 'reset 3/10'],
    ['a total attribute length past the message', good, { attributesLength: 200 }, 'reset 3/1'],
    ['a broken attribute and no route to withdraw', '40010109' + path, { routes: '' }, 'reset 3/1'],
  ])('%s', (_, attributes, options, expected) => expect(outcome(attributes, options)).toBe(expected));

  it('withdraws IPv6 routes of a broken message too', () => {
    const reach = '800e1a00020110fd000088000000000000000000000009' + '00' + '20fd000001';
    const { mpUnreach, mpReach } = read(reach + '40010109' + path, { routes: '' });
    expect(mpReach).toBeUndefined();
    expect(mpUnreach?.prefixes.map(({ text }) => text)).toEqual(['fd00:1::/32']);
  });

  it('keeps an unknown transitive attribute with the partial bit, and drops a non-transitive one', () => {
    const { attributes } = read(good + 'c063020102' + '806402aabb');
    expect(attributes?.unknown).toEqual([{ type: 0x63, flags: 0xe0, value: Uint8Array.of(1, 2) }]);
  });

  it('does not take attributes without routes for an End-of-RIB', () => {
    expect(read(good, { routes: '' }).findings).toHaveLength(1);
  });
});

describe('a malformed UPDATE from an internal peer', () => {
  it.each([
    ['nothing wrong', good + pref, 'fine'],
    ['LOCAL_PREF missing', good, 'withdraw'],
    ['LOCAL_PREF of two octets', good + '4005020064', 'withdraw'],
    ['ORIGINATOR_ID of three octets', good + pref + '800903c0a858', 'withdraw'],
    ['CLUSTER_LIST of five octets', good + pref + '800a05c0a8580900', 'withdraw'],
  ])('%s', (_, attributes, expected) => expect(outcome(attributes, undefined, true)).toBe(expected));
});
