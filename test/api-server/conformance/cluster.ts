import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClusterCache } from '../../../src/kube/cluster-cache.ts';
import { createKubeClient } from '../../../src/kube/http-client.ts';
import { loadKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { createCertificateAuthority } from '../../../src/kube/pki/authority.ts';
import { renderKubeconfig } from '../../../src/kube/pki/kubeconfig-text.ts';
import { startInformer } from '../../../src/kube/reflector.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/log.ts';
import { startNodes } from './nodes.ts';

/** A cluster that scenarios run against: an API server, controllers and a scheduler, and stand-ins for its nodes. */
export interface Cluster {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly folder: string;
  /** Whether the API server is this project's. */
  readonly own: boolean;
  stop(): Promise<void>;
}

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname;

/**
 * Starts this project's API server and controllers as processes of their own; or takes the cluster of PODWIRE_CONFORMANCE_KUBECONFIG, which
 * must have running controllers and may be any Kubernetes. In both, the nodes are stand-ins.
 */
export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-conformance-'));
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const given = process.env['PODWIRE_CONFORMANCE_KUBECONFIG'];
    const kubeconfig = given ?? (await startOwn(folder, undo));
    const context = { clock: systemClock, log: silentLogger() };
    const config = loadKubeconfig(kubeconfig);
    const client = createKubeClient(config, 'podwire-conformance');
    undo.push(() => client.close());
    const cache = createClusterCache((resource, options) => startInformer({ ...context, client }, resource, options));
    undo.push(() => cache.stop());
    undo.push(await startNodes(client, cache));
    return {
      kubeconfig,
      folder,
      own: !given,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startOwn(folder: string, undo: (() => unknown)[]): Promise<string> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const authority = await createCertificateAuthority('conformance-ca', Date.now());
  const server = await authority.issueServer({ commonName: 'kube-apiserver', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
  const apiServer = startPodwire(
    ...['apiserver', '--data-dir', join(folder, 'data'), '--bind-address', '127.0.0.1', '--secure-port', '0'],
    ...['--tls-cert-file', file('tls.crt', server.certificate), '--tls-private-key-file', file('tls.key', server.key)],
    ...['--client-ca-file', file('ca.crt', authority.certificate), '--service-cluster-ip-range', '10.96.0.0/16,fd00:10:96::/112'],
  );
  undo.push(apiServer.stop);
  const { port } = await apiServer.logged('serving the Kubernetes API');
  const kubeconfigOf = async (user: string, groups: readonly string[]): Promise<string> =>
    file(
      `${user.replaceAll(':', '-')}.kubeconfig`,
      renderKubeconfig({
        cluster: 'conformance',
        user,
        server: `https://127.0.0.1:${port}`,
        certificateAuthority: authority.certificate,
        client: await authority.issueClient({ user, groups }),
      }),
    );
  const controllers = startPodwire(
    'controllers',
    '--root-ca-file',
    join(folder, 'ca.crt'),
    '--kubeconfig',
    await kubeconfigOf('conformance-controllers', ['system:masters']),
    '--node-monitor-grace-period',
    '60s',
  );
  undo.push(controllers.stop);
  await controllers.logged('controllers started');
  return kubeconfigOf('conformance-admin', ['system:masters']);
}

interface Podwire {
  /** The log line with this message. */
  logged(message: string): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

function startPodwire(...args: string[]): Podwire {
  const child: ChildProcess = spawn(process.execPath, [main, ...args, '--health-bind-address', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
  return {
    async logged(message) {
      const deadline = performance.now() + 20_000;
      for (;;) {
        const line = output.split('\n').find((text) => text.includes(JSON.stringify(message)) && text.endsWith('}'));
        if (line) return JSON.parse(line);
        if (child.exitCode !== null || performance.now() > deadline)
          throw new Error(`podwire ${args[0]} did not say ${JSON.stringify(message)}:\n${output}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await closed;
      clearTimeout(late);
    },
  };
}
