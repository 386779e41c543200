import { describe, expect, it } from 'vitest';
import { inspectNetwork, readConflist } from '../../src/cni-plugin/inspect.ts';
import { parseAddress } from '../../src/net/index.ts';
import { baseConfig, createFakeNode } from './support.ts';

const capabilities = { portMappings: true, mac: true };
const { cniVersion, name, ...plugin } = baseConfig;
const conflist = (change: object = {}, version = cniVersion) =>
  readConflist(JSON.stringify({ cniVersion: version, name, plugins: [{ ...plugin, capabilities, ...change }] }));
const nothing = () => undefined;

describe('looking through a network', () => {
  it('finds nothing where all is well, with host ports and in the form of an older version too', async () => {
    const node = createFakeNode('a', 'b');
    const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] };
    await node.run('ADD', 'a', { runtimeConfig }, { CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=a' });
    await node.run('ADD', 'b');
    expect(await inspectNetwork(conflist(), node.ports, nothing, {})).toEqual([]);
    expect(await inspectNetwork(conflist({}, '0.3.1'), node.ports, nothing, {})).toEqual([]);
  });

  it('tells each attachment that is not as it was added, with the repair', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a', {}, { CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web' });
    await node.run('ADD', 'b');
    await node.ports.pod('/ns/a').apply([{ op: 'set-link', name: 'eth0', mtu: 1300 }]);
    node.links.removeNamespace('/ns/b');
    const findings = await inspectNetwork(conflist(), node.ports, nothing, {});
    expect(findings.map(({ subject }) => subject)).toEqual(['default/web eth0', 'c-b eth0']);
    expect(findings[0]).toMatchObject({ problem: expect.stringContaining('mtu of eth0'), repair: expect.stringContaining('mtu 1500') });
  });

  it('takes what the runtime has kept for what ADD was given and answered', async () => {
    const node = createFakeNode('a');
    const mac = '02:00:00:00:00:01';
    const { json } = await node.run('ADD', 'a', { runtimeConfig: { mac } });
    expect(await inspectNetwork(conflist(), node.ports, () => ({ result: json, capabilityArgs: { mac, ips: [] } }), {})).toEqual([]);
  });

  it('tells of ranges that have changed, forwarding that is off, a DEL that has not ended, and claims of nobody', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a');
    const elsewhere = conflist({ ipam: { ...baseConfig.ipam, ranges: [[{ subnet: '10.9.0.0/24' }]] } });
    expect((await inspectNetwork(elsewhere, node.ports, nothing, {}))[0]?.problem).toContain('10.244.1.2');
    node.facts.forwards = false;
    const [status] = await inspectNetwork(conflist(), node.ports, nothing, {});
    expect(status).toMatchObject({ subject: 'installation', problem: 'the node does not forward IPv4' });
    node.facts.forwards = true;
    const text = node.store.readOwner('c-a@eth0')!;
    node.store.writeOwner('c-a@eth0', text.replace('"reserved"', '"releasing"'));
    node.store.claim('c-a@eth0', parseAddress('10.244.1.77').text);
    expect(await inspectNetwork(conflist(), node.ports, nothing, {})).toEqual([
      { subject: 'c-a eth0', problem: 'a DEL has begun and not ended', repair: 'DEL again: container c-a' },
      { subject: 'installation', problem: '10.244.1.77 in /data/podwire belongs to no reservation', repair: 'GC' },
    ]);
  });

  it('says what is wrong with a configuration', () => {
    expect(() => readConflist('{}')).toThrow('no plugin of type podwire-cni');
    expect(() => readConflist('no')).toThrow(SyntaxError);
    expect(() => conflist({ mtu: -1 })).toThrow('mtu');
  });
});
