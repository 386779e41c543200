// What a lab does when parts of it die: daemons, the supervisor, a node's cable. One lab for the file.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { daemonPid, eventually, hostState, processesNaming, testLab } from './support/lab.ts';

const lab = testLab();
const before = hostState(lab.name);
t.teardown(() => lab.destroy());

const isReady = (object: any): boolean => object.status?.conditions?.some((c: any) => c.type === 'Ready' && c.status === 'True') ?? false;
const webPods = (): any[] =>
  lab.json<{ items: any[] }>('get', 'pods', '-l', 'app=web').items.filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp);
const asks = (pod: string, url = 'http://web'): string | undefined => {
  const { code, stdout } = lab.inPod(pod, 'curl', '-sS', '--max-time', '2', '-H', 'accept: application/json', url);
  return code === 0 ? (JSON.parse(stdout) as { pod: string }).pod : undefined;
};
const converged = (): boolean =>
  lab
    .status()
    .nodes.every(
      ({ ready, daemons, agent }) =>
        ready === 'Ready' &&
        daemons.every(({ running }) => running) &&
        agent?.problems.length === 0 &&
        agent.routing.peers.every(({ state }) => state === 'Established') &&
        agent.routing.routes.filter((route) => route.inKernel).length >= 4,
    );

/** A connection from one pod to another through a service, by its name, over which a line goes and comes back; it must outlive every daemon. */
async function longConnection(from: any, to: any): Promise<{ echo(text: string): Promise<void>; close(): void }> {
  const server = `require('net').createServer((s) => s.pipe(s)).listen(7777, '::', () => console.log('listening'))`;
  const client = `const s = require('net').connect(7777, 'echo', () => { process.stdin.pipe(s); s.pipe(process.stdout); }); s.on('close', () => process.exit(9));`;
  const listening = lab.spawnInPod(to.metadata.name, process.execPath, '-e', server);
  await new Promise<void>((resolve, reject) => {
    listening.stdout!.once('data', () => resolve());
    listening.once('close', (code) => reject(new Error(`the echo server ended with ${code}`)));
  });
  lab.kubectl('label', 'pod', to.metadata.name, 'echo=here');
  lab.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'echo', namespace: 'default' },
    spec: { selector: { echo: 'here' }, ports: [{ port: 7777 }] },
  });
  await eventually(
    'the service resolves and answers',
    10,
    () => lab.inPod(from.metadata.name, 'curl', '-sS', '--max-time', '1', 'telnet://echo:7777').code === 28,
  );
  const connected = lab.spawnInPod(from.metadata.name, process.execPath, '-e', client);
  let heard = '';
  let ended: number | null | undefined;
  connected.stdout!.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  connected.once('close', (code) => (ended = code));
  return {
    async echo(text) {
      connected.stdin!.write(`${text}\n`);
      await eventually(`${text} comes back`, 15, () => {
        if (ended !== undefined) throw new Error(`the connection ended with ${ended}`);
        return heard.includes(text);
      });
    },
    close() {
      connected.kill('SIGKILL');
      listening.kill('SIGKILL');
    },
  };
}

t.test('a lab with three pods behind a service', async (t) => {
  const up = lab.up();
  t.equal(up.code, 0, up.stderr);
  lab.kubectl('create', 'deployment', 'web', '--image=nginx', '--replicas=3');
  lab.kubectl('expose', 'deployment', 'web', '--port=80');
  await eventually('three ready pods', 20, () => webPods().length === 3);
  await eventually('everything converged', 15, converged);
});

