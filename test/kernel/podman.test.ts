// Real podman with its CNI network backend, and our plugin as its network.
import t from 'tap';
import { webCommand } from './support/busybox.ts';
import { buildExecutable } from './support/cni-node.ts';
import { eventually } from './support/lab.ts';
import { type PodmanNode, startPodmanNode } from './support/podman.ts';

let node: PodmanNode;
t.before(async () => {
  buildExecutable();
  node = await startPodmanNode('podman');
});
t.teardown(() => node?.destroy());

interface Container {
  /** As podman shows them. */
  readonly addresses: readonly string[];
  /** Runs a program of the host in the container's network. */
  exec(words: string): string;
}

function start(name: string, flags: readonly string[], command: readonly string[]): Container {
  node.podman('run', '--detach', '--name', name, '--hostname', name, '--network', 'podwire', ...flags, '--rootfs', node.rootfs, ...command);
  const [shown] = JSON.parse(node.podman('inspect', name)) as {
    State: { Pid: number };
    NetworkSettings: { Networks: { podwire: { IPAddress: string; GlobalIPv6Address: string } } };
  }[];
  const { IPAddress, GlobalIPv6Address } = shown!.NetworkSettings.Networks.podwire;
  return {
    addresses: [IPAddress, GlobalIPv6Address],
    exec: (words) => node.exec(`nsenter --net=/proc/${shown!.State.Pid}/ns/net -- ${words}`),
  };
}

void t.test('podman gives its containers our network: they reach each other, a host port is answered, and nothing is left', async (t) => {
  node.exec(`ip link add name up0 type veth peer name up0 netns ${node.addPod('outside')}`);
  const ends = [
    [undefined, '192.0.2.10/24'],
    ['outside', '192.0.2.99/24'],
  ] as const;
  for (const [where, address] of ends) {
    node.exec(`ip addr add ${address} dev up0`, where);
    node.exec('ip link set up0 up', where);
  }
  const a = start('a', ['--publish', '8080:80'], webCommand('served', 80));
  const b = start('b', ['--ip', '10.244.1.77'], ['sleep', '1000']);
  t.match(a.addresses, [/^10\.244\.1\.\d+$/, /^fd00:10:244:1::\w+$/], 'an address of each family');
  t.equal(b.addresses[0], '10.244.1.77', 'the address that was asked for');
  for (const address of a.addresses) t.match(b.exec(`ping -c 1 -w 10 ${address}`), / 0% packet loss/, `ping ${address}`);
  t.match(a.exec('ping -c 1 -w 10 10.244.1.77'), / 0% packet loss/, 'and back');

  const get = 'curl -sS --max-time 5';
  await eventually('the web server answers', 10, () => node.exec(`${get} http://${a.addresses[0]}/`) === 'served\n');
  t.equal(node.exec(`${get} http://192.0.2.10:8080/`, 'outside'), 'served\n', 'a published port, from outside');
  t.equal(node.exec(`${get} http://127.0.0.1:8080/`), 'served\n', 'a published port, from the node');
  t.equal(b.exec(`${get} http://192.0.2.10:8080/`), 'served\n', 'a published port, from a container');
  const taken = { message: /8080: bind: address already in use|host port .*8080.* is taken/ };
  t.throws(() => start('c', ['--publish', '8080:80'], ['sleep', '1000']), taken, 'a port is published once');

  node.podman('restart', '--time', '0', 'a');
  await eventually('the port is published again after a restart', 10, () => node.exec(`${get} http://127.0.0.1:8080/`) === 'served\n');
  node.podman('rm', '--force', '--time', '0', 'a', 'b', 'c');
  t.throws(() => node.exec(`${get} http://192.0.2.10:8080/`, 'outside'), 'the port is closed');
  t.strictSame(node.links().sort(), ['podwire0', 'up0'], 'no link is left');
  t.strictSame(
    node.files().filter((file) => /\/(claims|owners)\//.test(file)),
    [],
    'no address is left',
  );
  t.notMatch(node.exec('nft list table inet podwire-net-podwire'), 'elements', 'no rule is left');
});
