import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandRunner, inNetworkNamespace } from '../kernel/command-runner.ts';
import { ipBatch } from '../kernel/ip.ts';
import { addNetworkNamespaces, listNetworkNamespaces, namespaceFolderExists, networkNamespacePath } from '../kernel/netns.ts';
import { isRunning } from '../kernel/processes.ts';
import { writeSysctls } from '../kernel/sysctl.ts';
import { writeSecretFile } from '../kube/pki/secret-file.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { programFile } from '../runtime/program-files.ts';
import { makeCredentials } from './credentials.ts';
import { importImages } from './cri/start-files.ts';
import { takeDown } from './down.ts';
import { LabError } from './errors.ts';
import type { LabLayout } from './layout.ts';
import { planNetwork } from './network.ts';
import { writeManifests } from './node-files.ts';
import { checkContainerPrograms, checkMachine, freeLoopbackPort } from './preflight.ts';
import { waitForAgents, waitForControlPlane, waitForNodes, waitForPodNetwork } from './readiness.ts';
import { readSupervisor, readTopology, writeTopology } from './records.ts';
import type { Steps } from './steps.ts';
import type { Topology } from './topology.ts';

export interface UpContext {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly steps: Steps;
}

export type UpOutcome = 'already-up' | 'brought-up' | 'supervised-again';

/**
 * Brings a lab up and waits until its pod network carries packets. A lab that is up is left alone; one whose supervisor died is supervised
 * again; the remains of one that is half gone are removed first. When it fails midway, what it made is removed. @throws LabError
 */
export async function bringUp(wanted: Topology, layout: LabLayout, context: UpContext): Promise<UpOutcome> {
  const { steps } = context;
  checkMachine();
  if (wanted.nodes.some(({ containerd }) => containerd !== undefined)) checkContainerPrograms();
  const standing = readTopology(layout);
  const supervisor = readSupervisor(layout);
  if (standing && supervisor && isRunning(supervisor)) {
    refuseOtherTopology(standing, wanted);
    return 'already-up';
  }
  if (standing && supervisor && namespacesStand(standing, layout)) {
    refuseOtherTopology(standing, wanted);
    await steps.run('supervisor (it had ended; the daemons are started again)', () => startSupervisor(layout, context));
    await waitUntilReady(standing, layout, context);
    return 'supervised-again';
  }
  await takeDown(layout, context);
  const hostPort = await freeLoopbackPort(wanted.apiServerPort);
  const topology = { ...wanted, apiServerPort: hostPort };
  mkdirSync(layout.root, { recursive: true, mode: 0o700 });
  try {
    await allSettled([
      steps.run('namespaces, links, addresses', () => makeNetwork(topology, layout, context.runner)),
      steps.run('certificates, kubeconfigs, manifests', () => writeFiles(topology, layout, hostPort, context.clock)),
    ]);
    await steps.run('daemons started', () => startSupervisor(layout, context));
    await importAll(topology, layout, context);
    await waitUntilReady(topology, layout, context);
    return 'brought-up';
  } catch (error) {
    const tail = await lastWords(layout);
    await takeDown(layout, context);
    throw tail && error instanceof LabError ? new LabError([...error.problems, tail]) : error;
  }
}

/** The images of the nodes that have a containerd. */
async function importAll(topology: Topology, layout: LabLayout, context: UpContext): Promise<void> {
  const nodes = topology.nodes.flatMap(({ name, containerd }) => (containerd ? [{ name, ...containerd }] : []));
  if (nodes.length === 0) return;
  await context.steps.run('images imported', () =>
    allSettled(nodes.map(({ name, images }) => importImages(layout.node(name).containerd, images, context))),
  );
}

