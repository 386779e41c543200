import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { startControllers } from '../../src/controllers/daemon.ts';
import { createClusterCache } from '../../src/kube/cluster-cache.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { startInformer } from '../../src/kube/reflector.ts';
import { resources } from '../../src/objects/index.ts';
import { cleanup, startTestServer, temporaryFolder, testContext } from '../api-server/harness.ts';
import { findKubectls, type Kubectl, kubectlFor } from '../api-server/kubectl-programs.ts';
import { node, runPods, until } from './harness.ts';

const [first] = findKubectls();

describe(`controllers on a real API server, seen through ${first?.name}`, { timeout: 60_000 }, () => {
  let kubectl: Kubectl;

  beforeEach(async () => {
    const api = await startTestServer();
    kubectl = kubectlFor(first!.file, api.url, temporaryFolder());
    const context = { ...testContext(), metrics: new Registry() };
    const client = createKubeClient({ server: api.url } as Parameters<typeof createKubeClient>[0], 'test');
    const cluster = createClusterCache((resource, options) => startInformer({ ...context, client }, resource, options));
    cleanup(() => client.close());
    cleanup(() => cluster.stop());
    const daemon = await startControllers({ leaderElect: false, nodeMonitorGracePeriod: 86_400_000 }, { client, cluster }, context);
    cleanup(() => daemon.stop());
    await cluster.whenSynced();
    for (const name of ['a', 'b', 'c']) {
      const { metadata: _metadata, ...rest } = node(name);
      await client.create(resources.nodes, { ...rest, metadata: { name, labels: { 'kubernetes.io/hostname': name } } });
      await client.patch(resources.nodes, name, undefined, 'merge', { status: rest.status }, 'status');
    }
    cleanup(runPods({ cluster, client }));
    await until(() => cluster.informer(resources.serviceAccounts).store.has('default/default'), 'the default service account is there');
  });

  const ok = async (args: string, input?: string): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args.split(' '), input);
    expect(`${code} ${stderr}`, `kubectl ${args}`).toMatch(/^0 /);
    return stdout;
  };
  const workload = (kind: string, spec: object, image = 'nginx:1'): string =>
    JSON.stringify({
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: 'web', annotations: { 'kubernetes.io/change-cause': `image ${image}` } },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } },
        ...spec,
      },
    });
  const image = (plural: string): Promise<string> => ok(`get ${plural} web -o jsonpath={.spec.template.spec.containers[0].image}`);
  /** Rolls out, goes on to a second image, looks at the history and goes back. */
  async function rolloutAndBack(kind: string, plural: string, spec: object): Promise<void> {
    await ok('apply -f -', workload(kind, spec));
    expect(await ok(`rollout status ${plural}/web --timeout=20s`)).toMatch(/successfully rolled out|roll out complete/);
    await ok('apply -f -', workload(kind, spec, 'nginx:2'));
    expect(await ok(`rollout status ${plural}/web --timeout=20s`)).toMatch(/successfully rolled out|roll out complete/);
    const history = await ok(`rollout history ${plural}/web`);
    expect(history).toMatch(/REVISION +CHANGE-CAUSE\n1 +image nginx:1\n2 +image nginx:2\n/);
    expect(await ok(`rollout history ${plural}/web --revision=1`)).toContain('nginx:1');
    expect(await ok(`rollout undo ${plural}/web`)).toContain('rolled back');
    expect(await ok(`rollout status ${plural}/web --timeout=20s`)).toMatch(/successfully rolled out|roll out complete/);
    expect(await image(plural)).toBe('nginx:1');
    expect(await ok('get pods -o jsonpath={.items[*].spec.containers[0].image}')).toMatch(/^nginx:1( nginx:1)*$/);
    expect(await ok(`rollout history ${plural}/web`)).toMatch(/REVISION +CHANGE-CAUSE\n2 +image nginx:2\n3 +image nginx:1\n/);
  }

  it('rolls a deployment out and back, pauses, resumes and scales it', async () => {
    await rolloutAndBack('Deployment', 'deployment', { replicas: 2 });
    await ok('rollout undo deployment/web --to-revision=2');
    expect(await ok('rollout status deployment/web --timeout=20s')).toContain('successfully rolled out');
    expect(await ok('rollout pause deployment/web')).toContain('paused');
    await ok('set image deployment/web main=nginx:3');
    await ok('scale deployment/web --replicas=3 --current-replicas=2');
    await ok('wait deployment/web --for=jsonpath={.status.availableReplicas}=3 --timeout=20s');
    expect(await ok('get pods -o jsonpath={.items[*].spec.containers[0].image}')).toBe('nginx:2 nginx:2 nginx:2');
    expect(await ok('rollout resume deployment/web')).toContain('resumed');
    expect(await ok('rollout status deployment/web --timeout=20s')).toContain('successfully rolled out');
    expect(await ok('rollout restart deployment/web')).toContain('restarted');
    expect(await ok('rollout status deployment/web --timeout=20s')).toContain('successfully rolled out');
    expect(await ok('describe deployment web')).toMatch(/ScalingReplicaSet +\S+ .*Scaled up replica set web-\S+ from 0 to 2/);
  });

  it('rolls a daemon set out and back', async () => {
    await rolloutAndBack('DaemonSet', 'daemonset', {});
    expect(await ok('get daemonset web')).toMatch(/web +3 +3 +3 +3 +3 +<none>/);
    expect(await ok('get controllerrevisions')).toMatch(/NAME +CONTROLLER +REVISION +AGE\n(web-\S+ +daemonset.apps\/web +[23] +\S+\n){2}/);
    expect(await ok('get daemonset web -o yaml')).toContain('deprecated.daemonset.template.generation: "3"');
  });

  it('rolls a stateful set out and back, and scales it', async () => {
    await rolloutAndBack('StatefulSet', 'statefulset', { replicas: 2, serviceName: 'web' });
    await ok('scale statefulset/web --replicas=3');
    expect(await ok('rollout status statefulset/web --timeout=20s')).toContain('3');
    expect(await ok('get pods -o name')).toBe('pod/web-0\npod/web-1\npod/web-2\n');
  });

  it('deletes with each cascade', async () => {
    await ok('apply -f -', workload('Deployment', { replicas: 1 }));
    await ok('rollout status deployment/web --timeout=20s');
    await ok('delete deployment web --cascade=foreground --timeout=20s');
    expect(await ok('get deployments,replicasets,pods -o name')).toBe('');
    await ok('apply -f -', workload('DaemonSet', {}));
    await ok('rollout status daemonset/web --timeout=20s');
    await ok('delete daemonset web --cascade=orphan');
    expect(await ok('get pods -o name')).toMatch(/^(pod\/web-\S+\n){3}$/);
    expect(await ok('get pods -o jsonpath={.items[*].metadata.ownerReferences}')).toBe('');
    // A set with the same selector takes them in again.
    await ok('apply -f -', workload('DaemonSet', {}));
    await ok('rollout status daemonset/web --timeout=20s');
    expect(await ok('get pods -o name')).toMatch(/^(pod\/web-\S+\n){3}$/);
    await ok('delete daemonset web --cascade=background');
    await ok('wait pod -l app=web --for=delete --timeout=20s');
    await ok('create namespace shop');
    await ok('create deployment web -n shop --image=nginx --replicas=2');
    await ok('rollout status deployment/web -n shop --timeout=20s');
    await ok('delete namespace shop --timeout=20s');
  });
});
