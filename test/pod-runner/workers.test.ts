import { describe, expect, test } from 'vitest';
import { ApiError } from '../../src/kube/errors.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type Pod, resources } from '../../src/objects/client.ts';
import { createMirrors } from '../../src/pod-runner/effects/mirrors.ts';
import { startNodeLease } from '../../src/pod-runner/effects/node-lease.ts';
import { startNodeRegistration } from '../../src/pod-runner/effects/node-registration.ts';
import { startPodWorker } from '../../src/pod-runner/effects/pod-worker.ts';
import { createStatusWriter } from '../../src/pod-runner/effects/status-writer.ts';
import { type ContainerRun, podRunnerOptions } from '../../src/pod-runner/index.ts';
import type { Runtime } from '../../src/pod-runner/runtime/runtime.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { container, pod } from './states.ts';

const unreachable = new ApiError(
  { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 503, reason: 'ServiceUnavailable' },
  'test',
);

function setUp() {
  const clock = createFakeClock(1_700_000_000_000);
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, clock, () => 0.5);
  return { clock, cluster, client, log: silentLogger() };
}

/** Lets time pass in small steps, since an answer of the server takes a few turns. */
async function pass(clock: FakeClock, milliseconds: number): Promise<void> {
  for (let step = 0; step < milliseconds; step += 50) await clock.advance(Math.min(50, milliseconds - step));
}

/** A runtime in which everything works at once. */
function fakeRuntime() {
  const runs = new Map<string, ContainerRun>();
  const calls: string[] = [];
  const runtime: Runtime = {
    listPods: () => Promise.resolve([]),
    createSandbox: () => {
      calls.push('create-sandbox');
      return Promise.resolve(['10.244.1.5']);
    },
    removeSandbox: () => {
      calls.push('remove-sandbox');
      return Promise.resolve();
    },
    startContainer({ launch, attempt }) {
      calls.push(`start ${launch.container} ${attempt}`);
      runs.set(launch.container, { attempt, phase: 'running', startedAt: 0 });
      return Promise.resolve();
    },
    stopContainer(_pod, container, grace) {
      calls.push(`stop ${container} ${grace}`);
      runs.set(container, { ...runs.get(container)!, phase: 'exited', exitCode: 0, finishedAt: 0 });
    },
    runs: () => runs,
    exec: () => Promise.resolve({ exitCode: 0, output: '' }),
    removePod: () => {
      calls.push('remove-pod');
      return Promise.resolve();
    },
    removeStrays: () => Promise.resolve(),
    onChange: () => () => undefined,
    close: () => undefined,
  };
  return { runtime, calls, runs };
}

describe('pod worker', () => {
  test('runs a pod from bound to deleted, with events on the way', async () => {
    const { clock, cluster, client, log } = setUp();
    const { runtime, calls } = fakeRuntime();
    const reasons: string[] = [];
    const { uid: _uid, ...metadata } = pod().metadata;
    const made = await client.create(resources.pods, { ...pod(), metadata });
    let forgotten = false;
    const worker = startPodWorker(made, false, undefined, {
      resources: {},
      options: podRunnerOptions({ nodeName: 'worker-1', nodeIPs: ['192.168.88.12'] }),
      runtime,
      client,
      clock,
      log,
      events: { record: ({ reason }) => void reasons.push(reason) },
      networkProblem: () => undefined,
      onForgotten: () => {
        forgotten = true;
      },
      onRestart: () => undefined,
      onStarted: () => undefined,
    });
    cluster.informer(resources.pods).onChange((_before, after) => {
      if (!after) return worker.remove();
      worker.update(after);
      worker.show(after);
    });
    worker.show(made);
    await pass(clock, 100);
    const current = () => cluster.informer(resources.pods).store.get('default/web');
    expect(current()?.status).toMatchObject({
      phase: 'Running',
      podIP: '10.244.1.5',
      conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', status: 'True' })]) as unknown,
    });
    const writes = client.writes.length;
    await pass(clock, 60_000);
    expect(client.writes.length, 'nothing is written while nothing changes').toBe(writes);
    await client.delete(resources.pods, 'web', 'default');
    await pass(clock, 100);
    expect(calls).toEqual(['create-sandbox', 'start main 0', 'stop main 30000', 'remove-sandbox', 'remove-pod']);
    expect(current()).toBeUndefined();
    expect(forgotten).toBe(true);
    expect(reasons).toEqual(['Pulled', 'Created', 'Started', 'Killing']);
  });
});

