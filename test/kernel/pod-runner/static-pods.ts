import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';

import { resources } from '../../../src/objects/client.ts';
import { eventually, isReady, testNode } from './node.ts';

const node = testNode();
t.teardown(() => node.remove());
const manifest = (port: number) => `
apiVersion: v1
kind: Pod
metadata: { name: agent, namespace: default, labels: { k8s-app: kube-dns }, annotations: { podwire.io/supervised-by: lab } }
spec:
  hostNetwork: true
  containers:
    - name: agent
      image: podwire.io/agent
      readinessProbe: { httpGet: { path: /readyz, port: ${port}, host: 127.0.0.1 }, periodSeconds: 1, failureThreshold: 1 }
`;
const file = join(node.dir, 'manifests', 'agent.yaml');
writeFileSync(file, manifest(18_080));
const runner = await node.start();
t.teardown(() => runner.stop());
const mirror = () => node.pod('agent-worker-1');

t.test('a supervised pod is shown with the addresses of the node, and ready when its probe says so', async (t) => {
  const first = await eventually('the mirror has a status', () => (mirror()?.status?.podIP ? mirror() : undefined));
  t.match(first, {
    metadata: {
      labels: { 'k8s-app': 'kube-dns' },
      annotations: { 'kubernetes.io/config.source': 'file', 'kubernetes.io/config.mirror': /^[0-9a-f]{32}$/ },
    },
    status: { phase: 'Running', podIPs: [{ ip: '127.0.0.1' }, { ip: '::1' }] },
  });
  t.match(first.metadata.ownerReferences, [
    { kind: 'Node', name: 'worker-1', uid: node.cluster.informer(resources.nodes).store.get('worker-1')!.metadata.uid },
  ]);
  t.notOk(isReady(first));
  const server = createServer((_request, response) => response.end('ok'));
  await new Promise<void>((resolve) => void server.listen(18_080, '127.0.0.1', resolve));
  await eventually('the mirror is ready', () => isReady(mirror()));
  server.close();
  server.closeAllConnections();
  await eventually('the mirror is no longer ready', () => !isReady(mirror()));
});

t.test('a mirror that somebody deletes comes back', async () => {
  const { uid } = mirror()!.metadata;
  await node.client.delete(resources.pods, 'agent-worker-1', 'default');
  await eventually('it is there again', () => mirror() && mirror()!.metadata.uid !== uid && mirror()!.status?.podIP);
});

t.test('a changed manifest replaces the mirror, a removed one removes it', async () => {
  const { uid } = mirror()!.metadata;
  writeFileSync(file, manifest(18_081));
  await eventually('another mirror is there', () => mirror() && mirror()!.metadata.uid !== uid && !mirror()!.metadata.deletionTimestamp);
  rmSync(file);
  await eventually('no mirror is left', () => mirror() === undefined);
});

t.test('a static pod with a command runs without the API and ends with its manifest', async (t) => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'sleeper' },
    spec: {
      hostNetwork: true,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'debian', command: ['sleep', '600'] }],
    },
  };
  const json = join(node.dir, 'manifests', 'sleeper.json');
  writeFileSync(json, JSON.stringify(pod));
  await eventually('its mirror is ready', () => isReady(node.pod('sleeper-worker-1')));
  rmSync(json);
  await eventually('its files are gone', () => node.podFiles().length === 0);
  await eventually('its mirror is gone', () => node.pod('sleeper-worker-1') === undefined);
  t.pass();
});
