import { Registry } from 'prom-client';
import { startControllers } from '../../src/controllers/daemon.ts';
import type { ClusterConnection } from '../../src/cli/daemon-command.ts';
import type { ControllersOptions } from '../../src/controllers/index.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import {
  type Deployment,
  type KubeObject,
  type Lease,
  type Node,
  objectKey,
  type Pod,
  type Resource,
  resources,
  type Service,
} from '../../src/objects/index.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';

/** A cluster with the controllers running on it; pods are run by `runPods`, which stands in for the pod runner. */
export async function startCluster(options: Partial<ControllersOptions> = {}, clock: Clock = systemClock) {
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, clock);
  const context = { log: silentLogger(), clock, metrics: new Registry(), health: createHealth() };
  const start = (metrics: Registry) => startControllers({ leaderElect: false, ...options }, { client, cluster }, { ...context, metrics });
  let daemon = await start(context.metrics);
  const list = <T extends KubeObject>(resource: Resource<T>, namespace?: string): T[] =>
    [...cluster.informer(resource).store.values()].filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace);
  return {
    cluster,
    client,
    context,
    list,
    /** Stops the controllers and starts others. */
    async restart() {
      await daemon.stop();
      daemon = await start(new Registry());
    },
    daemon: { stop: () => daemon.stop() },
    get: <T extends KubeObject>(resource: Resource<T>, key: string) => cluster.informer(resource).store.get(key),
  };
}

export type TestCluster = Awaited<ReturnType<typeof startCluster>>;

/** Waits, without guessing how long, until the condition holds. */
export async function until<T>(condition: () => T | undefined | false, what: string, limit = 3_000): Promise<T> {
  const deadline = performance.now() + limit;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${limit} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Lets everything that is under way come to rest. */
export const settle = (milliseconds = 40): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const now = (): string => new Date().toISOString().replace(/\.\d+Z/, 'Z');

export const node = (
  name: string,
  change: { spec?: Node['spec']; ready?: 'True' | 'False' | 'Unknown'; allocatable?: Record<string, string> } = {},
): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, uid: `node-${name}`, resourceVersion: '1', creationTimestamp: now() },
  spec: change.spec ?? {},
  status: {
    conditions: [{ type: 'Ready', status: change.ready ?? 'True', lastTransitionTime: now() }],
    ...(change.allocatable ? { allocatable: change.allocatable } : {}),
  },
});

export const lease = (name: string, renewTime = new Date().toISOString().replace('Z', '000Z')): Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, namespace: 'kube-node-lease', uid: `lease-${name}`, resourceVersion: renewTime.replace(/\D/g, '') },
  spec: { holderIdentity: name, leaseDurationSeconds: 10, renewTime },
});

export const deployment = (name: string, replicas: number, change: Partial<Deployment['spec']> & { image?: string } = {}): Deployment => {
  const { image = 'nginx', ...spec } = change;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image }] } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
    },
  };
};

export const service = (name: string, change: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: {
    type: 'ClusterIP',
    selector: { app: name },
    clusterIP: '10.96.0.20',
    clusterIPs: ['10.96.0.20', 'fd00:10:96::20'],
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
    ...change,
  },
});

/** Runs bound pods at once and ends deleted ones, as a pod runner would. `isHealthy` decides whether a pod becomes ready. */
export function runPods(
  { cluster, client }: Pick<ClusterConnection, 'cluster' | 'client'>,
  isHealthy: (pod: Pod) => boolean = () => true,
): () => void {
  let next = 1;
  const informer = cluster.informer(resources.pods);
  const look = (pod: Pod | undefined): void => {
    if (!pod?.spec.nodeName) return;
    const { name, namespace } = pod.metadata;
    if (pod.metadata.deletionTimestamp)
      return void client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 }).catch(() => {});
    if (pod.status?.podIP) return;
    const number = next++;
    const conditions = [
      ...(pod.status?.conditions ?? []),
      { type: 'Ready', status: isHealthy(pod) ? ('True' as const) : ('False' as const), lastTransitionTime: now() },
    ];
    const ips = [{ ip: `10.244.0.${number}` }, { ip: `fd00:10:244::${number.toString(16)}` }];
    client
      .patch(
        resources.pods,
        name,
        namespace,
        'merge',
        { status: { phase: 'Running', podIP: ips[0]!.ip, podIPs: ips, conditions } },
        'status',
      )
      .catch(() => {});
  };
  for (const pod of informer.store.values()) look(pod);
  return informer.onChange((_before, after) => queueMicrotask(() => look(after && informer.store.get(objectKey(after)))));
}
