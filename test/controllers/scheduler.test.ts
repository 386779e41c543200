import { afterEach, describe, expect, test } from 'vitest';
import { createStaticView, schedulerController } from '../../src/controllers/index.ts';
import { parseQuantity } from '../../src/controllers/scheduler/requests.ts';
import { type KubeObject, type Node, type Pod, resources } from '../../src/objects/index.ts';
import { node, settle, startCluster, type TestCluster, until } from './harness.ts';

const pod = (name: string, spec: Partial<Pod['spec']> & { requests?: Record<string, string> } = {}, owner?: string): Pod => {
  const { requests, ...rest } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      ...(owner ? { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] } : {}),
    },
    spec: { containers: [{ name: 'main', ...(requests ? { resources: { requests } } : {}) }], ...rest } as Pod['spec'],
    status: { phase: 'Pending' },
  };
};
const decide = (wanted: Pod, ...others: KubeObject[]) =>
  schedulerController.reconcile(`default/${wanted.metadata.name}`, createStaticView([wanted, ...others], 0), undefined).actions;
const chosen = (wanted: Pod, ...others: KubeObject[]): string => {
  const [action] = decide(wanted, ...others);
  if (action?.do === 'bind') return action.node.metadata.name;
  if (action?.do === 'patch')
    return (action.patch as { status: Pod['status'] }).status!.conditions!.find(({ type }) => type === 'PodScheduled')!.message!;
  return 'nothing';
};
const tainted = (name: string, effect: 'NoSchedule' | 'NoExecute' | 'PreferNoSchedule'): Node =>
  node(name, { spec: { taints: [{ key: 'gpu', value: 'yes', effect }] } });

describe('filtering', () => {
  test('says for every node why it does not fit, counted and sorted', () => {
    const nodes = [
      node('a', { ready: 'False' }),
      node('b', { spec: { unschedulable: true } }),
      tainted('c', 'NoSchedule'),
      node('d'),
      node('e', { allocatable: { cpu: '1' } }),
    ];
    expect(chosen(pod('p', { nodeSelector: { disk: 'ssd' } }), ...nodes)).toBe(
      "0/5 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.",
    );
    expect(chosen(pod('p'))).toBe('no nodes available to schedule pods');
  });

  test('tolerations let a pod onto tainted, cordoned and unready nodes', () => {
    expect(
      chosen(
        pod('p', { tolerations: [{ key: 'gpu', operator: 'Equal', value: 'yes', effect: 'NoSchedule' }] }),
        tainted('c', 'NoSchedule'),
      ),
    ).toBe('c');
    expect(
      chosen(pod('p', { tolerations: [{ operator: 'Exists' }] }), node('b', { spec: { unschedulable: true }, ready: 'Unknown' })),
    ).toBe('b');
    expect(
      chosen(pod('p', { tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }] }), tainted('c', 'NoExecute')),
    ).toContain('untolerated taint');
  });

  test('requests are held against what pods on the node ask already, host ports against theirs', () => {
    const small = node('a', { allocatable: { cpu: '1', memory: '1Gi', pods: '2' } });
    const used = pod('u', { nodeName: 'a', requests: { cpu: '600m', memory: '100Mi' }, containers: undefined as never });
    used.spec.containers = [
      { name: 'm', ports: [{ containerPort: 80, hostPort: 8080 }], resources: { requests: { cpu: '600m', memory: '100Mi' } } } as never,
    ];
    expect(chosen(pod('p', { requests: { cpu: '400m', memory: '900Mi' } }), small, used)).toBe('a');
    expect(chosen(pod('p', { requests: { cpu: '401m', memory: '2Gi' } }), small, used)).toBe(
      '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    );
    expect(chosen(pod('p'), small, used, { ...used, metadata: { ...used.metadata, name: 'v', uid: 'v' } })).toBe(
      '0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
    );
    const clash = pod('p', { containers: [{ name: 'm', ports: [{ containerPort: 1, hostPort: 8080, hostIP: '127.0.0.1' }] }] });
    expect(chosen(clash, small, used)).toContain("didn't have free ports");
    expect(
      chosen(
        { ...clash, spec: { containers: [{ name: 'm', ports: [{ containerPort: 1, hostPort: 8080, protocol: 'UDP' }] }] } },
        small,
        used,
      ),
    ).toBe('a');
  });
});

