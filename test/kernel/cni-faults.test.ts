import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { buildExecutable, type CniAnswer, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

/** Nothing of any pod is left: no link but the bridge, no reservation. */
function clean(t: Pick<Test, 'strictSame'>, node: CniNode): void {
  t.strictSame(
    node.links().filter((name) => name !== 'podwire0'),
    [],
    'no link is left',
  );
  t.strictSame(node.files(), [], 'no reservation is left');
}

void t.test(
  '100 attachments added by 16 executables at a time have 100 addresses of each family; deleted, they leave nothing',
  async (t) => {
    const node = createCniNode('parallel');
    t.teardown(() => node.close());
    const namespaces = Array.from({ length: 10 }, (_, index) => `n${index}`);
    for (const namespace of namespaces) node.addPod(namespace);
    // Without routes: those of several links of a namespace would replace one another.
    const config = { isDefaultGateway: false, isGateway: true };
    async function all(command: string): Promise<CniAnswer[]> {
      const answers: CniAnswer[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let index = next++; index < 100; index = next++)
          answers.push(
            await node.cni(command, namespaces[index % 10], { config, containerId: `c${index}`, environment: { CNI_IFNAME: `e${index}` } }),
          );
      };
      await Promise.all(Array.from({ length: 16 }, worker));
      return answers;
    }
    const failures = (answers: readonly CniAnswer[]): string[] =>
      answers.filter(({ exitCode }) => exitCode !== 0).map(({ exitCode, stdout }) => `${exitCode} ${stdout}`);
    const added = await all('ADD');
    t.strictSame(failures(added), [], 'every ADD succeeds');
    for (const family of [0, 1]) t.equal(new Set(added.map(({ json }) => json.ips[family].address)).size, 100, 'no duplicate');
    t.strictSame(failures(await all('DEL')), []);
    clean(t, node);
  },
);

void t.test('an ADD that fails midway leaves neither address nor link', async (t) => {
  const node = createCniNode('midway');
  t.teardown(() => node.close());
  node.addPod('a');
  // A gateway that no address of the pod is on the link with: the last step, the route, is refused.
  const config = { ipam: { ...(node.config['ipam'] as object), routes: [{ dst: '192.0.2.0/24', gw: '198.51.100.1' }] } };
  const failed = await node.cni('ADD', 'a', { config });
  t.match(failed.json, { code: 102, msg: /ensure-route in .*: .*[Gg]ateway|unreachable/ });
  clean(t, node);
  node.exec('ip link add eth0 type bridge', 'a');
  t.match((await node.cni('ADD', 'a')).json, { code: 101, msg: /CNI_IFNAME=eth0 exists in/ });
  t.equal(node.exec('ip -brief link show eth0', 'a').includes('eth0'), true, 'a foreign link is left alone');
  clean(t, node);
  node.exec('ip link del eth0', 'a');
  node.exec('ip link del podwire0');
  node.exec('ip link add podwire0 type veth peer name other');
  t.match((await node.cni('ADD', 'a')).json, { code: 102, msg: 'bridge: podwire0 exists and is a veth' });
  t.strictSame(node.files(), []);
});

void t.test('a second ADD takes over what is half done, and refuses what is complete', async (t) => {
  const node = createCniNode('again');
  t.teardown(() => node.close());
  node.addPod('a');
  const first = await node.cni('ADD', 'a');
  const again = await node.cni('ADD', 'a');
  t.match(again.json, { code: 101, msg: /eth0 of container container-a \(pod default\/a\) is attached already/ });
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received', 'which goes on working');
  node.exec('ip addr flush dev eth0', 'a');
  node.exec('ip link set eth0 down', 'a');
  const over = await node.cni('ADD', 'a');
  t.strictSame(over.json, first.json, 'the same addresses again');
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received');
  await node.cni('DEL', 'a');
  clean(t, node);
});

void t.test('kill -9 at any moment of an ADD, then DEL, leaves nothing; or ADD again works', async (t) => {
  const node = createCniNode('kill');
  t.teardown(() => node.close());
  node.addPod('a');
  const exits = { killed: 0, done: 0 };
  // The start of the executable takes some 30 ms, the work of ADD some 10 more.
  for (let round = 0; round < 30; round++) {
    const child = node.start('ADD', 'a');
    const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
    await sleep(15 + round * 2);
    child.kill('SIGKILL');
    const [, signal] = await exit;
    exits[signal ? 'killed' : 'done']++;
    if (round % 3 === 2) {
      const again = await node.cni('ADD', 'a');
      // Killed after its last step and before its answer, it is complete: then a second ADD is refused.
      t.ok(again.exitCode === 0 || again.json.code === 101, `round ${round}: ${again.stdout}`);
      t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received');
    }
    t.equal((await node.cni('DEL', 'a')).exitCode, 0);
    clean(t, node);
  }
  t.comment(JSON.stringify(exits));
  t.ok(exits.killed > 0, 'some were killed');
});

void t.test('a DEL during an ADD ends with nothing left, whichever is first', async (t) => {
  const node = createCniNode('race');
  t.teardown(() => node.close());
  node.addPod('a');
  for (let round = 0; round < 12; round++) {
    const adding = node.cni('ADD', 'a');
    await sleep(round * 4);
    await node.cni('DEL', 'a');
    const { exitCode, json } = await adding;
    // The ADD may have begun after the DEL had ended.
    t.ok(exitCode === 0 || json.code >= 100 || json.code === 5, JSON.stringify(json));
    const left = node.links().filter((name) => name !== 'podwire0').length;
    t.equal(node.files().length > 0, left > 0, `round ${round}: a link is left if and only if its reservation is`);
    await node.cni('DEL', 'a');
    clean(t, node);
  }
});
