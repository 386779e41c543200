import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';

import { isRunning } from '../../../src/kernel/processes.ts';
import { resources } from '../../../src/objects/client.ts';
import { containerState, eventually, fetchText, links, podOf, readyPod, testNode } from './node.ts';

const node = testNode();
t.teardown(() => node.remove());
node.configureNetwork();

t.test('a runner that is stopped and started again takes over the same processes', async (t) => {
  const first = await node.start();
  await node.run(podOf('web', { image: 'nginx' }));
  await node.run(podOf('idle', { image: 'debian', command: ['sleep', '600'] }, { terminationGracePeriodSeconds: 0 }));
  const before = await readyPod(node, 'web');
  await readyPod(node, 'idle');
  const { process: web, shim } = containerState(node, before);
  await first.stop();
  t.ok(isRunning(web), 'it goes on without a runner');
  t.match(await fetchText(before.status!.podIP!), /^pod web\n/);

  const created = node.client.writes.length;
  const second = await node.start();
  t.teardown(() => second.stop());
  await eventually('the second is at work', () => node.client.writes.slice(created).some((write) => write.startsWith('update leases')));
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.match(containerState(node, node.pod('web')!), { process: web, shim, run: { attempt: 0, phase: 'running' } });
  t.equal(node.pod('web')!.status!.podIP, before.status!.podIP);
  t.equal(node.cniRequests().filter((line) => line.startsWith('ADD')).length, 2, 'no network was made again');
  await second.stop();
});

t.test('an exit while no runner was there is known to the next', async (t) => {
  const { process: idle } = containerState(node, node.pod('idle')!);
  process.kill(idle.pid, 'SIGKILL');
  await eventually('it is gone', () => !isRunning(idle));
  const runner = await node.start();
  const status = await eventually('it runs again', () =>
    node.pod('idle')!.status!.containerStatuses!.find(({ restartCount }) => restartCount === 1),
  );
  t.match(status.lastState, { terminated: { exitCode: 137 } });
  await runner.stop();
});

t.test('a second runner on the same folder is refused', async (t) => {
  const runner = await node.start();
  await t.rejects(node.start(), { message: /is in use by the pod runner with process id/ });
  await runner.stop();
});

t.test('kill -9 of the runner: pods go on, the next takes them over, and removes what belongs to nobody', async (t) => {
  const pods = ['web', 'idle'].map((name) => node.pod(name)!);
  const file = join(import.meta.dirname, 'runner-process.ts');
  const orphan = { ...podOf('orphan', { image: 'nginx' }), metadata: { name: 'orphan', namespace: 'default', uid: 'orphan-uid' } };
  const child = spawn(process.execPath, [file, node.dir, JSON.stringify([...pods, orphan])], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await eventually('its pods are ready', () => said.includes('ready'));
  const { process: web } = containerState(node, pods[0]!);
  const lost = containerState(node, orphan).process;
  t.ok(isRunning(lost));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(isRunning(web));
  t.match(await fetchText(pods[0]!.status!.podIP!), /^pod web\n/);

  const runner = await node.start();
  t.teardown(() => runner.stop());
  await eventually('the orphan is gone', () => !isRunning(lost) && !node.podFiles().some((name) => name.startsWith('orphan-uid')));
  t.match(containerState(node, pods[0]!), { process: web, run: { attempt: 0 } });
  await eventually('its link and namespace are gone', () => node.podNamespaces().length === 2);
  t.equal((await links()).length, 2);
  for (const name of ['web', 'idle']) await node.client.delete(resources.pods, name, 'default');
  await eventually('no file is left', () => node.podFiles().length === 0);
  t.same(node.podNamespaces(), []);
  t.same(await links(), []);
  t.notOk(isRunning(web));
});

t.test('kill -9 of the runner at any moment of the start leaves pods that the next one finishes or removes', async (t) => {
  const file = join(import.meta.dirname, 'runner-process.ts');
  for (const delay of [0, 20, 40, 80, 160]) {
    const pods = ['a', 'b', 'c'].map((letter) => {
      const name = `${letter}${delay}`;
      const command = letter === 'c' ? { image: 'debian', command: ['sleep', '600'] } : { image: 'nginx' };
      const pod = podOf(name, command, { terminationGracePeriodSeconds: 0 });
      return { ...pod, metadata: { ...pod.metadata, uid: `uid-${name}` } };
    });
    const child = spawn(process.execPath, [file, node.dir, JSON.stringify(pods)], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, delay));
    child.kill('SIGKILL');
    await once(child, 'exit');
    // Two of the three are still wanted when the next runner comes.
    for (const pod of pods.slice(1)) node.cluster.set(resources.pods, pod);
    const runner = await node.start();
    for (const { metadata } of pods.slice(1)) await readyPod(node, metadata.name);
    await eventually(
      'what nobody wants is gone',
      () => node.podNamespaces().length === 2 && !node.podFiles().some((name) => name.startsWith(`uid-a${delay}`)),
    );
    t.equal((await links()).length, 2, `killed after ${delay} ms`);
    for (const { metadata } of pods.slice(1)) await node.client.delete(resources.pods, metadata.name, 'default');
    await eventually('no file is left', () => node.podFiles().length === 0);
    await runner.stop();
    t.same([...node.podNamespaces(), ...(await links())], []);
  }
});