describe('affinity', () => {
  const zoned = (name: string, zone: string, labels: Record<string, string> = {}): Node => {
    const made = node(name);
    return { ...made, metadata: { ...made.metadata, labels: { 'topology.kubernetes.io/zone': zone, ...labels } } };
  };
  const labelled = (name: string, app: string, spec: Partial<Pod['spec']> = {}): Pod => {
    const made = pod(name, spec);
    return { ...made, metadata: { ...made.metadata, labels: { app } } };
  };
  const byZone = (app: string) => ({ labelSelector: { matchLabels: { app } }, topologyKey: 'topology.kubernetes.io/zone' });
  const requiring = (term: object): Pod['spec']['affinity'] =>
    ({ nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } } }) as Pod['spec']['affinity'];
  const nodes = [zoned('a', 'z1', { cores: '4' }), zoned('b', 'z1', { cores: '16' }), zoned('c', 'z2', { cores: 'many', gpu: '' })];

  test('required node affinity: every operator, terms are alternatives, an empty term matches nothing', () => {
    const where = (...matchExpressions: object[]) => chosen(pod('p', { affinity: requiring({ matchExpressions })! }), ...nodes);
    expect(where({ key: 'topology.kubernetes.io/zone', operator: 'In', values: ['z2', 'z3'] })).toBe('c');
    expect(where({ key: 'topology.kubernetes.io/zone', operator: 'NotIn', values: ['z1'] })).toBe('c');
    expect(where({ key: 'gpu', operator: 'Exists' })).toBe('c');
    expect(where({ key: 'gpu', operator: 'DoesNotExist' })).toBe('a');
    expect(where({ key: 'cores', operator: 'Gt', values: ['4'] })).toBe('b');
    expect(where({ key: 'cores', operator: 'Lt', values: ['16'] })).toBe('a');
    expect(where()).toContain("3 node(s) didn't match Pod's node affinity/selector");
  });

  test('affinity that names nodes looks at no others', () => {
    const only = (name: string) => requiring({ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] })!;
    expect(chosen(pod('p', { affinity: only('b') }), ...nodes)).toBe('b');
    const full = node('b', { allocatable: { pods: '0' } });
    expect(chosen(pod('p', { affinity: only('b') }), nodes[0]!, full, nodes[2]!)).toBe(
      "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
    );
  });

  test('preferred node affinity outweighs an emptier node', () => {
    const preference = { matchExpressions: [{ key: 'cores', operator: 'In' as const, values: ['16'] }] };
    const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, preference }] } };
    expect(chosen(pod('p', { affinity }), ...nodes, pod('1', { nodeName: 'b' }))).toBe('b');
  });

  test('required pod affinity follows; the first of a group that wants itself may go anywhere; without a match all must wait', () => {
    const near = (app: string) => ({ podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [byZone(app)] } });
    expect(chosen(labelled('p', 'web', { affinity: near('db') }), ...nodes, labelled('1', 'db', { nodeName: 'c' }))).toBe('c');
    expect(chosen(labelled('p', 'db', { affinity: near('db') }), ...nodes)).toBe('a');
    expect(chosen(labelled('p', 'web', { affinity: near('db') }), ...nodes)).toBe(
      "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    );
    const other = { ...labelled('1', 'db', { nodeName: 'c' }), metadata: { name: '1', namespace: 'shop', labels: { app: 'db' } } };
    expect(chosen(labelled('p', 'web', { affinity: near('db') }), ...nodes, other)).toContain("didn't match pod affinity rules");
    const anywhere = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ ...byZone('db'), namespaceSelector: {} }] } };
    expect(chosen(labelled('p', 'web', { affinity: anywhere }), ...nodes, other)).toBe('c');
  });

  test('anti-affinity holds both ways, and preferences pull and push', () => {
    const far = (app: string) => ({ podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [byZone(app)] } });
    expect(chosen(labelled('p', 'web', { affinity: far('db') }), ...nodes, labelled('1', 'db', { nodeName: 'a' }))).toBe('c');
    const guards = ['a', 'c'].map((name) => labelled(name, 'db', { nodeName: name, affinity: far('web') }));
    expect(chosen(labelled('p', 'web'), ...nodes, ...guards)).toContain("3 node(s) didn't satisfy existing pods anti-affinity rules");
    const prefer = (weight: number) => [{ weight, podAffinityTerm: byZone('db') }];
    const db = labelled('1', 'db', { nodeName: 'c' });
    const pulled = { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: prefer(50) } };
    expect(chosen(labelled('p', 'web', { affinity: pulled }), ...nodes, db)).toBe('c');
    const pushed = { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: prefer(50) } };
    expect(chosen(labelled('p', 'web', { affinity: pushed }), ...nodes, labelled('1', 'db', { nodeName: 'a' }))).toBe('c');
  });

  test('topology spread: no domain gets more than maxSkew over the emptiest; minDomains and a missing label count', () => {
    const constraint = {
      maxSkew: 1,
      topologyKey: 'topology.kubernetes.io/zone',
      whenUnsatisfiable: 'DoNotSchedule' as const,
      labelSelector: { matchLabels: { app: 'web' } },
    };
    const wish = labelled('p', 'web', { topologySpreadConstraints: [constraint] });
    const there = labelled('1', 'web', { nodeName: 'a' });
    expect(chosen(wish, ...nodes, there)).toBe('c');
    expect(chosen(wish, nodes[0]!, nodes[1]!, node('x'), there)).toBe('b');
    const wide = labelled('p', 'web', { topologySpreadConstraints: [{ ...constraint, minDomains: 3 }] });
    expect(chosen(wide, nodes[0]!, node('x'), there)).toBe(
      "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label). preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
    );
    const soft = labelled('p', 'web', { topologySpreadConstraints: [{ ...constraint, whenUnsatisfiable: 'ScheduleAnyway' }] });
    expect(chosen(soft, ...nodes, there, labelled('2', 'other', { nodeName: 'c' }))).toBe('c');
  });

  test('gates keep a pod out of scheduling and say so; another scheduler is left its pods; claims are not to be had', () => {
    const [told, ...rest] = decide(pod('p', { schedulingGates: [{ name: 'x' }] }), ...nodes);
    expect(rest).toEqual([]);
    expect(told).toMatchObject({
      do: 'patch',
      patch: {
        status: { conditions: [{ reason: 'SchedulingGated', message: 'Scheduling is blocked due to non-empty scheduling gates' }] },
      },
    });
    expect(decide(pod('p', { schedulerName: 'mine' }), ...nodes)).toEqual([]);
    const claiming = pod('p', { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] } as Partial<Pod['spec']>);
    expect(chosen(claiming, ...nodes)).toBe(
      '0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.',
    );
  });

  test('extended resources and sidecars count, and what a node does not name it does not have', () => {
    const rich = node('rich', { allocatable: { cpu: '2', 'example.com/fpga': '1' } });
    expect(chosen(pod('p', { requests: { 'example.com/fpga': '1' } }), node('a'), rich)).toBe('rich');
    expect(
      chosen(
        pod('p', { requests: { 'example.com/fpga': '1' } }),
        rich,
        pod('u', { nodeName: 'rich', requests: { 'example.com/fpga': '1' } }),
      ),
    ).toContain('1 Insufficient example.com/fpga');
    const sidecar = { name: 'side', restartPolicy: 'Always', resources: { requests: { cpu: '1500m' } } } as never;
    expect(chosen(pod('p', { requests: { cpu: '600m' }, initContainers: [sidecar] }), rich)).toContain('1 Insufficient cpu');
    expect(chosen(pod('p', { requests: { cpu: '500m' }, initContainers: [sidecar] }), rich)).toBe('rich');
  });
});

