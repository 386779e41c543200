import { describe, expect, it } from 'vitest';
import { networkOf } from '../../src/cni-plugin/extras.ts';
import { parseRequest } from '../../src/cni-plugin/index.ts';
import { repairNat } from '../../src/cni-plugin/nat.ts';
import { NftError } from '../../src/kernel/nft.ts';
import { baseConfig, createFakeNode, type FakeNode } from './support.ts';

const table = 'podwire-net-podwire';
const withPorts = (...portMappings: object[]): object => ({ runtimeConfig: { portMappings } });
const web = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };
const dns = { hostPort: 53, containerPort: 5353, protocol: 'UDP', hostIP: '192.0.2.10' };
const elementsOf = (node: FakeNode): Record<string, string[]> =>
  Object.fromEntries(
    [...(node.extras.nft.tables.get(table)?.sets ?? [])].flatMap(([name, { elements }]) =>
      elements.size > 0 ? [[name, [...elements].map(([key, value]) => (value === undefined ? key : `${key} : ${value as string}`))]] : [],
    ),
  );

describe('options', () => {
  it.each<[object, string, number]>([
    [{ ipMasqBackend: 'iptables' }, 'ipMasqBackend: "iptables" is not supported', 2],
    [{ ipMasqBackend: 'ebpf' }, 'ipMasqBackend: "ebpf" is not a backend', 7],
    [{ conditionsV4: ['-s', '10.0.0.1'] }, 'conditionsV4: ["-s","10.0.0.1"] is not supported', 2],
    [{ markMasqBit: 32 }, 'markMasqBit: 32', 7],
    [{ markMasqBit: 13, externalSetMarkChain: 'KUBE-MARK-MASQ' }, 'markMasqBit: 13 and externalSetMarkChain', 7],
    [{ snat: 'no' }, 'snat: "no"', 7],
    [{ ingressRate: 1_000_000 }, 'ingressRate: 1000000 needs ingressBurst', 7],
    [{ runtimeConfig: { bandwidth: { egressBurst: 8_000 } } }, 'runtimeConfig.bandwidth.egressBurst: 8000 needs egressRate', 7],
    [{ egressRate: 1e6, egressBurst: 1e6, shapedSubnets: ['10.0.0.0/8'] }, 'shapedSubnets: is not supported', 2],
    [withPorts({ ...web, hostPort: 0 }), 'runtimeConfig.portMappings[0].hostPort: 0', 7],
    [withPorts({ ...web, protocol: 'icmp' }), 'runtimeConfig.portMappings[0].protocol: "icmp" is none of tcp, udp, sctp', 7],
    [withPorts({ ...web, hostIP: 'here' }), 'runtimeConfig.portMappings[0].hostIP: "here" is not an IP address', 7],
    [withPorts({ ...web, hostIP: '::1' }), 'runtimeConfig.portMappings[0].hostIP: "::1" cannot be led to a pod', 7],
    [withPorts(web, { ...web, hostIP: '192.0.2.1' }), 'runtimeConfig.portMappings[1].hostPort: 8080 is asked for by portMappings[0]', 7],
  ])('%j is an error that names the key', async (config, message, code) => {
    const node = createFakeNode('a');
    const { json, exitCode } = await node.run('ADD', 'a', config);
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({ code, msg: expect.stringContaining(message) });
    expect(node.store.owners()).toEqual([]);
  });

  it('that change nothing here are taken', async () => {
    const config = { ipMasqBackend: 'nftables', backend: 'nftables', conditionsV4: [], markMasqBit: 13, snat: null };
    expect((await createFakeNode('a').run('ADD', 'a', config)).exitCode).toBe(0);
  });
});