/** Waits for all, also when one fails: what is taken down then must not be made by another a moment later. */
async function allSettled(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function refuseOtherTopology(standing: Topology, wanted: Topology): void {
  // The port may have been chosen freely; it makes no other lab.
  const comparable = (topology: Topology): string => JSON.stringify({ ...topology, apiServerPort: 0 });
  if (comparable(standing) !== comparable(wanted)) {
    throw new LabError(
      `lab ${standing.name} is up with another topology; take it down first (podwire lab down --name ${standing.name}), or choose another name`,
    );
  }
}

function namespacesStand(topology: Topology, layout: LabLayout): boolean {
  const present = new Set(listNetworkNamespaces());
  return planNetwork(topology, layout).namespaces.every((name) => present.has(name));
}

async function makeNetwork(topology: Topology, layout: LabLayout, runner: CommandRunner): Promise<void> {
  const { namespaces, setups } = planNetwork(topology, layout);
  if (!namespaceFolderExists()) await writeFile(layout.madeNamespaceFolder, '');
  await addNetworkNamespaces(runner, namespaces);
  const [first, ...others] = setups;
  const prepare = async ({ namespace, operations, sysctls }: (typeof setups)[number]): Promise<void> => {
    const inside = inNetworkNamespace(runner, networkNamespacePath(namespace));
    await writeSysctls(inside, sysctls);
    await ipBatch(inside, operations);
  };
  if (first) await prepare(first);
  await Promise.all(others.map(prepare));
}

async function writeFiles(topology: Topology, layout: LabLayout, hostPort: number, clock: Clock): Promise<void> {
  writeTopology(layout, topology);
  await Promise.all([
    makeCredentials(topology, layout, `https://127.0.0.1:${hostPort}`, clock.now()).then((files) =>
      Promise.all(files.map(({ file, text }) => writeSecretFile(file, text))),
    ),
    ...topology.nodes.map(({ name }) => writeManifests(topology, layout, name)),
  ]);
}

/** The supervisor outlives the command: its own session, its output in a log. */
async function startSupervisor(layout: LabLayout, { clock }: UpContext): Promise<void> {
  mkdirSync(layout.logs, { recursive: true, mode: 0o700 });
  const log = openSync(join(layout.logs, 'supervisor.log'), 'a', 0o600);
  const child = spawn(process.execPath, [programFile('cli/main'), 'lab', 'supervise', layout.root], {
    stdio: ['ignore', log, log],
    detached: true,
    cwd: '/',
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = `exit ${code ?? signal}`));
  child.unref();
  for (const end = clock.monotonic() + 10_000; clock.monotonic() < end; await sleep(clock, 10)) {
    const record = readSupervisor(layout);
    if (record?.pid === child.pid && record && isRunning(record)) return;
    if (ended) throw new LabError(`the supervisor ended at once (${ended}); see ${join(layout.logs, 'supervisor.log')}`);
  }
  throw new LabError(`the supervisor did not start within 10 s; see ${join(layout.logs, 'supervisor.log')}`);
}

async function waitUntilReady(topology: Topology, layout: LabLayout, { clock, steps }: UpContext): Promise<void> {
  const connection = await steps.run('API server ready', () => waitForControlPlane(layout, clock));
  try {
    await steps.run(`${topology.nodes.length} nodes ready`, () => waitForNodes(connection, topology, clock));
    await steps.run('routes, services and DNS ready', async () => {
      await waitForPodNetwork(connection, topology, clock);
      await waitForAgents(layout, topology, clock);
    });
  } finally {
    await connection.close();
  }
}

/** The last error in the logs, for the message of a failed start. */
async function lastWords(layout: LabLayout): Promise<string | undefined> {
  const names = [
    'supervisor',
    ...(readTopology(layout)?.nodes ?? []).flatMap(({ name }) =>
      ['apiserver', 'controllers', 'agent', 'pod-runner'].map((daemon) => `${name}.${daemon}`),
    ),
  ];
  const lines: string[] = [];
  for (const name of names) {
    const text = await readFile(join(layout.logs, `${name}.log`), 'utf8').catch(() => '');
    const last = text.split('\n').findLast((line) => line.startsWith('podwire:') || /"level":(50|60)/.test(line));
    if (last) lines.push(`${name}: ${last.slice(0, 400)}`);
  }
  return lines.length > 0 ? lines.join('\n') : undefined;
}