describe('scoring', () => {
  test('pods of one owner spread, then the emptier node wins, then the name; unwelcome taints come last', () => {
    const nodes = [node('a'), node('b'), node('c')];
    expect(
      chosen(
        pod('p', {}, 'rs'),
        ...nodes,
        pod('1', { nodeName: 'a' }, 'rs'),
        pod('2', { nodeName: 'b' }, 'other'),
        pod('3', { nodeName: 'b' }, 'other'),
      ),
    ).toBe('c');
    expect(
      chosen(
        pod('p', {}, 'rs'),
        ...nodes,
        pod('1', { nodeName: 'a' }, 'rs'),
        pod('3', { nodeName: 'c' }, 'rs'),
        pod('2', { nodeName: 'b' }, 'x'),
      ),
    ).toBe('b');
    expect(chosen(pod('p'), ...nodes)).toBe('a');
    expect(chosen(pod('p'), tainted('a', 'PreferNoSchedule'), node('b'), pod('1', { nodeName: 'b' }))).toBe('b');
  });

  test('quantities read as in the reference', () => {
    expect(['100m', '1.5', '1Ki', '2M', '1e3', '5E', '.5'].map(parseQuantity)).toEqual([0.1, 1.5, 1024, 2e6, 1000, 5e18, 0.5]);
    expect(['', 'x', '1 Gi', '1K', '--1'].map(parseQuantity)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });
});

const fresh = ({ metadata: { uid: _uid, resourceVersion: _revision, ...metadata }, ...rest }: Pod): Pod => ({ ...rest, metadata });

describe('with a cluster', () => {
  let cluster: TestCluster;
  afterEach(() => cluster.daemon.stop());

  test('a pod that fits nowhere gets the reason as condition and event, once, and is bound when a node comes', async () => {
    cluster = await startCluster();
    await cluster.client.create(resources.pods, fresh(pod('p')));
    const reason = await until(
      () => cluster.get(resources.pods, 'default/p')!.status!.conditions?.find(({ type }) => type === 'PodScheduled'),
      'it has a condition',
    );
    expect(reason).toMatchObject({ status: 'False', reason: 'Unschedulable', message: 'no nodes available to schedule pods' });
    cluster.cluster.set(resources.nodes, node('a', { ready: 'False' }));
    await until(() => cluster.get(resources.pods, 'default/p')!.status!.conditions![0]!.message?.startsWith('0/1'), 'the reason changes');
    await settle();
    expect(cluster.client.writes.filter((write) => write.startsWith('patch pods/status'))).toHaveLength(2);
    expect(cluster.list(resources.events).filter(({ reason: why }) => why === 'FailedScheduling')).toHaveLength(2);
    cluster.cluster.set(resources.nodes, node('a'));
    await until(() => cluster.get(resources.pods, 'default/p')!.spec.nodeName === 'a', 'it is bound');
  });

  test('decisions made before the watch shows earlier ones still spread', async () => {
    cluster = await startCluster();
    for (const name of ['a', 'b', 'c']) cluster.cluster.set(resources.nodes, node(name));
    await settle();
    cluster.client.hold();
    for (let index = 0; index < 9; index++) cluster.cluster.set(resources.pods, pod(`p${index}`, {}, 'rs'));
    await until(() => cluster.client.writes.filter((write) => write.startsWith('create pods/binding')).length === 9, 'nine bindings');
    cluster.client.release();
    const perNode = Map.groupBy(cluster.list(resources.pods), ({ spec }) => spec.nodeName);
    expect([...perNode.values()].map((pods) => pods.length)).toEqual([3, 3, 3]);
  });

  test('a binding that is refused takes nothing from the node and is tried again', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.nodes, node('a', { allocatable: { pods: '1' } }));
    const heal = cluster.client.failWhen((write) => (write.includes('binding') ? new Error('no connection') : undefined));
    await cluster.client.create(resources.pods, fresh(pod('p')));
    await settle(60);
    expect(cluster.get(resources.pods, 'default/p')!.spec.nodeName).toBeUndefined();
    heal();
    await until(() => cluster.get(resources.pods, 'default/p')!.spec.nodeName === 'a', 'it is bound');
  });
});
