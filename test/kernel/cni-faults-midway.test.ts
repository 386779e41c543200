import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { buildExecutable, createCniNode, executable } from './support/cni-node.ts';
import { heldFiles, nodeOfTier, stateOf, tiers } from './support/cni-state.ts';

t.before(buildExecutable);

const execute = (program: string, ...args: string[]): void => void execFileSync(program, args);

/** An IPAM plugin that gives 10.8.0.9 and notes who has it; told so, it fails after that. */
const moodyPlugin = `#!/bin/sh
config=$(cat)
held=\${config##*'"heldFile":"'}; held=\${held%%'"'*}
case $CNI_COMMAND in
  ADD) echo "$CNI_CONTAINERID" >>"$held"
    case $config in *'"mood":"bad"'*) echo 'not today'; exit 1 ;; *'"mood":"empty"'*) echo '{"cniVersion":"1.1.0"}'; exit 0 ;; esac
    routes='"dst":"192.0.2.0/24","gw":"198.51.100.1"'
    case $config in *'"mood":"good"'*) routes='"dst":"192.0.2.0/24"' ;; esac
    echo '{"cniVersion":"1.1.0","ips":[{"address":"10.8.0.9/24","gateway":"10.8.0.1"}],"routes":[{'"$routes"'}]}' ;;
  DEL) rm -f "$held" ;;
esac
`;

for (const tier of tiers) {
  void t.test(`an ADD that fails leaves nothing, whatever fails, and does not spoil the bridge: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'midway', tier);
    const plugins = join(node.dataDir, 'plugins');
    const heldFile = join(node.dataDir, 'theirs', 'x', 'held');
    mkdirSync(plugins);
    mkdirSync(join(heldFile, '..'), { recursive: true });
    writeFileSync(join(plugins, 'moody'), moodyPlugin);
    chmodSync(join(plugins, 'moody'), 0o755);
    for (const pod of ['a', 'b']) node.addPod(pod);
    const extras = {
      ipMasq: true,
      macspoofchk: true,
      runtimeConfig: {
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
        bandwidth: { ingressRate: 8_000_000, ingressBurst: 160_000 },
      },
    };
    const refused = { ...extras, ipam: { ...(node.config['ipam'] as object), routes: [{ dst: '192.0.2.0/24', gw: '198.51.100.1' }] } };
    // On a bridge of its own, since bridges and their addresses stay.
    const moody = (mood: string) => ({ ...extras, bridge: 'podwire1', dataDir: node.dataDir, ipam: { type: 'moody', heldFile, mood } });
    const takeName = (pod: string): void => void node.exec('ip link add eth0 type bridge', pod);
    const cases: [name: string, code: number, config: object, environment?: Record<string, string>, prepare?: () => void][] = [
      ['a route is refused', 102, refused],
      ['the namespace is missing', 4, extras, { CNI_NETNS: '/run/netns/none-such' }],
      ['another IPAM plugin fails after it has reserved', 107, moody('bad')],
      ['another IPAM plugin answers without an address', 107, moody('empty')],
      ['a route is refused with the addresses of another plugin', 102, moody('unreachable')],
      ['the link name is taken', 101, extras, {}, () => takeName('a')],
      ['the link name is taken, with the addresses of another plugin', 101, moody('good')],
    ];
    const first = await node.cni('ADD', 'a', { config: refused });
    t.equal(first.json.code, 102, 'the very first ADD fails');
    t.equal(
      (await node.cni('ADD', 'a', { config: moody('unreachable'), environment: { CNI_PATH: plugins } })).json.code,
      102,
      'of either bridge',
    );
    const whole = await node.cni('ADD', 'b', { config: { ...extras, runtimeConfig: {} } });
    t.match(whole.json, { interfaces: [{ name: 'podwire0', mac: '0a:58:0a:f4:01:01' }] }, 'the bridge has its own MAC all the same');
    t.match(node.exec('ping -c 1 -W 5 10.244.1.1', 'b'), '1 received');
    const before = stateOf(node);
    for (const [name, code, config, environment, prepare] of cases) {
      prepare?.();
      const failed = await node.cni('ADD', 'a', { config, environment: { CNI_PATH: plugins, ...environment } });
      t.strictSame([failed.exitCode, failed.json?.code], [1, code], `${name}: ${failed.stdout}`);
      // A network whose first host port comes and goes has its table from now on.
      t.strictSame({ ...stateOf(node), rules: '' }, { ...before, rules: '' }, `${name}: nothing is left`);
      t.notMatch(node.exec('nft list ruleset'), /8080/, `${name}: no port map`);
    }
    node.exec('ip link del eth0', 'a');
    t.equal((await node.cni('ADD', 'a', { config: extras })).exitCode, 0, 'and then it works');
    t.match(node.exec('ping -c 1 -W 5 10.244.1.1', 'a'), '1 received');
  });

  void t.test(`a full disk: ADD fails and leaves nothing, DEL works: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'full', tier, ({ dataDir }) => {
      execute('mount', '-t', 'tmpfs', '-o', 'size=512k,nr_inodes=1000', 'none', dataDir);
      return () => execute('umount', '--lazy', dataDir);
    });
    for (const pod of ['a', 'b']) node.addPod(pod);
    const config = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } };
    t.equal((await node.cni('ADD', 'a', { config })).exitCode, 0);
    const fill = join(node.dataDir, 'fill');
    t.throws(() => writeFileSync(fill, Buffer.alloc(1_000_000)), { code: 'ENOSPC' });
    const before = stateOf(node);
    const failed = await node.cni('ADD', 'b');
    t.match(failed.json, { code: 5, msg: /ENOSPC/ });
    t.strictSame(stateOf(node), before, 'nothing is left');
    const again = await node.cni('ADD', 'a', { config });
    t.equal(again.exitCode, 1, again.stdout);
    t.match(node.exec('ping -c 1 -W 5 10.244.1.1', 'a'), '1 received', 'what is attached stays so');
    const deleted = await node.cni('DEL', 'a', { config });
    t.strictSame([deleted.exitCode, deleted.stdout], [0, '']);
    t.strictSame([node.links(), heldFiles(node)], [['podwire0'], []]);
    t.notMatch(node.exec('nft list ruleset'), /8080/);
    rmSync(fill);
    t.equal((await node.cni('ADD', 'b', { config })).exitCode, 0, 'with room again it works');
  });
}