describe('masquerade', () => {
  it('is put in place by the first ADD, and by the next after a minute, a change or in another namespace; not by those between', async () => {
    const node = createFakeNode('a', 'b', 'c', 'd');
    const { applied } = node.extras.nft;
    for (const [pod, wait, config, count] of [
      ['a', 0, {}, 1],
      ['b', 59_000, {}, 1],
      ['c', 2_000, {}, 2],
      ['d', 0, { masqAll: true }, 3],
    ] as const) {
      node.facts.now += wait;
      expect((await node.run('ADD', pod, { ipMasq: true, ...config })).exitCode).toBe(0);
      expect(applied, pod).toHaveLength(count);
    }
    expect(node.extras.nft.reads, 'nothing is read').toBe(0);
  });

  it('costs a pod without it nothing', async () => {
    const node = createFakeNode('a');
    await node.run('ADD', 'a');
    await node.run('DEL', 'a');
    expect([node.extras.nft.applied.length, node.extras.nft.reads]).toEqual([0, 0]);
  });
});

describe('host ports', () => {
  it('are mapped for each family of the pod, or at one address, and gone after DEL', async () => {
    const node = createFakeNode('a');
    const { exitCode, stdout } = await node.run('ADD', 'a', withPorts(web, dns, { ...web, hostPort: 8081, hostIP: '::' }));
    expect(stdout).not.toContain('"code"');
    expect(exitCode).toBe(0);
    expect(elementsOf(node)).toEqual({
      'any-tcp-4': ['8080 : 10.244.1.2 . 80'],
      'any-tcp-6': ['8080 : fd00:10:244:1::2 . 80', '8081 : fd00:10:244:1::2 . 80'],
      'at-udp-4': ['192.0.2.10 . 53 : 10.244.1.2 . 5353'],
      'mapped-tcp-4': ['8080 . 10.244.1.2'],
      'mapped-tcp-6': ['8080 . fd00:10:244:1::2', '8081 . fd00:10:244:1::2'],
      'mapped-udp-4': ['53 . 10.244.1.2'],
    });
    expect(node.extras.forgotten, 'UDP flows').toEqual([53]);
    expect(node.extras.routeLocalnet.get('podwire0')).toBe(true);
    expect((await node.run('DEL', 'a')).exitCode).toBe(0);
    expect(elementsOf(node)).toEqual({});
    expect(node.extras.forgotten).toEqual([53, 53]);
    expect([node.extras.hostPorts.owners(), node.extras.hostPorts.claims()]).toEqual([[], []]);
    expect((await node.run('DEL', 'a')).exitCode, 'again').toBe(0);
  });

  it.each<[string, object]>([
    ['the same', web],
    ['at one address of all', { ...web, hostIP: '192.0.2.10' }],
  ])('that another pod has (%s) are an error that names both, and the ADD leaves nothing', async (_, mapping) => {
    const node = createFakeNode('a', 'b');
    const pod = (name: string) => ({ CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}` });
    await node.run('ADD', 'a', withPorts(web), pod('a'));
    const before = elementsOf(node);
    const { json } = await node.run('ADD', 'b', withPorts({ ...web, hostPort: 9 }, mapping), pod('b'));
    expect(json).toMatchObject({ code: 106 });
    expect(json.msg).toMatch(
      /host port .*8080\/tcp of pod default\/b \(container c-b, eth0\) is taken by pod default\/a \(container c-a, eth0\)/,
    );
    expect(elementsOf(node)).toEqual(before);
    expect(node.extras.hostPorts.owners()).toEqual(['c-a@eth0']);
    expect(node.store.owners()).toEqual(['c-a@eth0']);
  });

  it('of one port may lead to different pods by protocol, and by address', async () => {
    const node = createFakeNode('a', 'b', 'c', 'd');
    const mappings = [
      { ...web, hostIP: '192.0.2.1' },
      { ...web, hostIP: '192.0.2.2' },
      { ...web, protocol: 'udp' },
      { ...web, hostIP: '::' },
    ];
    for (const [index, pod] of ['a', 'b', 'c', 'd'].entries())
      expect((await node.run('ADD', pod, withPorts(mappings[index]!))).stdout).not.toContain('"code"');
  });

  it('come back with their rules when somebody flushed the table', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a', withPorts(web));
    node.extras.nft.tables.clear();
    expect((await node.run('ADD', 'b', withPorts({ ...web, hostPort: 9 }))).exitCode).toBe(0);
    expect(elementsOf(node)['any-tcp-4']).toEqual(['9 : 10.244.1.3 . 80']);
    expect((await node.run('DEL', 'a')).exitCode, 'and a DEL of what is gone is none the worse').toBe(0);
    expect(elementsOf(node)['any-tcp-4']).toEqual(['9 : 10.244.1.3 . 80']);
  });

  it('are given back when the ADD fails later, and kept when DEL cannot take them out', async () => {
    const node = createFakeNode('a');
    node.extras.nft.failNext(new NftError('not-permitted', 'nft needs root'));
    expect((await node.run('ADD', 'a', withPorts(web))).json.msg).toContain('nft needs root');
    expect([node.extras.hostPorts.claims(), node.store.claims()]).toEqual([[], []]);
    expect((await node.run('ADD', 'a', withPorts(web))).exitCode).toBe(0);
    node.extras.nft.failNext(new NftError('failed', 'no memory'));
    expect((await node.run('DEL', 'a')).exitCode).toBe(1);
    expect(node.store.claims(), 'nobody gets the address while the port leads to it').toContain('10.244.1.3');
    expect((await node.run('DEL', 'a')).exitCode).toBe(0);
    expect(node.store.claims()).toEqual([]);
  });
});

describe('GC', () => {
  const gc = (valid: string[]): object => ({
    ipMasq: true,
    'cni.dev/valid-attachments': valid.map((pod) => ({ containerID: `c-${pod}`, ifname: 'eth0' })),
  });

  it('removes the host ports of what is not valid, elements that nobody claims, and nothing else', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a', { ipMasq: true, ...withPorts(web) });
    await node.run('ADD', 'b', { ipMasq: true, ...withPorts({ ...web, hostPort: 9 }) });
    // As from the nft of an ADD that was killed.
    const elements = new Map([['7', '10.244.1.77 . 80']]);
    await node.extras.nft.apply({ table, operations: [{ op: 'add-elements', set: 'any-tcp-4', elements }] });
    expect((await node.run('GC', undefined, gc(['b']))).stdout).toBe('');
    expect(elementsOf(node)['any-tcp-4']).toEqual(['9 : 10.244.1.3 . 80']);
    expect(node.extras.hostPorts.owners()).toEqual(['c-b@eth0']);
  });

  it('with nothing valid leaves no table, and the next ADD makes it anew', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a', { ipMasq: true });
    expect((await node.run('GC', undefined, gc([]))).exitCode).toBe(0);
    expect([...node.extras.nft.tables.keys()]).toEqual([]);
    await node.run('ADD', 'b', { ipMasq: true });
    expect([...node.extras.nft.tables.keys()]).toEqual([table]);
  });
});

describe('bandwidth', () => {
  it('limits what the pod receives at the node, and what it sends in the pod', async () => {
    const node = createFakeNode('a');
    const bandwidth = { ingressRate: 8e6, ingressBurst: 8e5, egressRate: 4e6, egressBurst: 4e5 };
    const { json } = await node.run('ADD', 'a', { runtimeConfig: { bandwidth } });
    const link = json.interfaces[1].name as string;
    expect([...node.extras.qdiscs().roots]).toEqual([[link, { kind: 'tbf', bucket: { rate: 8e6, burst: 1e5 } }]]);
    expect([...node.extras.qdiscs('/ns/a').roots]).toEqual([['eth0', { kind: 'tbf', bucket: { rate: 4e6, burst: 5e4 } }]]);
    const check = () => node.run('CHECK', 'a', { runtimeConfig: { bandwidth }, prevResult: json });
    expect((await check()).stdout).toBe('');
    node.extras.qdiscs().roots.clear();
    node.extras.qdiscs('/ns/a').roots.set('eth0', { kind: 'tbf', bucket: { rate: 9e6, burst: 5e4 } });
    expect((await check()).json).toMatchObject({
      code: 104,
      msg: `the bandwidth limit (tbf qdisc) of ${link} in the node is gone; the bandwidth limit (tbf qdisc) of eth0 in the pod has a rate of 9000000 bit/s, not 4000000`,
    });
  });
});

describe('CHECK', () => {
  it.each<[string, RegExp]>([
    ['leaving-6', /^the masquerade rule of network podwire is missing or changed in table inet podwire-net-podwire$/],
    ['host-ports', /^the rules that look up host ports are missing or changed in table inet podwire-net-podwire$/],
    ['prerouting', /^the rules that look up host ports are missing/],
  ])('of a table whose chain %s was flushed names what it was for, and nothing else', async (chain, expected) => {
    const node = createFakeNode('a', 'b');
    const config = { ipMasq: true, ...withPorts(web) };
    const { json: prevResult } = await node.run('ADD', 'a', config);
    await node.run('ADD', 'b', { ipMasq: true, ...withPorts({ ...web, hostPort: 9 }) });
    expect((await node.run('CHECK', 'a', { ...config, prevResult })).stdout).toBe('');
    await node.extras.nft.apply({ table, operations: [{ op: 'flush-chain', chain }] });
    const { json } = await node.run('CHECK', 'a', { ...config, prevResult });
    expect(json).toMatchObject({
      code: 104,
      msg: expect.stringMatching(expected),
      details: expect.stringContaining(`repair: nft 'add rule`),
    });
  });

  it('finds a port map that is gone or leads elsewhere, and a claim that is gone', async () => {
    const node = createFakeNode('a');
    const { json: prevResult } = await node.run('ADD', 'a', withPorts(web));
    const { nft, hostPorts } = node.extras;
    await nft.apply({ table, operations: [{ op: 'delete-elements', set: 'any-tcp-6', elements: ['8080'] }] });
    const check = () => node.run('CHECK', 'a', { ...withPorts(web), prevResult });
    const gone =
      'host port 8080/tcp does not lead to fd00:10:244:1::2 port 80: its port map is missing or changed in table inet podwire-net-podwire';
    expect((await check()).json.msg).toBe(gone);
    const elements = new Map([['8080', 'fd00:10:244:1::9 . 80']]);
    await nft.apply({ table, operations: [{ op: 'add-elements', set: 'any-tcp-6', elements }] });
    expect((await check()).json.msg).toBe(gone);
    hostPorts.removeOwner('c-a@eth0');
    expect((await check()).json.msg).toContain('no claim on host port 8080/tcp');
  });
});

