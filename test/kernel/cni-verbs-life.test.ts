import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildExecutable, type CniNode, createCniNode, executable } from './support/cni-node.ts';
import { heldFiles, nodeOfTier, stateOf, tiers } from './support/cni-state.ts';

t.before(buildExecutable);

const small = (node: CniNode): object => ({
  ipam: { ...(node.config['ipam'] as object), ranges: [[{ subnet: '10.244.1.0/29' }], [{ subnet: 'fd00:10:244:1::/64' }]] },
});

for (const tier of tiers) {
  void t.test(`a /29 gives five addresses, no more, and says so; what is given back is used again: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'exhaust', tier);
    const config = small(node);
    const status = () => node.cni('STATUS', undefined, { config });
    const pods = ['p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
    for (const pod of pods) node.addPod(pod);
    const last = pods.pop()!;
    const answers = await Promise.all(pods.map((pod) => node.cni('ADD', pod, { config })));
    const addressOf = ({ json }: (typeof answers)[number], family = 0): string => json.ips[family].address;
    t.strictSame(answers.map((answer) => addressOf(answer)).sort(), [
      '10.244.1.2/29',
      '10.244.1.3/29',
      '10.244.1.4/29',
      '10.244.1.5/29',
      '10.244.1.6/29',
    ]);
    const before = stateOf(node);
    const refused = await node.cni('ADD', last, { config });
    t.match(refused.json, {
      code: 103,
      msg: /^network podwire: no free address left in 10\.244\.1\.1-10\.244\.1\.6 of 10\.244\.1\.0\/29$/,
    });
    t.match((await status()).json, { code: 50, msg: /no free address left in 10\.244\.1\.1-10\.244\.1\.6 of 10\.244\.1\.0\/29/ });
    t.strictSame(stateOf(node), before, 'the pod that got none holds nothing of the other family either');

    const freed = answers[2]!;
    // A neighbour knows the address as that of the pod which goes.
    node.exec(`ping -c 1 -W 5 ${addressOf(freed).split('/')[0]}`, 'p2');
    const macOf = (): string => /lladdr (\S+)/.exec(node.exec(`ip neigh show ${addressOf(freed).split('/')[0]}`, 'p2'))?.[1] ?? '';
    const mac = macOf();
    t.equal((await node.cni('DEL', 'p4', { config })).exitCode, 0);
    t.equal((await status()).exitCode, 0, 'there is room');
    const again = await node.cni('ADD', last, { config });
    t.strictSame([addressOf(again), addressOf(again, 1)], [addressOf(freed), addressOf(freed, 1)]);
    t.notMatch(node.exec('ip -6 addr show dev eth0', last), 'tentative', 'no address has to be waited for');
    // What is known of the address is right at once, so no first packet is lost; one packet is sent.
    t.strictSame([mac, macOf()], [again.json.interfaces[2].mac, again.json.interfaces[2].mac]);
    for (const ip of again.json.ips as { address: string }[]) {
      const address = ip.address.split('/')[0]!;
      t.match(
        node.exec(`ip neigh show ${address} dev podwire0`),
        `lladdr ${again.json.interfaces[2].mac}`,
        'the node knows it before it asks',
      );
      t.match(node.exec(`ping -c 1 -W 5 ${address}`), '1 received');
      t.match(node.exec(`ping -c 1 -W 5 ${address}`, 'p2'), '1 received');
    }
  });

  void t.test(`UDP flows of a host port are forgotten at ADD and at DEL, others are not: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'flows', tier);
    node.addPod('a');
    const config = { runtimeConfig: { portMappings: [{ hostPort: 5353, containerPort: 53, protocol: 'udp' }] } };
    const flow = (port: number): string =>
      `conntrack -I -p udp -s 192.0.2.99 -d 192.0.2.10 --sport 4444 --dport ${port} -r 192.0.2.10 -q 192.0.2.99 --reply-port-src ${port} --reply-port-dst 4444 -t 600`;
    const ports = (): string[] =>
      [...node.exec('conntrack -L -p udp').matchAll(/src=192\.0\.2\.99 \S+ sport=4444 dport=(\d+)/g)].map(([, port]) => port!);
    node.exec(flow(5353));
    node.exec(flow(5354));
    t.strictSame(ports().sort(), ['5353', '5354']);
    t.equal((await node.cni('ADD', 'a', { config })).exitCode, 0);
    t.strictSame(ports(), ['5354'], 'ADD');
    node.exec(flow(5353));
    t.equal((await node.cni('DEL', 'a', { config })).exitCode, 0);
    t.strictSame(ports(), ['5354'], 'DEL');
  });
}

void t.test('a reboot frees all addresses and host ports, whatever was there before', async (t) => {
  // In a mount namespace of its own the machine has the boot id that is in the file.
  const node = createCniNode('reboot', (dataDir) => {
    const program = join(dataDir, 'rebooted');
    const script = `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$1"`;
    writeFileSync(join(dataDir, 'boot_id'), readFileSync('/proc/sys/kernel/random/boot_id'));
    writeFileSync(program, `#!/bin/sh\nexec unshare --mount -- sh -c '${script}' ${dataDir}/boot_id ${executable}\n`, { mode: 0o755 });
    return program;
  });
  t.teardown(() => node.close());
  const config = { ...small(node), runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } };
  const pods = ['p2', 'p3', 'p4', 'p5', 'p6'];
  for (const pod of pods) node.addPod(pod);
  t.equal((await node.cni('ADD', 'p2', { config })).exitCode, 0);
  for (const pod of pods.slice(1)) t.equal((await node.cni('ADD', pod, { config: small(node) })).exitCode, 0);
  t.equal((await node.cni('STATUS', undefined, { config })).json?.code, 50);

  writeFileSync(join(node.dataDir, 'boot_id'), '11111111-2222-3333-4444-555555555555\n');
  // What the kernel had is gone by itself.
  for (const name of node.links()) if (name.startsWith('veth')) node.exec(`ip link del ${name}`);
  execFileSync('nsenter', [`--net=${node.namespace}`, 'nft', 'flush', 'ruleset']);
  t.equal((await node.cni('STATUS', undefined, { config })).exitCode, 0, 'there is room');
  node.addPod('new');
  const added = await node.cni('ADD', 'new', { config });
  t.equal(added.exitCode, 0, added.stdout);
  t.equal(added.json.ips[0].address, '10.244.1.2/29', 'the address and the host port of another pod');
  t.strictSame(
    heldFiles(node).filter((file) => !file.includes('boot-11111111-2222-3333-4444-555555555555')),
    [],
    'no file of the former boot is left',
  );
  // The runtime deletes the pods that it knew before.
  for (const pod of pods) t.equal((await node.cni('DEL', pod, { config })).exitCode, 0);
  t.equal((await node.cni('CHECK', 'new', { config: { ...config, prevResult: added.json } })).stdout, '', 'and touches no new one by that');
});
