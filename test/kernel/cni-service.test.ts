import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createCniAgentNode, type CniAgentNode } from './support/cni-agent-node.ts';
import { buildExecutable, type CniAnswer } from './support/cni-node.ts';

t.before(buildExecutable);

function createNode(t: Test, label: string): CniAgentNode {
  const node = createCniAgentNode(label);
  t.teardown(() => node.close());
  return node;
}

/** Whatever the launcher does now, it does with the agent. */
const withoutExecutable = (node: CniAgentNode): void => renameSync(standaloneOf(node), `${standaloneOf(node)}.away`);
const withExecutable = (node: CniAgentNode): void => renameSync(`${standaloneOf(node)}.away`, standaloneOf(node));
const standaloneOf = (node: CniAgentNode): string => join(node.binDir, 'podwire-cni.standalone');

const attachmentFiles = (node: CniAgentNode): string[] => node.files().filter((file) => !file.includes('/.agent/'));
const queued = (node: CniAgentNode): string[] => readdirSync(join(node.dataDir, '.agent/queue'));
const addressesOf = (answers: readonly CniAnswer[]): string[] =>
  answers.flatMap(({ json }) => (json?.ips ?? []).map(({ address }: { address: string }) => address));

/** Waits until no launcher has a slot any more: the agent finds out by itself which of them were killed. */
async function slotsAreFree(node: CniAgentNode): Promise<boolean> {
  const [run] = readdirSync(join(node.dataDir, '.agent')).filter((name) => name.startsWith('run-'));
  for (let wait = 0; wait < 150; wait++) {
    if (!readdirSync(join(node.dataDir, '.agent', run!, 'slots')).some((name) => name.endsWith('.request'))) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** Many attachments in few namespaces: the name of the pod's link tells them apart. */
function attachments(node: CniAgentNode, count: number) {
  const namespaces = Array.from({ length: 10 }, (_, index) => {
    node.addPod(`n${index}`);
    return `n${index}`;
  });
  // Without routes: they would replace one another.
  const config = { isDefaultGateway: false, isGateway: true };
  return Array.from({ length: count }, (_, index) => {
    const pod = namespaces[index % 10]!;
    return (command: string): Promise<CniAnswer> =>
      node.cni(command, pod, { containerId: `c${index}`, environment: { CNI_IFNAME: `e${index}` }, config });
  });
}

/** All that can be seen of a pod and of the node's end, with what names them left out. */
function kernelState(node: CniAgentNode, pod: string, hostLink: string): string {
  const text = [
    node.exec('ip -details link show dev eth0', pod),
    node.exec('ip addr show dev eth0', pod),
    node.exec('ip addr show dev lo', pod),
    node.exec('ip route show table all', pod),
    node.exec('ip -6 route show table all', pod),
    node.exec(`ip -details addr show dev ${hostLink}`),
    // A neighbour's state is a matter of time and of random timers; that it is known, by which MAC, is not.
    ...node
      .exec('ip neigh show dev podwire0')
      .split('\n')
      .filter((line) => line.includes('lladdr'))
      .sort(),
    node.exec('ip addr show dev podwire0'),
  ].join('\n');
  return text
    .replaceAll(hostLink, 'HOST')
    .replace(/^\d+: /gm, '')
    .replace(/@if\d+/g, '@if')
    .replace(/@eth0|link-netns \S+|link-netnsid \d+|alias \S+|ageing|\w+_timer +[\d.]+/g, '')
    .replace(/(port_id|port_no|designated_port|ifindex|expires) \S+/g, '')
    .replace(/(fe80::|fe80:)\S+|0x\S+|qdisc \S+|state \S+|REACHABLE|STALE|DELAY|PROBE|PERMANENT/g, '');
}

void t.test(
  'with an agent the same comes out as with the executable alone: result, kernel state, reservation, and nothing after DEL',
  async (t) => {
    const outcomes = [];
    for (const tier of ['agent', 'alone'] as const) {
      const node = createNode(t, `same-${tier}`);
      if (tier === 'agent') {
        await node.startAgent();
        withoutExecutable(node);
      }
      node.addPod('other');
      const netns = node.addPod('a');
      // The second pod finds the bridge there: that is the agent's short way.
      t.equal((await node.cni('ADD', 'other')).exitCode, 0);
      const add = await node.cni('ADD', 'a');
      t.equal(add.exitCode, 0, add.stdout + add.stderr);
      t.match(node.exec('ping -c 1 -W 2 10.244.1.2', 'a'), '1 received', 'it reaches the other pod');
      const hostLink = add.json.interfaces[1].name;
      const record = attachmentFiles(node).find((file) => file.includes('owners/container-a'))!;
      outcomes.push({
        result: add.stdout.replaceAll(netns, 'NETNS'),
        state: kernelState(node, 'a', hostLink),
        record: Object.keys(JSON.parse(readFileSync(record, 'utf8'))),
      });
      const again = await node.cni('ADD', 'a');
      t.strictSame([again.exitCode, again.json.code], [1, 101], 'another ADD is refused');
      if (tier === 'agent') withExecutable(node);
      t.equal((await node.cni('CHECK', 'a', { config: { prevResult: add.json } })).exitCode, 0);
      if (tier === 'agent') withoutExecutable(node);
      for (const pod of ['a', 'other', 'a', 'never-was']) {
        const del = await node.cni('DEL', pod);
        t.strictSame([del.exitCode, del.stdout], [0, ''], `DEL of ${pod}`);
      }
      t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []], 'nothing is left');
      t.notMatch(node.exec('ip neigh show dev podwire0'), /^(10|fd00)/m, 'no neighbour is left');
    }
    t.strictSame(outcomes[0], outcomes[1]);
  },
);