describe('the repair by the agent', () => {
  const networkFor = (config: object) => {
    const request = parseRequest({
      environment: { CNI_COMMAND: 'STATUS' },
      stdin: JSON.stringify({ ...baseConfig, ...config }),
    });
    if (request.command !== 'STATUS') throw new Error('not STATUS');
    return networkOf(request.options);
  };

  it('restores what was flushed, removes what is foreign, and finds nothing to do after it', async () => {
    const node = createFakeNode('a');
    await node.run('ADD', 'a', { ipMasq: true, ...withPorts(web) });
    const network = networkFor({ ipMasq: true });
    const { nft, hostPorts } = node.extras;
    const ports = { nft, forgetUdpFlows: () => Promise.resolve(), nodeNamespace: 1, now: () => node.facts.now };
    const before = nft.tables.get(table);
    expect(await repairNat(network, hostPorts, ports)).toBe(false);
    nft.tables.clear();
    expect(await repairNat(network, hostPorts, ports)).toBe(true);
    expect(nft.tables.get(table)).toEqual(before);
    await nft.apply({ table, operations: [{ op: 'flush-chain', chain: 'leaving-4' }] });
    expect(await repairNat(network, hostPorts, ports)).toBe(true);
    expect(nft.tables.get(table)).toEqual(before);
    expect(await repairNat(network, hostPorts, ports)).toBe(false);
  });
});