describe('a pod that is being ended', () => {
  test('stays ready by its readiness probe while it serves out its grace, and is not probed for liveness any more', async () => {
    const { clock, cluster, client, log } = setUp();
    const { runtime, calls } = fakeRuntime();
    const reasons: string[] = [];
    let serves = true;
    let alive = true;
    const probe = (command: string) => ({ exec: { command: [command] }, periodSeconds: 1, failureThreshold: 1 });
    const main = container('main', { readinessProbe: probe('ready'), livenessProbe: probe('alive') });
    const { uid: _uid, ...metadata } = pod().metadata;
    const made = await client.create(resources.pods, { ...pod({ containers: [main] }), metadata });
    const worker = startPodWorker(made, false, undefined, {
      resources: {},
      options: podRunnerOptions({ nodeName: 'worker-1', nodeIPs: ['192.168.88.12'] }),
      // Its process does not heed SIGTERM.
      runtime: {
        ...runtime,
        stopContainer: (_pod, name, grace) => void calls.push(`stop ${name} ${grace}`),
        exec: (_pod, _name, [command]) => Promise.resolve({ exitCode: (command === 'ready' ? serves : alive) ? 0 : 1, output: '' }),
      },
      client,
      clock,
      log,
      events: { record: ({ reason }) => void reasons.push(reason) },
      networkProblem: () => undefined,
      onForgotten: () => undefined,
      onRestart: () => undefined,
      onStarted: () => undefined,
    });
    cluster.informer(resources.pods).onChange((_before, after) => {
      if (!after) return;
      worker.update(after);
      worker.show(after);
    });
    worker.show(made);
    const status = () => cluster.informer(resources.pods).store.get('default/web')?.status?.containerStatuses?.[0];
    await pass(clock, 3_000);
    expect(status()).toMatchObject({ started: true, ready: true });
    await client.delete(resources.pods, 'web', 'default');
    alive = false;
    await pass(clock, 5_000);
    expect(calls.at(-1)).toBe('stop main 30000');
    expect(status()).toMatchObject({ started: true, ready: true });
    serves = false;
    await pass(clock, 3_000);
    expect(status()).toMatchObject({ started: true, ready: false });
    expect(reasons.filter((reason) => reason === 'Unhealthy').length).toBeGreaterThan(0);
    expect(calls.filter((call) => call.startsWith('stop'))).toEqual(['stop main 30000']);
    worker.stop();
  });
});

describe('status writer', () => {
  test('goes on until the server takes it, and writes again what somebody else has changed', async () => {
    const { clock, client, log } = setUp();
    const { uid: _uid, ...metadata } = pod().metadata;
    const made = await client.create(resources.pods, { ...pod(), metadata });
    const writer = createStatusWriter({ client, clock, log, random: () => 0 });
    const heal = client.failWhen((write) => (write.includes('pods/status') ? unreachable : undefined));
    writer.see(made);
    writer.want({ phase: 'Running' });
    await pass(clock, 1_000);
    expect(writer.current?.status?.phase).toBe('Pending');
    heal();
    await pass(clock, 10_000);
    expect(writer.current?.status?.phase).toBe('Running');
    writer.see(await client.patch(resources.pods, 'web', 'default', 'merge', { status: { phase: 'Unknown' } }, 'status'));
    await pass(clock, 1_500);
    expect((await Promise.all([client.get(resources.pods, 'web', 'default'), clock.advance(0)]))[0].status?.phase).toBe('Running');
  });

  test('a server that alters what it is given is not asked more than once a second', async () => {
    const { clock, log } = setUp();
    let asked = 0;
    const stubborn: Pod = { ...pod(), status: { phase: 'Unknown' } };
    const writer = createStatusWriter({
      clock,
      log,
      client: {
        patch: (() => {
          asked++;
          return Promise.resolve({ ...stubborn, metadata: { ...stubborn.metadata, resourceVersion: String(asked) } });
        }) as never,
      },
    });
    writer.see(stubborn);
    writer.want({ phase: 'Running' });
    await pass(clock, 10_000);
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(13);
    writer.stop();
  });
});

