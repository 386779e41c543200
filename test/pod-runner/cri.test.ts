import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerSecurity, podSharing } from '../../src/pod-runner/render/security.ts';
import { launchSpec } from '../../src/pod-runner/render/launch.ts';
import { initialPodState, podStatus, step } from '../../src/pod-runner/index.ts';
import { connectCri } from '../../src/pod-runner/runtime/cri/client.ts';
import { openCriRuntime } from '../../src/pod-runner/runtime/cri/cri.ts';
import { addressesOf, isLater, runOf } from '../../src/pod-runner/runtime/cri/observed.ts';
import { containerConfig, sandboxConfig } from '../../src/pod-runner/runtime/cri/requests.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { grpcError, startFakeCri } from './fake-cri.ts';
import { container, deeds, facts, pod, reasons } from './states.ts';

let folder: string;
let socket: string;
const stops: (() => void)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-cri-'));
  socket = join(folder, 'sock');
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  rmSync(folder, { recursive: true, force: true });
});

const version = { Version: () => ({ runtimeName: 'fake', runtimeVersion: '1' }) };

async function start(...args: Parameters<typeof startFakeCri> extends [string, ...infer Rest] ? Rest : never) {
  const server = await startFakeCri(socket, ...args);
  const client = connectCri(`unix://${socket}`);
  stops.push(server.stop, client.close);
  return { client, asked: server.asked };
}

describe('the CRI client', () => {
  test('speaks v1, or v1alpha2 to a runtime that has no other', async () => {
    for (const offered of ['v1', 'v1alpha2'] as const) {
      const { client, asked } = await start(version, offered);
      expect(await client.call('Version', {})).toMatchObject({ runtimeName: 'fake' });
      expect(asked.filter((name) => name === 'Version')).toHaveLength(2);
      for (const stop of stops.splice(0)) stop();
    }
  });

  test('says what is wrong: no socket, no CRI, a method that is not there, no answer in time, and the words of the runtime', async () => {
    const nobody = connectCri(socket);
    stops.push(nobody.close);
    await expect(nobody.call('Version', {})).rejects.toThrow(`the container runtime is down: there is no socket ${socket}`);
    expect(() => connectCri('tcp://x')).toThrow('--container-runtime-endpoint: "tcp://x" is not a unix socket');
    const other = await start(version, 'v0');
    await expect(other.client.call('Version', {})).rejects.toThrow('speaks neither runtime.v1 nor runtime.v1alpha2 of CRI');
    for (const stop of stops.splice(0)) stop();
    const { client } = await start({
      ...version,
      Status: () => new Promise(() => undefined),
      RemoveContainer: () => {
        throw grpcError(status.UNKNOWN, 'device busy');
      },
    });
    await expect(client.call('StopContainer', { containerId: 'x', timeout: 1 })).rejects.toThrow(/has no StopContainer: unknown method/);
    await expect(client.call('Status', {}, 100)).rejects.toThrow('did not finish Status within 0.1 s');
    await expect(client.call('RemoveContainer', { containerId: 'x' })).rejects.toThrow('device busy');
  });

  test('leaves nothing running when the runtime stays away', { timeout: 20_000 }, async () => {
    let now = 0;
    const clock = {
      ...systemClock,
      monotonic: () => (now += 6_000),
      setTimer: (_delay: number, callback: () => void) => systemClock.setTimer(1, callback),
    };
    const opening = openCriRuntime({ client: connectCri(socket), clock, log: silentLogger(), root: folder, onProblem: () => undefined });
    await expect(opening).rejects.toThrow('there is no socket');
  });
});

const place = { nodeName: 'worker-1', hostIPs: [], podIPs: ['10.244.1.5'], ownImages: true };

