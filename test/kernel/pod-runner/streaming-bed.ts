// An API server and a pod runner of one node in this process, joined as in a cluster: kubelet's API over TLS with certificates of one authority.
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startApiServer } from '../../../src/api-server/server.ts';
import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { createClusterCache } from '../../../src/kube/cluster-cache.ts';
import { createKubeClient } from '../../../src/kube/http-client.ts';
import { createCertificateAuthority } from '../../../src/kube/pki/authority.ts';
import { startInformer } from '../../../src/kube/reflector.ts';
import { parsePrefix } from '../../../src/net/index.ts';
import { type Container, type Pod, resources } from '../../../src/objects/client.ts';
import { startPodRunner } from '../../../src/pod-runner/daemon.ts';
import { createMemoryStore } from '../../../src/storage/index.ts';
import { newContext, podOf } from './node.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StreamingBed {
  readonly url: string;
  readonly kubeletUrl: string;
  /** PEM, by who they are: `authority`, and the kubelet client's certificate and key. */
  readonly credentials: { readonly authority: string; readonly certificate: string; readonly key: string };
  /** PEM of a client certificate of the same authority. */
  clientCertificate(user: string): Promise<{ readonly certificate: string; readonly key: string }>;
  /** Environment for kubectl. */
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  run(name: string, container: Partial<Container>, spec?: Partial<Pod['spec']>): Promise<Pod>;
  pod(name: string): Promise<Pod>;
  /** Ends the pod runner; pods go on. */
  stopRunner(): Promise<void>;
  startRunner(): Promise<void>;
  stop(): Promise<void>;
}

const namespace = process.env['NODE_NAMESPACE']!;

export async function streamingBed(): Promise<StreamingBed> {
  const folder = mkdtempSync(join(tmpdir(), `podwire-${namespace}-`));
  const authority = await createCertificateAuthority('test-ca', Date.now());
  const serving = await authority.issueServer({
    commonName: 'system:node:worker-1',
    dnsNames: ['worker-1'],
    addresses: ['127.0.0.1', '::1'],
  });
  const client = await authority.issueClient({ user: 'kube-apiserver-kubelet-client', groups: [] });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const ca = file('ca.crt', authority.certificate);
  const server = await startApiServer(
    {
      dataDir: folder,
      bindAddress: '127.0.0.1',
      securePort: 0,
      advertiseAddress: '127.0.0.1',
      serviceClusterIPRanges: [parsePrefix('10.96.0.0/16')],
      serviceNodePortRange: { first: 30_000, last: 32_767 },
      tls: undefined,
      listenFd: undefined,
      eventTtlSeconds: 3_600,
      historyRevisions: 10_000,
      security: { disabledAdmission: ['ServiceAccount'] },
      kubelet: {
        certificateAuthority: ca,
        clientCertificate: file('kubelet-client.crt', client.certificate),
        clientKey: file('kubelet-client.key', client.key),
      },
    },
    newContext(),
    createMemoryStore(),
  );
  const url = `http://127.0.0.1:${server.addresses[0]!.port}`;
  const kube = createKubeClient({ server: url }, 'test');
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  copyFileSync(join(import.meta.dirname, 'test-cni.sh'), join(bin, 'test-cni'));
  chmodSync(join(bin, 'test-cni'), 0o755);
  mkdirSync(join(folder, 'net.d'));
  file('net.d/10-test.conflist', JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'test-cni' }] }));
  const port = 10_250;
  const files = {
    tlsCertFile: file('serving.crt', serving.certificate),
    tlsPrivateKeyFile: file('serving.key', serving.key),
    clientCAFile: ca,
  };
  const startRunner = async (): Promise<() => Promise<void>> => {
    const kube = createKubeClient({ server: url }, 'test');
    const context = newContext();
    const cluster = createClusterCache((resource, options) => startInformer({ ...context, client: kube }, resource, options));
    const runner = await startPodRunner(
      {
        nodeName: 'worker-1',
        nodeIPs: ['127.0.0.1', '::1'],
        rootDir: join(folder, 'root'),
        cniConfDir: join(folder, 'net.d'),
        cniBinDirs: [bin],
        netnsPrefix: namespace,
        port,
        ...files,
      },
      { client: kube, cluster, runner: systemRunner },
      context,
    );
    return async () => {
      await runner.stop();
      cluster.stop();
      await kube.close();
    };
  };
  let stopRunner = await startRunner();
  const home = join(folder, 'home');
  mkdirSync(home);
  file(
    'kubeconfig',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: url } }],
      users: [{ name: 'test', user: {} }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
  );
  const pod = (name: string): Promise<Pod> => kube.get(resources.pods, name, 'default');
  return {
    url,
    kubeletUrl: `https://127.0.0.1:${port}`,
    credentials: { authority: authority.certificate, certificate: client.certificate, key: client.key },
    clientCertificate: (user) => authority.issueClient({ user, groups: [] }),
    environment: { HOME: home, KUBECONFIG: join(folder, 'kubeconfig'), PATH: process.env['PATH'] ?? '' },
    folder,
    async run(name, container, spec) {
      await kube.create(resources.pods, podOf(name, container, { terminationGracePeriodSeconds: 0, ...spec }));
      return until(`pod ${name} runs`, async () => {
        const found = await pod(name);
        // One that ends at once may have run, and wait to be run again, between two looks.
        const hasRun = found.status?.containerStatuses?.some(
          ({ state, lastState }) => state?.running ?? state?.terminated ?? lastState?.terminated,
        );
        return hasRun ? found : undefined;
      });
    },
    pod,
    stopRunner: () => stopRunner(),
    async startRunner() {
      stopRunner = await startRunner();
    },
    async stop() {
      for (const { metadata } of (await kube.list(resources.pods, { namespace: 'default' })).items)
        await kube.delete(resources.pods, metadata.name, 'default', { gracePeriodSeconds: 0 });
      await until(
        'all pods are gone',
        () => !existsSync(join(folder, 'root', 'pods')) || readdirSync(join(folder, 'root', 'pods')).length === 0,
      );
      await stopRunner();
      await kube.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until it gives something, for half a minute at most. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const end = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited 30 s in vain until ${what}`);
  }
}

/** Runs a program to its end without blocking this process, in which the servers are. */
export function ran(
  program: string,
  args: readonly string[],
  { env, input }: { readonly env: Readonly<Record<string, string>>; readonly input?: Buffer | string },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, timeout: 30_000 });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(errors).toString() }));
  });
}
