import { describe, expect, it } from 'vitest';
import { WalkError, walkNft, walkNftOutcomes, walkNftPacket } from '../../src/packet-walk/index.ts';
import { sampleNatTable, sampleNftTable } from '../dataplane/nft-tables.ts';

const nat = sampleNatTable();
const toService = { hook: 'prerouting', to: '10.96.0.1', port: 443, protocol: 'tcp' } as const;

describe('a packet through NAT', () => {
  it('goes to each endpoint with equal odds, its source replaced when it comes from outside', () => {
    const outcomes = walkNftOutcomes([nat], { ...toService, from: '192.0.2.9' });
    expect(outcomes.map(({ result: { verdict, to, masquerade } }) => [verdict, to, masquerade]).sort()).toEqual([
      ['dnat', '10.244.1.7:6443', true],
      ['dnat', '10.244.1.8:6443', true],
      ['dnat', '10.244.1.9:6443', true],
    ]);
    for (const { probability } of outcomes) expect(probability).toBeCloseTo(1 / 3);
    expect(walkNftPacket([nat], { ...toService, from: '10.244.3.4' })).toMatchObject({ verdict: 'dnat', masquerade: false, mark: 0 });
  });

  it('passes where no map has an element, and is not asked again after its first packet', () => {
    expect(walkNftPacket([nat], { ...toService, port: 80 })).toMatchObject({ verdict: 'accept', to: '10.96.0.1:80' });
    expect(walkNftPacket([nat], { ...toService, state: 'ESTABLISHED' })).toMatchObject({ verdict: 'accept' });
    expect(walkNftPacket([nat], { ...toService, to: 'fd00::1' })).toMatchObject({ verdict: 'accept' });
  });

  it('to a node port enters by the addresses of the machine alone', () => {
    const world = { addresses: ['192.168.1.1'], choose: () => true };
    expect(walkNftPacket([nat], { hook: 'prerouting', to: '192.168.1.1', port: 30_080, protocol: 'tcp' }, world)).toMatchObject({
      verdict: 'dnat',
      to: '10.244.1.2:8080',
      delivered: 'out',
    });
    expect(walkNftPacket([nat], { hook: 'prerouting', to: '192.168.1.2', port: 30_080, protocol: 'tcp' }, world).verdict).toBe('accept');
  });

  it('is remembered by sets that rules fill', () => {
    const remembered = new Map<string, Set<string>>();
    const packet = { hook: 'prerouting', from: '192.0.2.9', to: '192.168.1.1', port: 30_080, protocol: 'tcp' } as const;
    walkNftPacket([nat], packet, { addresses: ['192.168.1.1'] }, remembered);
    expect(remembered).toEqual(new Map([['podwire-nat sticky', new Set(['192.0.2.9'])]]));
    expect(walkNftPacket([nat], { ...packet, to: '203.0.113.1', port: 9 }, undefined, remembered).to).toBe('10.244.1.2:8080');
  });

  it('for the machine itself is refused by a filter that rejects', () => {
    const packet = { hook: 'prerouting', to: '192.168.1.1', port: 7, protocol: 'tcp' } as const;
    const walked = walkNftPacket([nat], packet, { addresses: ['192.168.1.1'] });
    expect(walked).toMatchObject({ verdict: 'reject', rejectWith: 'port-unreachable', delivered: 'local' });
    expect(walked.path.at(-1)).toEqual({ table: 'podwire-nat', hook: 'input', chain: 'refuse', rule: 0, text: 'meta l4proto tcp reject' });
  });
});

describe('a rule the walk does not know', () => {
  it('fails it instead of being guessed', () => {
    const sample = sampleNftTable();
    const chains = new Map(sample.chains).set('ingress', { ...sample.chains.get('ingress')!, rules: [{ matches: [], unknown: '{}' }] });
    expect(() => walkNft([{ ...sample, chains }], 'forward', { to: '10.0.0.1', protocol: 'tcp', port: 1 })).toThrow(WalkError);
  });

  it('that does NAT where the kernel has none fails too', () => {
    const chains = new Map(sampleNftTable().chains).set('ingress', {
      hook: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
      rules: [{ matches: [], verdict: { verdict: 'masquerade' } }],
    });
    expect(() => walkNft([{ ...sampleNftTable(), chains }], 'forward', { to: '10.0.0.1', protocol: 'tcp', port: 1 })).toThrow(/masquerade/);
  });
});
