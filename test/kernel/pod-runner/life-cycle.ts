import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { isRunning } from '../../../src/kernel/processes.ts';
import { resources } from '../../../src/objects/client.ts';
import { parseContainerRecord, podExecCommand } from '../../../src/pod-runner/index.ts';
import { containerState, eventually, fetchText, isReady, links, podOf, readyPod, testNode } from './node.ts';

const node = testNode();
t.teardown(() => node.remove());
const runner = await node.start();
t.teardown(() => runner.stop());
const nodeObject = () => node.cluster.informer(resources.nodes).store.get('worker-1');
const condition = (type: string) => nodeObject()?.status?.conditions?.find((found) => found.type === type);
const events = (reason: string) => [...node.cluster.informer(resources.events).store.values()].filter((event) => event.reason === reason);

t.test('the node is registered, not ready before there is a network configuration and ready after', async (t) => {
  const before = await eventually('the node says that it is not ready', () => condition('Ready'));
  t.equal(before.status, 'False');
  t.equal(before.reason, 'KubeletNotReady');
  t.match(before.message, /cni config uninitialized/);
  t.match(nodeObject(), {
    metadata: { labels: { 'kubernetes.io/hostname': 'worker-1', 'kubernetes.io/os': 'linux', zone: 'test' } },
    status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }, { address: '::1' }, { type: 'Hostname', address: 'worker-1' }] },
  });
  await node.run(podOf('early', { image: 'nginx' }));
  await eventually('the pod tells why it waits', () => events('NetworkNotReady')[0]);
  node.configureNetwork();
  await eventually('the node is ready', () => condition('Ready')?.status === 'True');
  await readyPod(node, 'early');
  t.match(node.cluster.informer(resources.leases).store.get('kube-node-lease/worker-1')?.spec, {
    holderIdentity: 'worker-1',
    leaseDurationSeconds: 8,
  });
});

