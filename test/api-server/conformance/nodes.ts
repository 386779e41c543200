import type { KubeClient } from '../../../src/kube/client.ts';
import type { ClusterCache } from '../../../src/kube/cluster-cache.ts';
import { isAlreadyExists } from '../../../src/kube/errors.ts';
import { type Lease, type Node, type Pod, resources, toMicroTime, toTime } from '../../../src/objects/index.ts';

const names = ['conformance-1', 'conformance-2'];
/** Well within any grace period for nodes (ms). */
const heartbeat = 3_000;

/**
 * Stands in for the kubelets: two ready nodes, and every bound pod runs at once, ready and with an address, until it is deleted. Nothing is run
 * behind it. Resolves to what stops it and takes the nodes away.
 */
export async function startNodes(client: KubeClient, cluster: ClusterCache): Promise<() => Promise<void>> {
  for (const name of names) await exists(client.create(resources.nodes, node(name)));
  const renew = (): Promise<unknown> => Promise.all(names.map((name) => renewLease(client, name).catch(() => {})));
  await renew();
  const timer = setInterval(() => void renew(), heartbeat);
  const informer = cluster.informer(resources.pods);
  let last = 0;
  const look = (pod: Pod | undefined): void => {
    if (!pod?.spec.nodeName) return;
    const { name, namespace } = pod.metadata;
    const done = pod.metadata.deletionTimestamp
      ? client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 })
      : !pod.status?.podIP && client.patch(resources.pods, name, namespace, 'strategic', { status: running(pod, ++last) }, 'status');
    if (done) done.catch(() => {});
  };
  for (const pod of informer.store.values()) look(pod);
  const unlisten = informer.onChange((_before, after) => look(after));
  return async () => {
    clearInterval(timer);
    unlisten();
    for (const name of names) await client.delete(resources.nodes, name).catch(() => {});
  };
}

async function exists(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function renewLease(client: KubeClient, name: string): Promise<void> {
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: toMicroTime(Date.now()) };
  const lease: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: 'kube-node-lease' }, spec };
  await exists(client.create(resources.leases, lease));
  await client.patch(resources.leases, name, 'kube-node-lease', 'merge', { spec });
  // For node lifecycle controllers that judge by the status as well.
  await client.patch(resources.nodes, name, undefined, 'strategic', { status: { conditions: [ready()] } }, 'status');
}

const ready = () => ({
  type: 'Ready',
  status: 'True' as const,
  reason: 'KubeletReady',
  message: 'stands in for a kubelet',
  lastHeartbeatTime: toTime(Date.now()),
  lastTransitionTime: toTime(Date.now()),
});

const resourcesOfNode = { cpu: '64', memory: '64Gi', pods: '1000' };

const node = (name: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  spec: {},
  status: {
    capacity: resourcesOfNode,
    allocatable: resourcesOfNode,
    conditions: [ready()],
    addresses: [{ type: 'InternalIP', address: `192.0.2.${name.at(-1)}` }],
  },
});

function running({ spec, metadata }: Pod, number: number) {
  const now = toTime(Date.now());
  const ip = `198.18.${number >> 8}.${number & 255}`;
  const condition = (type: string) => ({ type, status: 'True' as const, lastTransitionTime: now });
  return {
    phase: 'Running' as const,
    startTime: now,
    hostIP: '192.0.2.1',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: ['Initialized', 'Ready', 'ContainersReady'].map(condition),
    containerStatuses: spec.containers.map(({ name, image }) => ({
      name,
      image: image ?? '',
      imageID: '',
      containerID: `stand-in://${metadata.uid}-${name}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    })),
  };
}
