import { join } from 'node:path';
import t from 'tap';
import { buildExecutable } from './support/cni-node.ts';
import { heldFiles, nodeOfTier, stateOf, tiers } from './support/cni-state.ts';

t.before(buildExecutable);

const versions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

for (const tier of tiers) {
  void t.test(`every version has its verbs and its form of a result: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'versions', tier);
    node.addPod('a');
    for (const cniVersion of versions) {
      const run = (command: string, config: object = {}, pod: string | undefined = 'a') =>
        node.cni(command, pod, { config: { cniVersion, ...config } });
      const added = await run('ADD');
      t.equal(added.exitCode, 0, added.stdout);
      const { ips, interfaces, routes } = added.json;
      t.strictSame(
        [added.json.cniVersion, ips.map(({ version }: { version?: string }) => version), interfaces[2].mtu],
        [cniVersion, cniVersion < '1.0.0' ? ['4', '6'] : [undefined, undefined], cniVersion === '1.1.0' ? 1500 : undefined],
        `the form of ${cniVersion}`,
      );
      t.strictSame(
        routes.map(({ dst }: { dst: string }) => dst),
        ['0.0.0.0/0', '::/0'],
      );
      t.match(node.exec('ping -c 1 -W 5 10.244.1.1', 'a'), '1 received');
      const checked = await run('CHECK', { prevResult: added.json });
      t.equal(checked.json?.code, cniVersion < '0.4.0' ? 1 : undefined, checked.stdout);
      const status = await run('STATUS', {}, undefined);
      t.equal(status.json?.code, cniVersion < '1.1.0' ? 1 : undefined, status.stdout);
      const deleted = await run('DEL', { prevResult: added.json });
      t.strictSame([deleted.exitCode, heldFiles(node), node.links()], [0, [], ['podwire0']]);
      t.equal((await run('DEL')).exitCode, 0, 'again, without a previous result');
    }
    const valid = { 'cni.dev/valid-attachments': [] };
    t.match((await node.cni('GC', undefined, { config: { cniVersion: '1.0.0', ...valid } })).json, { code: 1, cniVersion: '1.0.0' });
    t.equal((await node.cni('GC', undefined, { config: valid })).exitCode, 0);
    const { json } = await node.cni('VERSION', undefined, { config: { cniVersion: '0.4.0' } });
    t.strictSame(json, { cniVersion: '0.4.0', supportedVersions: versions });
  });
}

void t.test('GC removes all that attachments have which are not valid, and nothing else', async (t) => {
  const node = await nodeOfTier(t, 'gc', 'agent');
  node.exec('ip addr add 192.0.2.1/24 dev lo');
  const theirs = { type: 'host-local', dataDir: join(node.dataDir, 'theirs'), ranges: [[{ subnet: '10.9.0.0/24' }]] };
  const ranges = (third: number) => ({
    ...(node.config['ipam'] as object),
    ranges: [[{ subnet: `10.244.${third}.0/24` }], [{ subnet: `fd00:10:244:${third}::/64` }]],
  });
  const routed = { mode: 'ptp', bridge: undefined, isDefaultGateway: undefined, hairpinMode: undefined };
  const networks: Record<string, object> = {
    podwire: { ipMasq: true, macspoofchk: true },
    routed: { ...routed, ipMasq: true, ipam: ranges(2) },
    theirs: { bridge: 'podwire1', dataDir: node.dataDir, ipam: theirs },
    bystander: { bridge: 'podwire2', macspoofchk: true, ipam: ranges(3) },
  };
  const names = Object.keys(networks);
  const collected = names.slice(0, 3);
  const linkOf = new Map<string, string>();

  async function add(network: string, pod: string, hostPort: number): Promise<void> {
    node.addPod(`${network}-${pod}`);
    const portMappings = [
      { hostPort, containerPort: 80, protocol: 'tcp' },
      { hostPort, containerPort: 53, protocol: 'udp', hostIP: '192.0.2.1' },
    ];
    const config = { name: network, ...networks[network], runtimeConfig: { portMappings } };
    const answer = await node.cni('ADD', `${network}-${pod}`, { config, environment: { CNI_PATH: '/usr/lib/cni' } });
    t.equal(answer.exitCode, 0, answer.stdout);
    linkOf.set(`${network}-${pod}`, answer.json.interfaces.at(-2).name);
  }
  const configOf = (network: string, pods: readonly string[]): object => ({
    name: network,
    ...networks[network],
    'cni.dev/valid-attachments': pods.map((pod) => ({ containerID: `container-${network}-${pod}`, ifname: 'eth0' })),
  });
  async function collect(network: string, pods: readonly string[]): Promise<void> {
    const answer = await node.cni('GC', undefined, { config: configOf(network, pods), environment: { CNI_PATH: '/usr/lib/cni' } });
    t.strictSame([answer.exitCode, answer.stdout], [0, ''], `GC of ${network}`);
  }

  for (const [index, network] of names.entries()) await add(network, 'keep', 8_000 + index);
  const before = stateOf(node);
  for (const [index, network] of collected.entries())
    for (const pod of ['x', 'y']) await add(network, pod, (pod === 'x' ? 8_100 : 8_200) + index);
  const full = stateOf(node);
  for (const key of Object.keys(before) as (keyof typeof before)[]) t.notSame(full[key], before[key], `${key} tell of the pods`);

  for (const network of collected) await collect(network, ['keep', 'x', 'y']);
  t.strictSame(stateOf(node), full, 'all are valid: nothing is changed');
  node.removePod('podwire-y');
  for (const network of collected) {
    // Killed somewhere in its work, and begun again.
    const child = node.start('GC', `${network}-keep`, configOf(network, ['keep']));
    await new Promise((resolve) => setTimeout(resolve, 90));
    child.kill('SIGKILL');
    await collect(network, ['keep']);
  }
  t.strictSame(stateOf(node), before, 'what the others had is gone, and nothing else');
  await collect('podwire', ['keep']);
  t.strictSame(stateOf(node), before, 'again: nothing is changed');

  for (const network of collected) await collect(network, []);
  const rest = stateOf(node);
  const bridges = ['podwire0', 'podwire1', 'podwire2'];
  t.strictSame(rest.links, [...bridges, linkOf.get('bystander-keep')].sort(), 'an empty list');
  t.notMatch(rest.rules, /podwire-net-(podwire|routed|theirs)/);
  t.strictSame(
    rest.files.filter((file) => !/bystander|_host-ports/.test(file)),
    [],
  );
  await collect('bystander', []);
  const none = stateOf(node);
  t.strictSame([none.links, none.files], [bridges, []]);
  t.notMatch(none.rules, /veth|podwire-net/);
  t.notOk(node.files().some((file) => file.includes('/_damaged/')));
});
