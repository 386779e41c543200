import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, encodeRequest, type Endpoint } from './connection.ts';
import type { BenchCredentials } from './credentials.ts';
import { freePort } from '../../test/free-port.ts';
import { cpuSeconds, residentMegabytes, startProgram, type Program } from './processes.ts';

/** A running API server, with all the processes it needs. */
export interface Running {
  readonly endpoint: Endpoint;
  /** From the start of its first process to the first 200 of /readyz (s). */
  readonly readySeconds: number;
  /** All its processes together. */
  megabytes(): number;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export type StartServer = (folder: string, credentials: BenchCredentials) => Promise<Running>;

/** The built program of this checkout, unless another is named: two builds can be measured one after the other. */
const podwire = process.env['PODWIRE'] ?? join(import.meta.dirname, '../../bin/podwire');
/** The address told to pods; nobody uses it. */
const advertised = '192.168.88.11';

/** `podwire apiserver` as it is built, with its own store. */
export const startPodwire: StartServer = async (folder, { caFile, certFile, keyFile, ca, cert, key }) => {
  const port = await freePort();
  const health = await freePort();
  const args = [
    'apiserver',
    ...['--data-dir', join(folder, 'podwire')],
    ...['--bind-address', '127.0.0.1', '--secure-port', String(port), '--advertise-address', advertised],
    ...['--tls-cert-file', certFile, '--tls-private-key-file', keyFile, '--client-ca-file', caFile],
    ...['--health-bind-address', `127.0.0.1:${health}`],
    ...(process.env['PODWIRE_APISERVER_FLAGS']?.split(' ').filter(Boolean) ?? []),
  ];
  return started({ port, ca, cert, key }, (failed) => [startProgram(podwire, args, failed)]);
};

/** kube-apiserver, with an etcd of its own behind it. */
export const startKubeApiServer =
  (kubeApiServer: string, etcd: string): StartServer =>
  async (folder, { caFile, certFile, keyFile, serviceAccountKeyFile, ca, cert, key }) => {
    const [port, ...etcdPorts] = [await freePort(), await freePort(), await freePort()] as [number, number, number];
    const args = [
      ...['--etcd-servers', `http://127.0.0.1:${etcdPorts[0]}`],
      ...['--bind-address', '127.0.0.1', '--secure-port', String(port), '--advertise-address', advertised],
      ...['--tls-cert-file', certFile, '--tls-private-key-file', keyFile, '--client-ca-file', caFile],
      ...['--service-account-key-file', serviceAccountKeyFile, '--service-account-signing-key-file', serviceAccountKeyFile],
      ...['--service-account-issuer', 'https://kubernetes.default.svc', '--authorization-mode', 'RBAC'],
      ...['--service-cluster-ip-range', '10.96.0.0/16', '--cert-dir', folder],
    ];
    return started({ port, ca, cert, key }, (failed) => [
      startEtcd(etcd, join(folder, 'etcd'), etcdPorts, failed),
      startProgram(kubeApiServer, args, failed),
    ]);
  };

/** etcd on two loopback ports, plain: for clients, and for peers it has not. */
export function startEtcd(
  file: string,
  folder: string,
  [clientPort, peerPort]: readonly [number, number],
  failed: (text: string) => void,
): Program {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [client, peer] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
  return startProgram(
    file,
    [
      ...['--name', 'bench', '--data-dir', folder, '--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `bench=${peer}`],
    ],
    failed,
  );
}

async function started(endpoint: Endpoint, start: (failed: (text: string) => void) => Program[]): Promise<Running> {
  let problem: string | undefined;
  const began = performance.now();
  const programs = start((text) => {
    problem = text;
  });
  const stop = async (): Promise<void> => {
    // The one that needs the other goes first.
    for (const program of [...programs].reverse()) await program.stop();
  };
  for (;;) {
    if (problem) {
      await stop();
      throw new Error(problem);
    }
    if (await isReady(endpoint)) break;
    if (performance.now() - began > 120_000) {
      await stop();
      throw new Error('the server was not ready within two minutes');
    }
    await sleep(2);
  }
  const readySeconds = (performance.now() - began) / 1_000;
  const sum = (of: (pid: number) => number): number => programs.reduce((total, { pid }) => total + of(pid), 0);
  return { endpoint, readySeconds, megabytes: () => sum(residentMegabytes), cpuSeconds: () => sum(cpuSeconds), stop };
}

async function isReady(endpoint: Endpoint): Promise<boolean> {
  try {
    const connection = await Connection.open(endpoint);
    const { status } = await connection.send(encodeRequest('GET', '/readyz'));
    connection.close();
    return status === 200;
  } catch {
    return false;
  }
}
