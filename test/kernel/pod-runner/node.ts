import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { listNetworkNamespaces } from '../../../src/kernel/netns.ts';
import { createFakeClient, type FakeClient } from '../../../src/kube/fake-client.ts';
import { createFakeCluster, type FakeCluster } from '../../../src/kube/fake-cluster.ts';
import { type Container, type Pod, resources } from '../../../src/objects/client.ts';
import { startPodRunner } from '../../../src/pod-runner/daemon.ts';
import type { PodRunnerOptions } from '../../../src/pod-runner/index.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { Daemon, DaemonContext } from '../../../src/runtime/daemon.ts';
import { createHealth } from '../../../src/runtime/health.ts';
import { createLogger, silentLogger } from '../../../src/runtime/log.ts';
import { Registry } from '../../../src/runtime/metrics.ts';

/** The namespace that plays the node, and this process runs in. */
export const namespace = process.env['NODE_NAMESPACE']!;

export interface TestNode {
  readonly dir: string;
  readonly cluster: FakeCluster;
  readonly client: FakeClient;
  readonly options: PodRunnerOptions | (Partial<PodRunnerOptions> & Pick<PodRunnerOptions, 'nodeName' | 'nodeIPs'>);
  /** Starts a pod runner on the node; several, one after the other, are one node's runner being restarted. */
  start(): Promise<Daemon>;
  configureNetwork(): void;
  run(pod: Pod): Promise<Pod>;
  pod(name: string): Pod | undefined;
  /** The file names of the pods, below the root folder. */
  podFiles(): string[];
  podNamespaces(): string[];
  /** What the CNI plugin was asked, one line each. */
  cniRequests(): string[];
  remove(): void;
}

export const newContext = (): DaemonContext => ({
  log: process.env['PODWIRE_TEST_LOG'] ? createLogger({ name: 'test', level: 'debug' }) : silentLogger(),
  clock: systemClock,
  metrics: new Registry(),
  health: createHealth(),
});

export function testNode(dir = mkdtempSync(join(tmpdir(), `podwire-${namespace}-`))): TestNode {
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, systemClock);
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  copyFileSync(join(import.meta.dirname, 'test-cni.sh'), join(bin, 'test-cni'));
  chmodSync(join(bin, 'test-cni'), 0o755);
  const manifests = join(dir, 'manifests');
  mkdirSync(manifests, { recursive: true });
  const options = {
    nodeName: 'worker-1',
    nodeIPs: ['127.0.0.1', '::1'],
    nodeLabels: { zone: 'test' },
    clusterDNS: ['10.96.0.10'],
    rootDir: join(dir, 'root'),
    cniConfDir: join(dir, 'net.d'),
    cniBinDirs: [bin],
    podManifestPath: manifests,
    netnsPrefix: namespace,
    nodeLeaseDurationSeconds: 8,
  };
  const pods = join(options.rootDir, 'pods');
  return {
    dir,
    cluster,
    client,
    options,
    start: () => startPodRunner(options, { client, cluster, runner: systemRunner }, newContext()),
    configureNetwork() {
      mkdirSync(options.cniConfDir, { recursive: true });
      writeFileSync(
        join(options.cniConfDir, '10-test.conflist'),
        JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'test-cni', capabilities: { portMappings: true } }] }),
      );
    },
    async run(pod) {
      const made = await client.create(resources.pods, pod);
      return made;
    },
    pod: (name) => cluster.informer(resources.pods).store.get(`default/${name}`),
    podFiles: () => (existsSync(pods) ? readdirSync(pods, { recursive: true }).map(String) : []),
    podNamespaces: () => listNetworkNamespaces().filter((name) => name.startsWith(`${namespace}.`)),
    cniRequests: () => (existsSync(join(bin, 'requests.log')) ? readFileSync(join(bin, 'requests.log'), 'utf8').trim().split('\n') : []),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export const podOf = (name: string, container: Partial<Container>, spec: Partial<Pod['spec']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app: name } },
  spec: { nodeName: 'worker-1', terminationGracePeriodSeconds: 2, containers: [{ name: 'main', ...container }], ...spec },
});

/** Waits until it gives something, for half a minute at most; looks every 5 ms. */
export async function eventually<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited 30 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const isReady = (pod: Pod | undefined): pod is Pod =>
  pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

export const readyPod = (node: TestNode, name: string): Promise<Pod> =>
  eventually(`pod ${name} is ready`, () => {
    const pod = node.pod(name);
    return isReady(pod) ? pod : undefined;
  });

export const fetchText = (host: string, port = 80): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ host, port, path: '/', agent: false, timeout: 3_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });

/** The state file of a container. */
export const containerState = (node: TestNode, pod: Pod, container = 'main') =>
  JSON.parse(readFileSync(join(node.options.rootDir!, 'pods', pod.metadata.uid!, `${container}.json`), 'utf8')) as {
    process: { pid: number; startTime: number };
    shim: { pid: number };
    run: { attempt: number; phase: string };
    netns: string;
  };

export const links = async (): Promise<string[]> => {
  const { stdout } = await systemRunner.run('ip', ['-json', 'link']);
  return (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname).filter((name) => name !== 'lo');
};
