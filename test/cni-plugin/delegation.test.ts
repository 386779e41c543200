import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/cni-plugin/index.ts';
import { baseConfig, createFakeNode, type FakeNode } from './support.ts';

const config = { ipam: { type: 'their-ipam', anything: 1 } };
const environment = { CNI_PATH: '/none:/opt/cni/bin', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=a' };
const given = {
  cniVersion: '1.0.0',
  ips: [{ address: '192.0.2.7/24' }, { address: '2001:db8::7/64', gateway: '2001:db8::fe' }],
  routes: [{ dst: '198.51.100.0/24' }],
  dns: { nameservers: ['192.0.2.53'] },
};

type Answer = { exitCode?: number; json?: object; text?: string };

/** A node with another's IPAM plugin that answers ADD so. It has the versions up to 1.0.0, or all. */
function nodeWith(add: Answer, versions = ['0.3.1', '0.4.0', '1.0.0'], pods = ['a']): { node: FakeNode; held: Set<string> } {
  const node = createFakeNode(...pods);
  const held = new Set<string>();
  node.plugins.installed.set('/opt/cni/bin/their-ipam', (env, { cniVersion, ipam, prevResult }) => {
    if (env['CNI_COMMAND'] === 'VERSION') return { json: { cniVersion: '1.0.0', supportedVersions: versions } };
    if (!versions.includes(cniVersion)) return { exitCode: 1, json: { cniVersion: '1.0.0', code: 1, msg: 'incompatible CNI versions' } };
    expect(ipam).toEqual(config.ipam);
    if (env['CNI_COMMAND'] === 'CHECK') expect(prevResult.cniVersion).toBe(cniVersion);
    if (env['CNI_COMMAND'] === 'ADD') held.add(env['CNI_CONTAINERID']!);
    if (env['CNI_COMMAND'] === 'DEL') held.delete(env['CNI_CONTAINERID']!);
    return env['CNI_COMMAND'] === 'ADD' ? add : {};
  });
  return { node, held };
}

describe('with another IPAM plugin', () => {
  it('a pod gets what that gives, and the configuration is told in a version that it has', async () => {
    const { node, held } = nodeWith({ json: given });
    const { json } = await node.run('ADD', 'a', config, environment);
    expect(json).toMatchObject({
      cniVersion: '1.1.0',
      ips: [
        { interface: 2, address: '192.0.2.7/24', gateway: '192.0.2.1' },
        { interface: 2, address: '2001:db8::7/64', gateway: '2001:db8::fe' },
      ],
      routes: [
        { dst: '198.51.100.0/24', gw: '192.0.2.1' },
        { dst: '0.0.0.0/0', gw: '192.0.2.1' },
        { dst: '::/0', gw: '2001:db8::fe' },
      ],
      dns: { nameservers: ['192.0.2.53'] },
    });
    expect(node.plugins.calls).toEqual(['ADD their-ipam 1.1.0', 'VERSION their-ipam 1.0.0', 'ADD their-ipam 1.0.0']);
    expect(node.store.claims(), 'nothing is reserved here').toEqual([]);
    expect((await node.run('CHECK', 'a', { ...config, prevResult: json }, environment)).stdout).toBe('');
    expect((await node.run('ADD', 'a', config, environment)).json).toMatchObject({ code: 101 });
    expect([...held]).toEqual(['c-a']);
    expect((await node.run('DEL', 'a', config, { ...environment, CNI_NETNS: '' })).exitCode).toBe(0);
    expect([[...held], node.store.owners()]).toEqual([[], []]);
    expect((await node.run('DEL', 'a', config, environment)).exitCode, 'again').toBe(0);
  });

  it('its error is passed on, and nothing is left', async () => {
    const { node, held } = nodeWith({ exitCode: 1, json: { code: 11, msg: 'server is busy', details: 'later' } });
    expect((await node.run('ADD', 'a', config, environment)).json).toMatchObject({
      code: 11,
      msg: 'their-ipam: server is busy',
      details: 'later',
    });
    expect([[...held], node.store.owners()]).toEqual([[], []]);
  });

  it.each<[string, Answer, RegExp]>([
    ['no JSON', { text: 'Segmentation fault', exitCode: 139 }, /exit code 139 and no JSON object/],
    ['a list', { text: '[]' }, /no JSON object/],
    ['no address', { json: { ips: [] } }, /holds no address/],
  ])('an answer that is none (%s) is error 107', async (_name, answer, message) => {
    const { node, held } = nodeWith(answer);
    expect((await node.run('ADD', 'a', config, environment)).json).toMatchObject({ code: 107, msg: expect.stringMatching(message) });
    expect([[...held], node.store.owners()]).toEqual([[], []]);
  });

  it('a link that cannot be made gives the addresses back', async () => {
    const { node, held } = nodeWith({ json: given });
    node.links.onOperation = (_path, { op }) => (op === 'ensure-route' ? 'refused for this test' : undefined);
    expect((await node.run('ADD', 'a', config, environment)).json).toMatchObject({ code: 102 });
    expect([[...held], node.store.owners()]).toEqual([[], []]);
  });

  it('GC releases with DEL what a plugin without GC would keep, and runs the GC of one that has it', async () => {
    const { node, held } = nodeWith({ json: given }, ['1.0.0'], ['a', 'b']);
    await node.run('ADD', 'a', config, environment);
    await node.run('ADD', 'b', config, environment);
    const gc = { ...config, 'cni.dev/valid-attachments': [{ containerID: 'c-b', ifname: 'eth0' }] };
    expect((await node.run('GC', undefined, gc, environment)).exitCode).toBe(0);
    expect([...held]).toEqual(['c-b']);
    expect(node.plugins.calls).not.toContain('GC their-ipam 1.0.0');
    const newer = nodeWith({ json: given }, ['1.1.0']);
    expect((await newer.node.run('GC', undefined, gc, environment)).exitCode).toBe(0);
    expect((await newer.node.run('STATUS', undefined, config, environment)).exitCode).toBe(0);
    expect(newer.node.plugins.calls).toEqual(expect.arrayContaining(['GC their-ipam 1.1.0', 'STATUS their-ipam 1.1.0']));
  });

  it('mode ptp takes the address without its subnet', async () => {
    const { node } = nodeWith({ json: given });
    const { json } = await node.run(
      'ADD',
      'a',
      { ...config, mode: 'ptp', isDefaultGateway: undefined, hairpinMode: undefined },
      environment,
    );
    expect(json.ips[0]).toEqual({ interface: 1, address: '192.0.2.7/32', gateway: '169.254.1.1' });
  });
});

describe('as the IPAM plugin of another', () => {
  const theirs = { type: 'bridge', bridge: 'cni0', vlan: 7, mode: 'l2' };
  it('answers with addresses, routes and DNS settings, and touches no link', async () => {
    const node = createFakeNode('a');
    const ipam = { ...baseConfig.ipam, routes: [{ dst: '0.0.0.0/0', mtu: 1400 }] };
    const { json } = await node.run('ADD', 'a', { ...theirs, ipam, runtimeConfig: { dns: { servers: ['1.1.1.1'] } } });
    expect(json).toEqual({
      cniVersion: '1.1.0',
      ips: [
        { address: '10.244.1.2/24', gateway: '10.244.1.1' },
        { address: 'fd00:10:244:1::2/64', gateway: 'fd00:10:244:1::1' },
      ],
      routes: [{ dst: '0.0.0.0/0', mtu: 1400 }],
      dns: { nameservers: ['1.1.1.1'] },
    });
    expect((await node.links.netlink('/ns/a').read(['eth0'])).links.size).toBe(0);
    expect((await node.run('ADD', 'a', theirs)).json.ips, 'the same for the same container').toEqual(json.ips);
    expect((await node.run('CHECK', 'a', { ...theirs, prevResult: json })).stdout).toBe('');
    expect((await node.run('CHECK', 'a', { ...theirs, prevResult: { ips: [{ address: '10.244.1.9/24' }] } })).json).toMatchObject({
      code: 104,
    });
    expect((await node.run('DEL', 'a', theirs)).stdout).toBe('');
    expect([node.store.owners(), node.store.claims()]).toEqual([[], []]);
    expect((await node.run('CHECK', 'a', { ...theirs, prevResult: json })).json).toMatchObject({ code: 104 });
  });

  it('is asked for by its name, or by the type of another; an executable of another name by its own', () => {
    const ask = (type: string, program?: string) =>
      parseRequest({
        environment: { CNI_COMMAND: 'STATUS' },
        stdin: JSON.stringify({ ...baseConfig, type }),
        ...(program === undefined ? {} : { program }),
      }).command;
    expect(ask('podwire-cni')).toBe('STATUS');
    expect(ask('podwire-cni', 'podwire-cni.standalone')).toBe('STATUS');
    expect(ask('my-net', 'my-net')).toBe('STATUS');
    expect(ask('bridge')).toBe('IPAM');
    expect(ask('podwire-cni', 'podwire-ipam')).toBe('IPAM');
  });

  it('has GC, and a STATUS that is 50 when nothing is left', async () => {
    const node = createFakeNode('a', 'b');
    const small = { ...theirs, ipam: { ...baseConfig.ipam, ranges: [[{ subnet: '10.9.0.0/30', rangeEnd: '10.9.0.2' }]] } };
    expect((await node.run('STATUS', undefined, small)).exitCode).toBe(0);
    await node.run('ADD', 'a', small);
    expect((await node.run('STATUS', undefined, small)).json).toMatchObject({ code: 50 });
    expect((await node.run('ADD', 'b', small)).json).toMatchObject({ code: 103 });
    const valid = (id: string) => ({ ...small, 'cni.dev/valid-attachments': [{ containerID: id, ifname: 'eth0' }] });
    await node.run('GC', undefined, valid('c-a'));
    expect(node.store.claims()).toEqual(['10.9.0.2']);
    await node.run('GC', undefined, valid('c-b'));
    expect(node.store.claims()).toEqual([]);
  });
});