t.test('a condition that somebody else wrote is put right', async () => {
  const wrong = { status: { conditions: [{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' }] } };
  await node.client.patch(resources.nodes, 'worker-1', undefined, 'merge', wrong, 'status');
  await eventually('the node is ready again', () => condition('Ready')?.status === 'True');
  const pod = node.pod('early')!;
  const conditions = pod.status!.conditions!.map((found) => (found.type === 'Ready' ? { ...found, status: 'False' as const } : found));
  await node.client.patch(resources.pods, 'early', 'default', 'merge', { status: { conditions } }, 'status');
  await eventually('the pod is ready again', () => isReady(node.pod('early')));
});

t.test('a web pod answers over both families with its name, node and addresses', async (t) => {
  const begin = performance.now();
  await node.run(podOf('web', { image: 'docker.io/library/nginx:1.27' }));
  const pod = await readyPod(node, 'web');
  t.comment(`ready after ${Math.round(performance.now() - begin)} ms`);
  t.match(pod.status, {
    phase: 'Running',
    podIPs: [{ ip: /^10\.250\.0\.\d+$/ }, { ip: /^fd00:250::\d+$/ }],
    hostIP: '127.0.0.1',
    containerStatuses: [{ name: 'main', ready: true, restartCount: 0, image: 'docker.io/library/nginx:1.27', state: { running: {} } }],
  });
  const [v4, v6] = pod.status!.podIPs!.map(({ ip }) => ip);
  t.match(await fetchText(v4!), new RegExp(`^pod web\nnode worker-1\naddress ${v4}:80\nclient 10\\.250\\.255\\.254:\\d+\n$`));
  t.match(await fetchText(v6!), /^pod web\nnode worker-1\naddress \[fd00:250::\d+\]:80\nclient \[fd00:250::ffff\]:\d+\n$/);
  const added = node.cniRequests().find((line) => line.includes('K8S_POD_NAME=web;'));
  t.match(
    added,
    /^ADD eth0 IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=[0-9a-f]{64};K8S_POD_UID=\S+ \{.*"name":"test"/,
  );
});

t.test('a command of the host runs in namespaces of its own, with the files and variables of its pod', async (t) => {
  const script = [
    'echo "$GREETING"; hostname; cat /etc/resolv.conf /etc/hosts /etc/hostname',
    'echo $$$$; ls /run/netns | wc -l; ls /sys/class/net; exec sleep 600',
  ].join(';');
  const env = [
    { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'GREETING', value: 'hello $(WHO)' },
  ];
  await node.run(podOf('shell', { image: 'debian', command: ['sh', '-c', script], env }));
  const pod = await readyPod(node, 'shell');
  const log = join(node.options.rootDir!, 'pods', pod.metadata.uid!, 'logs', 'main.0.log');
  const written = (): string => readFileSync(log, 'utf8').replace(/^\S+Z stdout F /gm, '');
  const text = await eventually('all is written', () => (/\nlo\n/.test(written()) ? written() : undefined));
  const ip = pod.status!.podIP!;
  t.equal(
    text.split('\n# This')[0],
    [
      `hello ${ip}`,
      'shell',
      'search default.svc.cluster.local svc.cluster.local cluster.local',
      'nameserver 10.96.0.10',
      'options ndots:5',
    ].join('\n'),
  );
  t.ok(text.includes(`${ip}\tshell\n`), '/etc/hosts names the pod');
  t.match(text, /\nshell\n1\n0\neth0\nlo\n$/, 'its first process is number 1, and it sees no other namespaces and its own links only');
  const record = parseContainerRecord(readFileSync(join(node.options.rootDir!, 'pods', pod.metadata.uid!, 'main.json'), 'utf8'))!;
  const [program, ...args] = podExecCommand(record, ['hostname']);
  t.equal((await systemRunner.run(program!, args)).stdout, 'shell\n');
});

t.test('a killed container is started again at once, and held back when it goes on dying', async (t) => {
  const pod = node.pod('web')!;
  const before = containerState(node, pod);
  process.kill(before.process.pid, 'SIGKILL');
  const again = await eventually('it runs again', () => {
    const [status] = node.pod('web')?.status?.containerStatuses ?? [];
    return status?.restartCount === 1 && status.ready ? status : undefined;
  });
  t.match(again.lastState, { terminated: { exitCode: 137, reason: 'Error' } });
  t.match(await fetchText(pod.status!.podIP!), /^pod web\n/);
  process.kill(containerState(node, pod).process.pid, 'SIGKILL');
  await eventually('it is held back', () => node.pod('web')?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff');
  await eventually('an event tells', () => events('BackOff')[0]);
  t.notOk(isReady(node.pod('web')));
});

t.test('a run to completion ends the pod and gives its network back', async (t) => {
  const spec = { restartPolicy: 'Never' as const, initContainers: [{ name: 'first', image: 'busybox', command: ['true'] }] };
  await node.run(podOf('job', { image: 'busybox', command: ['sh', '-c', 'exit 3'] }, spec));
  const pod = await eventually('it has failed', () => (node.pod('job')?.status?.phase === 'Failed' ? node.pod('job') : undefined));
  t.match(pod.status, {
    initContainerStatuses: [{ ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } }],
    containerStatuses: [{ state: { terminated: { exitCode: 3, reason: 'Error' } } }],
  });
  await eventually('its network is gone', () =>
    node.cniRequests().some((line) => line.startsWith('DEL') && line.includes('K8S_POD_NAME=job;')),
  );
  await node.run(podOf('empty', { image: 'busybox' }, { restartPolicy: 'Never' }));
  await eventually('a shell without a terminal ends', () => node.pod('empty')?.status?.phase === 'Succeeded');
});

t.test('what cannot be started says why', async (t) => {
  await node.run(podOf('strange', { image: 'example.com/strange:1' }));
  await node.run(podOf('missing', { image: 'busybox', command: ['no-such-program'] }));
  const waiting = (name: string) => node.pod(name)?.status?.containerStatuses?.[0]?.state?.waiting;
  await eventually('the image is not known', () => /ErrImagePull|ImagePullBackOff/.test(waiting('strange')?.reason ?? ''));
  t.match(waiting('strange')?.message, /nginx.*busybox.*`command`/);
  await eventually('the program is not there', () => waiting('missing')?.reason === 'CrashLoopBackOff');
  const [status] = node.pod('missing')!.status!.containerStatuses!;
  t.match(status!.lastState!.terminated, {
    exitCode: 128,
    reason: 'StartError',
    message: 'exec: "no-such-program": executable file not found in $PATH',
  });
});

t.test('a network that cannot be made is told and tried again', async () => {
  writeFileSync(join(node.dir, 'bin', 'fail'), '');
  await node.run(podOf('unlucky', { image: 'nginx' }));
  await eventually('an event tells', () =>
    events('FailedCreatePodSandBox').find(({ message }) => /test-cni.*told to fail/.test(message ?? '')),
  );
  rmSync(join(node.dir, 'bin', 'fail'));
  await readyPod(node, 'unlucky');
});

t.test('probes: not ready before the first success, restarted after the last failure', async (t) => {
  const readinessProbe = { exec: { command: ['test', '-e', join(node.dir, 'is-ready')] }, periodSeconds: 1 };
  await node.run(podOf('probed', { image: 'nginx', readinessProbe }));
  await eventually('it has failed a probe', () => events('Unhealthy')[0]);
  t.notOk(isReady(node.pod('probed')));
  writeFileSync(join(node.dir, 'is-ready'), '');
  await readyPod(node, 'probed');
  const livenessProbe = { httpGet: { port: 81 }, periodSeconds: 1, failureThreshold: 1 };
  await node.run(podOf('dying', { image: 'nginx', livenessProbe }));
  await eventually('it is restarted', () => (node.pod('dying')?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0);
  t.match(events('Unhealthy').find(({ message }) => message?.startsWith('Liveness'))?.message, /:81\/": dial|connection refused/);
});

t.test('deleting every pod leaves no namespace, link, process or file', async (t) => {
  const store = node.cluster.informer(resources.pods).store;
  const names = [...store.values()].map(({ metadata }) => metadata.name);
  const processes = names.flatMap((name) => {
    try {
      return [containerState(node, node.pod(name)!).process];
    } catch {
      return [];
    }
  });
  t.ok(processes.length > 3);
  await Promise.all(names.map((name) => node.client.delete(resources.pods, name, 'default')));
  await eventually('no pod is left', () => store.size === 0);
  await eventually('no file is left', () => node.podFiles().length === 0);
  t.same(node.podNamespaces(), []);
  t.same(await links(), []);
  t.same(
    processes.filter((identity) => identity && isRunning(identity)),
    [],
  );
});
