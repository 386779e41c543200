import { describe, expect, it } from 'vitest';
import { openFormerRanges } from '../../src/cni-plugin/former-ranges.ts';
import { renderConflist } from '../../src/cni-plugin/index.ts';
import { linkAddressText } from '../../src/dataplane/links.ts';
import { createFakeNode } from './support.ts';

const conflist = (...podCIDRs: string[]) =>
  renderConflist({ network: 'podwire', bridge: 'podwire0', mtu: 1500, stateDir: '/data', podCIDRs });

describe('gateway addresses of former pod CIDRs', () => {
  it('go when no pod needs them any more, unless the range has come back', async () => {
    const node = createFakeNode('a', 'b');
    const bridge = async () => (await node.ports.host.read(['podwire0'])).links.get('podwire0')!.addresses.map(linkAddressText);
    await node.run('ADD', 'a');
    const former = openFormerRanges({ bridge: 'podwire0', host: node.ports.host, store: node.store });
    expect(await former.work()).toEqual([]);
    const [old, next] = [conflist('10.244.1.0/24', 'fd00:10:244:1::/64'), conflist('10.244.7.0/24', 'fd00:10:244:1::/64')];
    former.change(old, next);
    expect(await former.work(), 'a pod has an address of it').toEqual([]);
    former.change(next, undefined);
    former.change(undefined, old);
    await node.run('DEL', 'a');
    expect((await former.work()).map(linkAddressText), 'only the range that is not back').toEqual(['10.244.7.1/24']);
    expect(await bridge()).toEqual(['10.244.1.1/24', 'fd00:10:244:1::1/64']);
    former.change(old, next);
    expect((await former.work()).map(linkAddressText)).toEqual(['10.244.1.1/24']);
    expect(await bridge()).toEqual(['fd00:10:244:1::1/64']);
    expect(await former.work()).toEqual([]);
    former.change('no configuration', next);
    expect(await former.work()).toEqual([]);
  });
});
