import { describe, expect, it } from 'vitest';
import { type AnyObject, kinds } from '../../src/objects/index.ts';
import { humanDuration } from '../../src/objects/print/duration.ts';

const now = Date.parse('2026-01-01T12:00:00Z');

/** The cells of a row; the name is `web` and the age 5m unless the object says otherwise. */
function row(name: string, fields: object, { wide = false, metadata = {} as object } = {}): unknown[] {
  const kind = kinds.find(({ resource }) => resource.kind === name)!;
  const object = { metadata: { name: 'web', creationTimestamp: '2026-01-01T11:30:00Z', ...metadata }, ...fields } as AnyObject;
  return kind.columns.filter(({ priority }) => wide || priority === 0).map((column) => column.cell(object, now));
}

const header = (name: string, priority: 0 | 1) =>
  kinds
    .find(({ resource }) => resource.kind === name)!
    .columns.filter((column) => column.priority === priority)
    .map((column) => column.name.toUpperCase())
    .join(' ');

describe('headers', () => {
  it.each([
    ['Pod', 'NAME READY STATUS RESTARTS AGE', 'IP NODE NOMINATED NODE READINESS GATES'],
    ['Node', 'NAME STATUS ROLES AGE VERSION', 'INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME'],
    ['Service', 'NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE', 'SELECTOR'],
    ['Deployment', 'NAME READY UP-TO-DATE AVAILABLE AGE', 'CONTAINERS IMAGES SELECTOR'],
    ['ReplicaSet', 'NAME DESIRED CURRENT READY AGE', 'CONTAINERS IMAGES SELECTOR'],
    ['EndpointSlice', 'NAME ADDRESSTYPE PORTS ENDPOINTS AGE', ''],
    ['Endpoints', 'NAME ENDPOINTS AGE', ''],
    ['NetworkPolicy', 'NAME POD-SELECTOR AGE', ''],
    ['Namespace', 'NAME STATUS AGE', ''],
    ['Lease', 'NAME HOLDER AGE', ''],
    ['ConfigMap', 'NAME DATA AGE', ''],
    ['ServiceAccount', 'NAME SECRETS AGE', ''],
    ['Event', 'LAST SEEN TYPE REASON OBJECT MESSAGE', 'SUBOBJECT SOURCE FIRST SEEN COUNT NAME'],
  ])('%s: %s', (kind, normal, wide) => {
    expect(header(kind, 0)).toBe(normal);
    expect(header(kind, 1)).toBe(wide);
  });
});

describe('pods', () => {
  const container = (state: object, more: object = {}) => ({ name: 'a', ready: false, restartCount: 0, state, ...more });
  const pod = (status: object, spec: object = {}) => ({ spec: { containers: [{ name: 'a' }], ...spec }, status });
  const running = container({ running: {} }, { ready: true });

  it.each([
    ['waiting to be scheduled', pod({ phase: 'Pending' }), {}, '0/1', 'Pending'],
    [
      'being made',
      pod({ phase: 'Pending', containerStatuses: [container({ waiting: { reason: 'ContainerCreating' } })] }),
      {},
      '0/1',
      'ContainerCreating',
    ],
    ['running', pod({ phase: 'Running', containerStatuses: [running] }), {}, '1/1', 'Running'],
    [
      'crashing',
      pod({ phase: 'Running', containerStatuses: [container({ waiting: { reason: 'CrashLoopBackOff' } })] }),
      {},
      '0/1',
      'CrashLoopBackOff',
    ],
    [
      'done',
      pod({ phase: 'Succeeded', containerStatuses: [container({ terminated: { exitCode: 0, reason: 'Completed' } })] }),
      {},
      '0/1',
      'Completed',
    ],
    [
      'failed without reason',
      pod({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 3 } })] }),
      {},
      '0/1',
      'ExitCode:3',
    ],
    [
      'killed by a signal',
      pod({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 137, signal: 9 } })] }),
      {},
      '0/1',
      'Signal:9',
    ],
    ['evicted', pod({ phase: 'Failed', reason: 'Evicted' }), {}, '0/1', 'Evicted'],
    ['going', pod({ phase: 'Running', containerStatuses: [running] }), { deletionTimestamp: '2026-01-01T12:00:00Z' }, '1/1', 'Terminating'],
    ['gone with its node', pod({ phase: 'Running', reason: 'NodeLost' }), { deletionTimestamp: '2026-01-01T12:00:00Z' }, '0/1', 'Unknown'],
    [
      'in its second init container',
      pod(
        {
          phase: 'Pending',
          initContainerStatuses: [
            { name: 'i', state: { terminated: { exitCode: 0 } } },
            { name: 'j', state: { running: {} } },
          ],
        },
        { initContainers: [{ name: 'i' }, { name: 'j' }] },
      ),
      {},
      '0/1',
      'Init:1/2',
    ],
    [
      'failing to initialize',
      pod(
        { phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { terminated: { exitCode: 1 } } }] },
        { initContainers: [{ name: 'i' }] },
      ),
      {},
      '0/1',
      'Init:ExitCode:1',
    ],
    [
      'with one container done and one running but not ready',
      pod(
        { phase: 'Running', containerStatuses: [container({ terminated: { exitCode: 0, reason: 'Completed' } }), running] },
        { containers: [{}, {}] },
      ),
      {},
      '1/2',
      'NotReady',
    ],
  ])('%s', (_, fields, metadata, ready, status) => {
    expect(row('Pod', fields, { metadata }).slice(0, 3)).toEqual(['web', ready, status]);
  });

  it('restarts tell when the last one was', () => {
    const lastState = { terminated: { exitCode: 1, finishedAt: '2026-01-01T11:58:00Z' } };
    expect(row('Pod', pod({ phase: 'Running', containerStatuses: [container({ running: {} }, { restartCount: 2, lastState })] }))[3]).toBe(
      '2 (2m ago)',
    );
  });

  it('wide shows address, node and gates', () => {
    const fields = pod(
      { phase: 'Running', podIPs: [{ ip: '10.244.1.2' }], conditions: [{ type: 'x', status: 'True' }] },
      { nodeName: 'worker-1', readinessGates: [{ conditionType: 'x' }, { conditionType: 'y' }] },
    );
    expect(row('Pod', fields, { wide: true }).slice(4)).toEqual(['30m', '10.244.1.2', 'worker-1', '<none>', '1/2']);
  });
});