t.test('kill -9 of each daemon of each node', async (t) => {
  const pods = webPods();
  const from = pods.find((pod) => pod.spec.nodeName === 'worker-1');
  const to = pods.find((pod) => pod.spec.nodeName === 'worker-2');
  const uids = pods.map((pod) => pod.metadata.uid).sort();
  const connection = await longConnection(from, to);
  t.teardown(() => connection.close());
  await connection.echo('start');
  for (const component of lab.status().nodes.flatMap(({ name, daemons }) => daemons.map((daemon) => `${name}.${daemon.name}`))) {
    await t.test(`${component} is started again and nothing breaks`, async (t) => {
      const pid = daemonPid(lab, component);
      process.kill(pid, 'SIGKILL');
      await connection.echo(`just after ${component}`);
      await eventually('another process runs', 10, () => daemonPid(lab, component) !== pid);
      await eventually('all converged', 20, converged);
      await connection.echo(`after ${component}`);
      const again = await eventually('the same three pods', 20, () => {
        const ready = webPods();
        return ready.length === 3 && ready;
      });
      t.same(again.map((pod) => pod.metadata.uid).sort(), uids, 'no pod was replaced');
      t.same(
        again.map((pod) => pod.status.containerStatuses[0].restartCount),
        [0, 0, 0],
        'no container was restarted',
      );
      const answers = new Set<string>();
      await eventually('every pod answers', 15, () => {
        const pod = asks(from.metadata.name);
        if (pod) answers.add(pod);
        return answers.size === 3;
      });
    });
  }
  t.test('and the lab still does new work', async () => {
    lab.kubectl('scale', 'deployment', 'web', '--replicas=4');
    await eventually('a fourth pod', 20, () => webPods().length === 4);
    lab.kubectl('scale', 'deployment', 'web', '--replicas=3');
    await eventually('three pods', 20, () => lab.json('get', 'pods', '-l', 'app=web').items.length === 3);
  });
});

t.test('a node whose cable is pulled', async (t) => {
  const routesOn = (node: string): string => lab.onNode(node, 'ip', 'route', 'show', 'proto', '176').stdout;
  const { podCIDR } = lab.json('get', 'node', 'worker-2').spec;
  const lost = webPods().filter((pod) => pod.spec.nodeName === 'worker-2');
  t.match(routesOn('worker-1'), podCIDR);
  t.equal(lab.podwire('link', 'worker-2', 'down').code, 0);
  const start = Date.now();
  await eventually(
    'its routes leave the other kernels within the hold time (9 s)',
    11,
    () => !routesOn('worker-1').includes(podCIDR) && !routesOn('control').includes(podCIDR),
  );
  t.comment(`routes left after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  await eventually('the node is not ready', 20, () => !isReady(lab.json('get', 'node', 'worker-2')));
  await eventually('its endpoints leave the service', 10, () => {
    const slices = lab.json<{ items: any[] }>('get', 'endpointslices', '-l', 'kubernetes.io/service-name=web').items;
    const ready = slices.flatMap((slice) => slice.endpoints ?? []).filter((endpoint: any) => endpoint.conditions.ready);
    return ready.length > 0 && ready.every((endpoint: any) => endpoint.nodeName !== 'worker-2');
  });
  t.comment(`endpoints left after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  const asker = webPods().find((pod) => pod.spec.nodeName === 'worker-1').metadata.name;
  await eventually('ten answers in a row without the lost node', 20, () => {
    for (let i = 0; i < 10; i++) {
      const pod = asks(asker);
      if (pod === undefined || lost.some(({ metadata }) => metadata.name === pod)) return false;
    }
    return true;
  });
  t.equal(lab.podwire('link', 'worker-2', 'up').code, 0);
  await eventually('the node, its routes and its endpoints return', 40, () => {
    const slices = lab.json<{ items: any[] }>('get', 'endpointslices', '-l', 'kubernetes.io/service-name=web').items;
    return (
      converged() &&
      routesOn('worker-1').includes(podCIDR) &&
      slices.some((slice) => slice.endpoints.some((endpoint: any) => endpoint.nodeName === 'worker-2' && endpoint.conditions.ready))
    );
  });
});

t.test('kill -9 of the supervisor: the daemons go on, and lab up supervises again', async (t) => {
  const { pid } = JSON.parse((await import('node:fs')).readFileSync(`${lab.root}/supervisor.json`, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await sleep(200);
  t.equal(lab.status().supervised, false);
  t.ok(asks(webPods()[0].metadata.name), 'packets still flow');
  const again = lab.up();
  t.equal(again.code, 0, again.stderr);
  t.match(again.stderr, /supervisor/);
  await eventually('all converged', 20, converged);
  t.equal(lab.status().supervised, true);
  t.equal(webPods().length, 3);
});

t.test('down after a crash of everything leaves nothing', async (t) => {
  const { pid } = JSON.parse((await import('node:fs')).readFileSync(`${lab.root}/supervisor.json`, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  for (const node of lab.nodes) process.kill(daemonPid(lab, `${node}.pod-runner`), 'SIGKILL');
  const { code, stderr } = lab.down();
  t.equal(code, 0, stderr);
  t.same(processesNaming(lab.root), []);
  t.same(hostState(lab.name), before);
});