void t.test('the agent notices what others do to the bridge and to a link', async (t) => {
  const node = createNode(t, 'notices');
  await node.startAgent();
  withoutExecutable(node);
  for (const pod of ['a', 'b', 'c', 'd']) node.addPod(pod);
  t.equal((await node.cni('ADD', 'a')).exitCode, 0);
  t.equal((await node.cni('ADD', 'b')).exitCode, 0);
  node.exec('ip addr flush dev podwire0');
  t.equal((await node.cni('ADD', 'c')).exitCode, 0);
  t.match(node.exec('ip addr show dev podwire0'), /10\.244\.1\.1\/24[^]*fd00:10:244:1::1\/64/, 'the gateway addresses are back');
  for (const pod of ['a', 'b', 'c']) node.exec('ip link delete eth0', pod);
  node.exec('ip link delete podwire0');
  for (const pod of ['a', 'b', 'c']) t.equal((await node.cni('DEL', pod)).exitCode, 0, 'DEL of a pod that has lost its link');
  const fresh = await node.cni('ADD', 'a');
  t.equal(fresh.exitCode, 0, fresh.stdout);
  const address = fresh.json.ips[0].gateway;
  t.match(node.exec(`ping -c 1 -W 2 ${address}`, 'a'), '1 received', 'a link of a name that was there before, on a bridge made anew');
});

void t.test('an error of a request is told as the executable tells it', async (t) => {
  const node = createNode(t, 'errors');
  await node.startAgent();
  withoutExecutable(node);
  node.addPod('a');
  t.match((await node.cni('ADD', 'a', { config: { mtu: 'many' } })).json, { code: 7, msg: /mtu/ });
  t.match((await node.cni('ADD', 'a', { environment: { CNI_NETNS: '/nowhere' } })).json, { code: 4, msg: /CNI_NETNS=\/nowhere/ });
  // Not valid UTF-8, quotes, and more than a pipe takes at once.
  t.match((await node.cni('ADD', 'a', { config: { x: `"\\$(exit 9)\`'\u{81}ā`.repeat(20_000) } })).exitCode, 0);
  withExecutable(node);
  const failing = await node.cni('ADD', 'a', { environment: { CNI_IFNAME: 'lo' } });
  t.match(failing.json, { code: 101, msg: /CNI_IFNAME=lo exists/ });
  t.equal((await node.cni('DEL', 'a')).exitCode, 0);
  t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []]);
});

void t.test(
  'without an agent, or with one that has stopped, the launcher is the executable; STATUS tells that the agent is down',
  async (t) => {
    const node = createNode(t, 'absent');
    for (const pod of ['a', 'b']) node.addPod(pod);
    t.equal((await node.cni('STATUS', undefined)).exitCode, 0, 'no agent is expected where none has been');
    t.equal((await node.cni('ADD', 'a')).exitCode, 0);
    await node.startAgent();
    t.equal((await node.cni('STATUS', undefined)).exitCode, 0);
    t.equal((await node.cni('DEL', 'a')).exitCode, 0, 'one tier undoes what the other did');
    t.equal((await node.cni('ADD', 'b')).exitCode, 0);
    await node.stopAgent();
    t.match((await node.cni('STATUS', undefined)).json, { code: 50, msg: /agent is not running/ });
    t.equal((await node.cni('ADD', 'a')).exitCode, 0);
    t.equal((await node.cni('DEL', 'a')).exitCode, 0);
    t.equal((await node.cni('DEL', 'b')).exitCode, 0);
    t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []]);
  },
);

void t.test('a DEL that cannot be done while the agent is down is queued, succeeds, and is done when the agent starts', async (t) => {
  const node = createNode(t, 'queue');
  await node.startAgent();
  node.addPod('a');
  t.equal((await node.cni('ADD', 'a')).exitCode, 0);
  await node.killAgent();
  t.match((await node.cni('DEL', 'a', { config: { mtu: 'many' } })).json, { code: 7 }, 'a request that is wrong is not queued');
  withoutExecutable(node);
  t.match((await node.cni('ADD', 'a')).json, { code: 100, msg: /missing/ }, 'an ADD is not queued');
  const del = await node.cni('DEL', 'a');
  t.strictSame([del.exitCode, del.stdout], [0, '']);
  t.equal(queued(node).length, 1);
  t.equal(attachmentFiles(node).length > 0, true, 'not done yet');
  await node.startAgent();
  t.strictSame([node.links(), attachmentFiles(node), queued(node)], [['podwire0'], [], []]);
});