describe('a container for a runtime with images', () => {
  test('leaves to the image what the pod does not say', () => {
    const launch = launchSpec(
      pod(),
      container('main', { image: 'example.com/app:1', args: ['--name=$(NAME)'], env: [{ name: 'NAME', value: 'n' }] }),
      place,
    );
    expect(launch).toMatchObject({ image: 'example.com/app:1', command: [], args: ['--name=n'], ownWorkingDir: '', program: undefined });
    expect([...launch.environment]).toEqual([['NAME', 'n']]);
  });

  test('is asked for with volumes, name files, labels and its security context', () => {
    const securityContext = {
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      runAsUser: 0,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
    };
    const spec = {
      securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000 },
      hostPID: true,
      containers: [{ ...container('main'), securityContext }],
    };
    const made = pod(spec as never);
    const sandbox = {
      pod: { namespace: 'default', name: 'web', uid: 'u1' },
      hostname: 'web',
      hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }],
      annotations: { a: 'b' },
      sharing: podSharing(made),
    };
    const launch = { ...launchSpec(made, made.spec.containers[0]!, place), mounts: [{ source: '/s', target: '/t', readOnly: true }] };
    const config = containerConfig({ sandbox, attempt: 2, last: undefined, launch, files: { hosts: 'x' } }, '/etc-of-pod', 'main.2.log');
    expect(config).toMatchObject({
      metadata: { name: 'main', attempt: 2 },
      mounts: [
        { containerPath: '/etc/hosts', hostPath: '/etc-of-pod/hosts', readonly: false },
        { containerPath: '/t', hostPath: '/s', readonly: true },
      ],
      labels: { 'io.kubernetes.pod.uid': 'u1', 'io.kubernetes.container.name': 'main' },
      logPath: 'main.2.log',
      linux: {
        securityContext: {
          capabilities: { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] },
          namespaceOptions: { network: 'POD', pid: 'NODE', ipc: 'POD' },
          runAsUser: { value: '0' },
          runAsGroup: { value: '2000' },
          supplementalGroups: ['3000'],
          readonlyRootfs: true,
          noNewPrivs: true,
        },
      },
    });
    expect(sandboxConfig(sandbox, 1, '/logs')).toMatchObject({
      metadata: { name: 'web', uid: 'u1', namespace: 'default', attempt: 1 },
      hostname: 'web',
      logDirectory: '/logs',
      portMappings: [{ protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' }],
      annotations: { a: 'b' },
    });
    expect(sandboxConfig({ ...sandbox, sharing: { ...sandbox.sharing, hostNetwork: true } }, 0, '/logs')).toMatchObject({
      hostname: '',
      linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
    });
    expect(containerSecurity(pod(), container('main'))).toMatchObject({
      privileged: false,
      allowPrivilegeEscalation: true,
      runAsUser: undefined,
    });
  });

  test('waits for its image without a word, and says why it cannot have it', () => {
    const wanted = (kind: 'pending' | 'never' | 'image') => facts({ configProblems: new Map([['main', { kind, message: 'why' }]]) });
    const [waiting, nothing] = step(initialPodState, wanted('pending'));
    expect(nothing).toEqual([]);
    expect(deeds(step(waiting, facts())[1])).toEqual(['start main 0']);
    const [refused, told] = step(waiting, wanted('never'));
    expect(reasons(told)).toEqual(['Failed']);
    expect(podStatus(refused, wanted('never'), { nodeIPs: [] }, undefined).containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'ErrImageNeverPull', message: 'why' },
    });
  });

  test('is shown by the names that the runtime has for it', () => {
    const run = { attempt: 0, phase: 'running' as const, startedAt: 0, id: 'containerd://abc', imageID: 'sha256:def' };
    const known = facts({ pod: pod({ containers: [container('main', { image: 'example.com/app:1' })] }), runs: new Map([['main', run]]) });
    expect(podStatus(initialPodState, known, { nodeIPs: [] }, undefined).containerStatuses).toMatchObject([
      { image: 'example.com/app:1', imageID: 'sha256:def', containerID: 'containerd://abc' },
    ]);
  });
});

describe('what a runtime shows', () => {
  const shown = {
    id: 'abc',
    metadata: { name: 'main', attempt: 3 },
    imageRef: 'sha256:def',
    labels: {},
    createdAt: '1',
    startedAt: '1700000000123456789',
    finishedAt: '1700000001999999999',
    exitCode: 3,
    reason: 'Error',
    message: '',
  };

  test('becomes a run, with times in milliseconds', () => {
    const of = { attempt: 3, id: 'containerd://abc', imageID: 'sha256:def', startedAt: 1_700_000_000_123 };
    expect(runOf({ ...shown, state: 'CONTAINER_RUNNING' }, 'containerd')).toEqual({ ...of, phase: 'running' });
    expect(runOf({ ...shown, state: 'CONTAINER_EXITED' }, 'containerd')).toEqual({
      ...of,
      phase: 'exited',
      exitCode: 3,
      finishedAt: 1_700_000_001_999,
    });
    expect(runOf({ ...shown, state: 'CONTAINER_EXITED', reason: 'OOMKilled' }, 'containerd')).toMatchObject({ reason: 'OOMKilled' });
    expect(runOf({ ...shown, state: 'CONTAINER_UNKNOWN', finishedAt: '0' }, 'containerd')).toMatchObject({
      phase: 'exited',
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    });
  });

  test('is no news when it is older than what is known', () => {
    const run = (attempt: number, phase: 'starting' | 'running' | 'exited') => ({ attempt, phase });
    expect(isLater(run(0, 'running'), undefined)).toBe(true);
    expect(isLater(run(0, 'running'), run(0, 'exited'))).toBe(false);
    expect(isLater(run(0, 'exited'), run(1, 'starting'))).toBe(false);
    expect(isLater(run(1, 'starting'), run(0, 'exited'))).toBe(true);
  });

  test('has addresses only while its network stands', () => {
    const sandbox = {
      id: 'x',
      metadata: null,
      createdAt: '1',
      labels: {},
      network: { ip: '10.0.0.1', additionalIps: [{ ip: 'fd00::1' }] },
    };
    expect(addressesOf({ ...sandbox, state: 'SANDBOX_READY' })).toEqual(['10.0.0.1', 'fd00::1']);
    expect(addressesOf({ ...sandbox, state: 'SANDBOX_NOTREADY' })).toBeUndefined();
    expect(addressesOf({ ...sandbox, state: 'SANDBOX_READY', network: { ip: '', additionalIps: [] } })).toBeUndefined();
  });
});