void t.test('without nft: ADD of what needs it fails and leaves nothing; what needs it not works', async (t) => {
  // In a mount namespace of its own nft cannot be run.
  const node = createCniNode('no-nft', (dataDir) => {
    const program = join(dataDir, 'without-nft');
    writeFileSync(program, `#!/bin/sh\nexec unshare --mount -- sh -c 'mount --bind /dev/null /usr/sbin/nft && exec "$0"' ${executable}\n`, {
      mode: 0o755,
    });
    return program;
  });
  t.teardown(() => node.close());
  node.addPod('a');
  for (const config of [
    { ipMasq: true },
    { macspoofchk: true },
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } },
  ]) {
    const failed = await node.cni('ADD', 'a', { config });
    t.match(failed.json, { code: 102, msg: /nft/ }, JSON.stringify(config));
    t.strictSame([node.links().filter((name) => name !== 'podwire0'), heldFiles(node)], [[], []], 'nothing is left');
    t.equal((await node.cni('DEL', 'a')).exitCode, 0);
  }
  t.equal((await node.cni('ADD', 'a')).exitCode, 0);
  t.equal((await node.cni('DEL', 'a')).exitCode, 0);
});

void t.test('DELs during ADDs end with nothing left, whichever is first: agent', async (t) => {
  const node = await nodeOfTier(t, 'race', 'agent');
  node.addPod('a');
  const config = { macspoofchk: true, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }] } };
  for (let round = 0; round < 6; round++) {
    const adding = node.cni('ADD', 'a', { config });
    await sleep(round * 4);
    t.equal((await node.cni('DEL', 'a', { config })).exitCode, 0);
    const { exitCode, json } = await adding;
    // The ADD may have begun after the DEL had ended.
    t.ok(exitCode === 0 || json.code >= 100 || json.code === 5, JSON.stringify(json));
    const left = node.links().filter((name) => name !== 'podwire0').length;
    t.equal(heldFiles(node).length > 0, left > 0, `round ${round}: a link is left if and only if its reservation is`);
    t.equal((await node.cni('DEL', 'a', { config })).exitCode, 0);
    t.strictSame([node.links(), heldFiles(node)], [['podwire0'], []]);
    t.notMatch(node.exec('nft list ruleset'), /8080|veth/);
  }
});