describe('lease', () => {
  test('is renewed every quarter of its duration, and made again when it is deleted', async () => {
    const { clock, cluster, client, log } = setUp();
    const lease = startNodeLease({ client, clock, log, nodeName: 'worker-1', durationSeconds: 8, node: () => undefined });
    await pass(clock, 8_100);
    expect(client.writes.filter((write) => write.includes('leases'))).toHaveLength(5);
    await client.delete(resources.leases, 'worker-1', 'kube-node-lease');
    await pass(clock, 4_000);
    expect(cluster.informer(resources.leases).store.get('kube-node-lease/worker-1')?.spec).toMatchObject({
      holderIdentity: 'worker-1',
      leaseDurationSeconds: 8,
    });
    lease.stop();
    const count = client.writes.length;
    await pass(clock, 20_000);
    expect(client.writes.length).toBe(count);
  });
});

describe('node registration', () => {
  const machine = {
    cpus: 2,
    memoryBytes: 1,
    diskBytes: 1,
    architecture: 'amd64',
    kernelVersion: '6',
    osImage: 'x',
    machineID: '',
    bootID: '',
  };

  test('waits for the server, and keeps the conditions true against others', async () => {
    const { clock, cluster, client, log } = setUp();
    let problem: string | undefined = 'no network';
    const heal = client.failWhen(() => unreachable);
    const registration = startNodeRegistration({
      client,
      cluster,
      clock,
      log,
      machine,
      events: { record: () => undefined },
      identity: { name: 'worker-1', addresses: ['192.168.88.12'], labels: { zone: 'a' }, maxPods: 110 },
      problem: () => problem,
    });
    await pass(clock, 3_000);
    expect(registration.registered).toBe(false);
    heal();
    await pass(clock, 6_000);
    const ready = () =>
      cluster
        .informer(resources.nodes)
        .store.get('worker-1')
        ?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    expect(ready()).toBe('False');
    problem = undefined;
    registration.poke();
    await pass(clock, 200);
    expect(ready()).toBe('True');
    void client.patch(
      resources.nodes,
      'worker-1',
      undefined,
      'merge',
      { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } },
      'status',
    );
    await pass(clock, 200);
    expect(ready()).toBe('True');
    const writes = client.writes.length;
    await pass(clock, 250_000);
    expect(client.writes.length).toBe(writes);
    await pass(clock, 100_000);
    expect(client.writes.length).toBe(writes + 1);
    registration.stop();
  });

  test('a Node that was there keeps what it has and gets our labels', async () => {
    const { clock, cluster, client, log } = setUp();
    cluster.set(resources.nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'worker-1', uid: 'n1', labels: { theirs: 'x' } },
      spec: { podCIDR: '10.244.1.0/24' },
    });
    const registration = startNodeRegistration({
      client,
      cluster,
      clock,
      log,
      machine,
      events: { record: () => undefined },
      identity: { name: 'worker-1', addresses: ['192.168.88.12'], labels: {}, maxPods: 110 },
      problem: () => undefined,
    });
    await pass(clock, 200);
    expect(cluster.informer(resources.nodes).store.get('worker-1')).toMatchObject({
      metadata: { uid: 'n1', labels: { theirs: 'x', 'kubernetes.io/hostname': 'worker-1' } },
      spec: { podCIDR: '10.244.1.0/24' },
    });
    registration.stop();
  });
});

describe('mirror pods', () => {
  test('one that cannot be made is tried again, and one of nobody is removed', async () => {
    const { clock, cluster, client, log } = setUp();
    const informer = cluster.informer(resources.pods);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1', uid: 'n1' } };
    const mirrors = createMirrors({ client, clock, log, node: () => node, apiPods: () => informer.store });
    informer.onChange(() => mirrors.poke());
    const heal = client.failWhen((write) => (write.startsWith('create pods') ? unreachable : undefined));
    mirrors.want([pod({}, { name: 'dns-worker-1' })]);
    await pass(clock, 1_000);
    expect(informer.store.size).toBe(0);
    heal();
    await pass(clock, 6_000);
    expect([...informer.store.keys()]).toEqual(['default/dns-worker-1']);
    mirrors.want([]);
    await pass(clock, 1_000);
    expect(informer.store.size).toBe(0);
    mirrors.stop();
  });
});
