import { describe, expect, test } from 'vitest';
import { initialPodState, podStatus } from '../../src/pod-runner/index.ts';
import { newer, same, statusPatch } from '../../src/pod-runner/render/status-patch.ts';
import { container, exited, facts, pod, running, runs } from './states.ts';

const place = { nodeIPs: ['192.168.88.12', 'fd00:88::12'] };
const status = (more: Parameters<typeof facts>[0], state = initialPodState) => podStatus(state, facts(more), place, undefined);
const condition = (of: ReturnType<typeof status>, type: string) => of.conditions!.find((found) => found.type === type)!;

describe('pod status', () => {
  test('a running pod is Ready and shows its addresses, primary first', () => {
    const found = status({ runs: runs({ main: running() }) });
    expect(found).toMatchObject({
      phase: 'Running',
      hostIP: '192.168.88.12',
      podIP: '10.244.1.5',
      podIPs: [{ ip: '10.244.1.5' }, { ip: 'fd00:10:244:1::5' }],
      containerStatuses: [
        {
          ready: true,
          started: true,
          restartCount: 0,
          image: 'docker.io/library/nginx:latest',
          state: { running: { startedAt: '1970-01-01T00:16:39Z' } },
        },
      ],
    });
    expect(found.conditions!.map(({ type, status }) => `${type}=${status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ]);
  });

  test('a pod without a network is Pending with its containers being created', () => {
    const found = status({ sandbox: { phase: 'creating' } });
    expect(found).toMatchObject({ phase: 'Pending', containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }] });
    expect(condition(found, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
    });
  });

  test('containers wait for the init containers', () => {
    const found = status({ pod: pod({ initContainers: [container('first')] }), runs: runs({ first: running() }) });
    expect(found).toMatchObject({ phase: 'Pending', containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }] });
    expect(condition(found, 'Initialized')).toMatchObject({ status: 'False', message: 'containers with incomplete status: [first]' });
  });

  test('init containers and those after them wait as PodInitializing until they run', () => {
    const spec = pod({ initContainers: [container('first')] });
    const waiting = { state: { waiting: { reason: 'PodInitializing' } } };
    expect(status({ pod: spec, runs: runs({ first: { attempt: 0, phase: 'starting' } }) })).toMatchObject({
      initContainerStatuses: [waiting],
      containerStatuses: [waiting],
    });
    expect(status({ pod: spec, runs: runs({ first: exited(0), main: { attempt: 0, phase: 'starting' } }) })).toMatchObject({
      containerStatuses: [waiting],
    });
  });

  test('a container that is being started again shows its end, and the restart counts once it runs', () => {
    const state = { containers: { main: { last: exited(3) } } };
    const starting = status({ runs: runs({ main: { attempt: 1, phase: 'starting' } }) }, state);
    expect(starting).toMatchObject({
      phase: 'Running',
      containerStatuses: [{ restartCount: 0, ready: false, state: { terminated: { exitCode: 3, reason: 'Error' } }, lastState: {} }],
    });
    expect(status({ runs: runs({ main: running(1) }) }, state)).toMatchObject({
      containerStatuses: [{ restartCount: 1, ready: true, lastState: { terminated: { exitCode: 3 } } }],
    });
  });

  test('a container without a verdict of its readiness probe is not ready; one of an earlier run does not count', () => {
    const spec = pod({ containers: [container('main', { readinessProbe: { tcpSocket: { port: 80 } } })] });
    const ready = (attempt: number) => new Map([['main', { attempt, started: true, ready: true }]]);
    expect(status({ pod: spec, runs: runs({ main: running(1) }) }).containerStatuses![0]!.ready).toBe(false);
    expect(status({ pod: spec, runs: runs({ main: running(1) }), probes: ready(0) }).containerStatuses![0]!.ready).toBe(false);
    expect(status({ pod: spec, runs: runs({ main: running(1) }), probes: ready(1) }).containerStatuses![0]!.ready).toBe(true);
  });

  test('a container held back shows how it ended last, and the pod stays Running', () => {
    const state = { containers: { main: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } } } };
    const found = status({ runs: runs({ main: exited(2, 1) }) }, state);
    expect(found).toMatchObject({
      phase: 'Running',
      containerStatuses: [
        {
          restartCount: 1,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 2, reason: 'Error' } },
        },
      ],
    });
  });

  test('a finished pod keeps its addresses and is not Ready', () => {
    const previous = status({ runs: runs({ main: running() }) });
    const ended = facts({ sandbox: { phase: 'absent' }, runs: runs({ main: exited(0) }), pod: pod({ restartPolicy: 'Never' }) });
    const found = podStatus({ containers: {}, finished: 'Succeeded' }, ended, place, previous);
    expect(found).toMatchObject({ phase: 'Succeeded', podIP: '10.244.1.5', startTime: previous.startTime });
    expect(condition(found, 'Ready')).toMatchObject({ status: 'False', reason: 'PodCompleted' });
  });

  test('conditions of others stay, and a readiness gate is waited for', () => {
    const gated = pod({ readinessGates: [{ conditionType: 'example.com/ok' }] });
    const open = { type: 'example.com/ok', status: 'True' as const };
    expect(condition(status({ pod: gated, runs: runs({ main: running() }) }), 'Ready').reason).toBe('ReadinessGatesNotReady');
    const previous = { conditions: [open] };
    const found = podStatus(
      initialPodState,
      facts({ pod: { ...gated, status: previous }, runs: runs({ main: running() }) }),
      place,
      previous,
    );
    expect(condition(found, 'Ready').status).toBe('True');
    expect(found.conditions).toContainEqual(open);
  });

  test('a condition that does not change keeps its time', () => {
    const first = status({ runs: runs({ main: running() }) });
    const later = podStatus(initialPodState, facts({ now: 9_000_000, runs: runs({ main: running() }) }), place, first);
    expect(later.conditions).toEqual(first.conditions);
    expect(statusPatch(first, later, 'u1')).toBeUndefined();
  });
});

describe('status patch', () => {
  test('holds what differs, and null for what is no longer there', () => {
    expect(statusPatch({ phase: 'Running', podIP: '10.0.0.1', qosClass: 'BestEffort' }, { phase: 'Failed' }, 'u1')).toEqual({
      metadata: { uid: 'u1' },
      status: { phase: 'Failed', podIP: null },
    });
  });

  test('the order of keys and fields left out by the server make no difference', () => {
    expect(same({ a: 1, b: { c: [1, { d: null }] } }, { b: { c: [1, {}] }, a: 1 })).toBe(true);
    expect(same([1, 2], [2, 1])).toBe(false);
    expect(same({ a: 1 }, [1])).toBe(false);
  });

  test('an older version of an object does not replace a newer one', () => {
    const version = (resourceVersion: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', resourceVersion } });
    expect(newer(version('10'), version('9')).metadata.resourceVersion).toBe('10');
    expect(newer(version('9'), version('10')).metadata.resourceVersion).toBe('10');
    expect(newer(version('x'), version('a')).metadata.resourceVersion).toBe('a');
  });
});