void t.test('200 ADDs at once and 200 DELs at once: no address twice, nothing left', { timeout: 120_000 }, async (t) => {
  const node = createNode(t, 'many');
  await node.startAgent();
  const pods = attachments(node, 200);
  const added = await Promise.all(pods.map((pod) => pod('ADD')));
  t.strictSame(
    added.filter(({ exitCode }) => exitCode !== 0).map(({ stdout, stderr }) => stdout + stderr),
    [],
    'all succeed',
  );
  const addresses = addressesOf(added);
  t.strictSame([addresses.length, new Set(addresses).size], [400, 400]);
  const deleted = await Promise.all(pods.map((pod) => pod('DEL')));
  t.strictSame(
    deleted.filter(({ exitCode }) => exitCode !== 0).map(({ stdout }) => stdout),
    [],
  );
  t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []]);
  t.ok(await slotsAreFree(node));
});

void t.test(
  'kill -9 of the agent during 100 ADDs: none fails, no address twice, and a new agent takes over',
  { timeout: 120_000 },
  async (t) => {
    const node = createNode(t, 'killed');
    await node.startAgent();
    const pods = attachments(node, 100);
    const done: CniAnswer[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < pods.length) done.push(await pods[next++]!('ADD'));
    };
    const workers = Array.from({ length: 16 }, worker);
    while (done.length < 60) await new Promise((resolve) => setTimeout(resolve, 1));
    await node.killAgent();
    while (done.length < 75) await new Promise((resolve) => setTimeout(resolve, 1));
    await node.startAgent();
    await Promise.all(workers);
    t.strictSame(
      done.filter(({ exitCode }) => exitCode !== 0).map(({ stdout, stderr }) => stdout + stderr),
      [],
      'all succeed',
    );
    const addresses = addressesOf(done);
    t.strictSame([addresses.length, new Set(addresses).size], [200, 200]);
    for (const index of [0, 59, 61, 70, 99]) {
      const shown = node.exec(`ip -brief addr show dev e${index}`, `n${index % 10}`);
      t.match(shown, /UP.*10\.244\.1\.\d+\/24.*fd00:10:244:1::/, `e${index} is whole`);
    }
    await Promise.all(pods.map((pod) => pod('DEL')));
    t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []]);
  },
);

void t.test(
  'kill -9 of the launcher at any moment of 100 ADDs: GC leaves no file, no link, no rule, and every slot is free again',
  { timeout: 120_000 },
  async (t) => {
    const node = createNode(t, 'launcher');
    await node.startAgent();
    const pods = ['p0', 'p1', 'p2', 'p3', 'p4'];
    for (const pod of pods) node.addPod(pod);
    const guarded = { ipMasq: true, macspoofchk: true };
    const configs = pods.map((_, index) => ({
      ...guarded,
      runtimeConfig: { portMappings: [{ hostPort: 8_000 + index, containerPort: 80, protocol: 'tcp' }] },
    }));
    for (let turn = 0; turn < 20; turn++) {
      const children = pods.map((pod, index) => node.start('ADD', pod, turn % 4 === 2 ? configs[index] : {}));
      await Promise.all(
        children.map(async (child, index) => {
          await new Promise((resolve) => setTimeout(resolve, turn * 3 + index * 5));
          child.kill('SIGKILL');
        }),
      );
      if (turn % 4 === 3) await Promise.all(pods.map((pod) => node.cni('DEL', pod, { config: guarded })));
    }
    t.ok(await slotsAreFree(node));
    const collected = await node.cni('GC', undefined, { config: { ...guarded, 'cni.dev/valid-attachments': [] } });
    t.equal(collected.exitCode, 0, collected.stdout);
    t.strictSame([node.links(), attachmentFiles(node)], [['podwire0'], []]);
    t.notMatch(node.exec('nft list ruleset'), /podwire-net|veth/, 'no rule');
    t.equal((await node.cni('ADD', 'p0')).exitCode, 0, 'and a pod can be added');
  },
);

void t.test('nothing of a killed agent is left running, and its successor removes its pipes', async (t) => {
  const node = createNode(t, 'remains');
  await node.startAgent();
  node.addPod('a');
  t.equal((await node.cni('ADD', 'a')).exitCode, 0);
  await node.killAgent();
  const namespace = node.namespace.split('/').at(-1)!;
  const processes = (): string => execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  for (let wait = 0; wait < 100 && processes() !== ''; wait++) await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(processes(), '');
  await node.startAgent();
  const runs = readdirSync(join(node.dataDir, '.agent')).filter((name) => name.startsWith('run-'));
  t.equal(runs.length, 1);
  await node.stopAgent();
  t.notOk(existsSync(join(node.dataDir, '.agent/current')));
});