describe('the others', () => {
  it('nodes', () => {
    const node = {
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        nodeInfo: { kubeletVersion: 'v1.33.0' },
        addresses: [{ type: 'InternalIP', address: '192.168.88.11' }],
      },
    };
    const metadata = { labels: { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' } };
    expect(row('Node', node, { metadata })).toEqual(['web', 'Ready,SchedulingDisabled', 'control-plane,worker', '30m', 'v1.33.0']);
    expect(row('Node', node, { wide: true }).slice(5)).toEqual(['192.168.88.11', '<none>', '<unknown>', '<unknown>', '<unknown>']);
    expect(row('Node', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } })[1]).toBe('NotReady');
  });

  it('services', () => {
    const spec = {
      type: 'NodePort',
      clusterIPs: ['10.96.1.1'],
      ports: [
        { port: 80, nodePort: 30_080, protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
      selector: { b: '2', a: '1' },
    };
    expect(row('Service', { spec }, { wide: true })).toEqual([
      'web',
      'NodePort',
      '10.96.1.1',
      '<none>',
      '80:30080/TCP,53/UDP',
      '30m',
      'a=1,b=2',
    ]);
    expect(row('Service', { spec: { type: 'LoadBalancer', clusterIPs: ['None'] } }).slice(2, 5)).toEqual(['None', '<pending>', '<none>']);
    expect(row('Service', { spec: { type: 'ExternalName', externalName: 'example.com' } }).slice(2, 4)).toEqual(['<none>', 'example.com']);
  });

  it('workloads', () => {
    const spec = {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: {
        spec: {
          containers: [
            { name: 'a', image: 'x' },
            { name: 'b', image: 'y' },
          ],
        },
      },
    };
    expect(row('Deployment', { spec, status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 } }, { wide: true })).toEqual([
      'web',
      '2/3',
      3,
      1,
      '30m',
      'a,b',
      'x,y',
      'app=web',
    ]);
    expect(row('ReplicaSet', { spec, status: { replicas: 2 } })).toEqual(['web', 3, 2, 0, '30m']);
  });

  it('endpoints and slices', () => {
    const addresses = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}`);
    const slice = { addressType: 'IPv4', ports: [{ port: 80 }, {}], endpoints: addresses(4).map((address) => ({ addresses: [address] })) };
    expect(row('EndpointSlice', slice)).toEqual(['web', 'IPv4', '80,*', '10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...', '30m']);
    expect(row('EndpointSlice', { addressType: 'IPv6', endpoints: [] }).slice(2, 4)).toEqual(['<unset>', '<unset>']);
    expect(row('Endpoints', { subsets: [{ addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], ports: [{ port: 80 }] }] })[1]).toBe(
      '10.0.0.1:80,[fd00::1]:80',
    );
    expect(row('Endpoints', {})[1]).toBe('<none>');
  });

  it('policies, events, config maps', () => {
    expect(row('NetworkPolicy', { spec: { podSelector: {} } })).toEqual(['web', '<none>', '30m']);
    expect(
      row('Event', {
        involvedObject: { kind: 'Pod', name: 'p' },
        type: 'Normal',
        reason: 'Started',
        message: ' it began\n',
        lastTimestamp: '2026-01-01T11:59:50Z',
      }),
    ).toEqual(['10s', 'Normal', 'Started', 'pod/p', 'it began']);
    expect(row('ConfigMap', { data: { a: '', b: '' }, binaryData: { c: '' } })).toEqual(['web', 3, '30m']);
    expect(row('ConfigMap', {}, { metadata: { creationTimestamp: undefined } })[2]).toBe('<unknown>');
  });
});

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;

it.each([
  [-5 * second, '<invalid>'],
  [0, '0s'],
  [119 * second, '119s'],
  [120 * second, '2m'],
  [185 * second, '3m5s'],
  [600 * second, '10m'],
  [3 * hour, '3h'],
  [3 * hour + 60 * second, '3h1m'],
  [8 * hour + 60 * second, '8h'],
  [47 * hour, '47h'],
  [2 * day, '2d'],
  [2 * day + 3 * hour, '2d3h'],
  [8 * day + 3 * hour, '8d'],
  [730 * day, '2y'],
  [731 * day, '2y1d'],
  [10 * 365 * day, '10y'],
])('%d ms is %s', (milliseconds, text) => expect(humanDuration(milliseconds)).toBe(text));
