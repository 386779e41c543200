import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { get } from 'node:https';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { endProcess, identify } from '../kernel/processes.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { nodeFlags, programFile } from '../runtime/program-files.ts';
import { type Component, labComponents } from './components.ts';
import type { LabLayout } from './layout.ts';
import { readComponents, removeSupervisor, writeComponent, writeSupervisor } from './records.ts';
import { afterEnd, initialRestartState } from './restart-policy.ts';
import type { Topology } from './topology.ts';

/** A log larger than this is set aside once, when its daemon starts (bytes). */
const largestLog = 16 * 1024 * 1024;
/** From SIGTERM to SIGKILL (ms). */
const patience = 3_000;

/**
 * Starts every daemon of a lab and keeps them running: one that ends is started again. Daemons that an earlier supervisor left behind are
 * ended first. Stopping ends them all.
 */
export async function startSupervisor(topology: Topology, layout: LabLayout, hostPort: number, context: DaemonContext): Promise<Daemon> {
  const { log, clock } = context;
  mkdirSync(layout.logs, { recursive: true, mode: 0o700 });
  await Promise.all([...readComponents(layout).values()].map((record) => endProcess(record, clock, 0)));
  const running = new Map<string, ChildProcess>();
  const timers = new Map<string, () => void>();
  let stopping = false;

  async function start(component: Component, restarts: number, state = initialRestartState): Promise<void> {
    const listener = component.inheritsListener ? await listenOnLoopback(hostPort) : undefined;
    if (stopping) return void listener?.close();
    const logFile = openLog(join(layout.logs, `${component.name}.log`));
    const startedAt = clock.monotonic();
    const child = spawn(
      'nsenter',
      [
        `--net=/run/netns/${component.namespace}`,
        '--',
        ...(component.program ?? [process.execPath, ...nodeFlags, programFile('cli/main')]),
        ...component.args,
      ],
      {
        stdio: ['ignore', logFile, logFile, ...(listener ? [descriptorOf(listener)] : [])],
        detached: true,
      },
    );
    // The child has its own copies now. Until it accepts, connections wait in the socket's queue.
    closeSync(logFile);
    listener?.close();
    running.set(component.name, child);
    child.once('error', (error) => log.error({ err: error, component: component.name }, 'cannot be started'));
    child.once('close', (code, signal) => {
      running.delete(component.name);
      if (stopping) return;
      const [next, delay] = afterEnd(state, clock.monotonic() - startedAt);
      log.warn({ component: component.name, code, signal, delay }, 'ended, will be started again');
      timers.set(
        component.name,
        clock.setTimer(delay, () => void begin(component, restarts + 1, next)),
      );
    });
    if (child.pid === undefined) return;
    const identity = identify(child.pid);
    if (identity)
      writeComponent(layout, {
        ...identity,
        name: component.name,
        node: component.node,
        restarts,
        startedAt: new Date(clock.now()).toISOString(),
      });
    log.info({ component: component.name, pid: child.pid, restarts }, 'started');
  }

  /** As `start`; a listener that cannot be had (its predecessor still closing) is tried again like an early end. */
  function begin(component: Component, restarts: number, state = initialRestartState): Promise<void> {
    return start(component, restarts, state).catch((error: unknown) => {
      const [next, delay] = afterEnd(state, 0);
      log.error({ err: error, component: component.name, delay }, 'could not be started, will be tried again');
      timers.set(
        component.name,
        clock.setTimer(delay, () => void begin(component, restarts, next)),
      );
    });
  }

  writeSupervisor(layout, { ...identify(process.pid)!, apiServerPort: hostPort });
  const components = labComponents(topology, layout);
  // All others ask the API server first of all. Started beside it they would only take the processors away from it.
  for (const component of components.filter(({ inheritsListener }) => inheritsListener)) await begin(component, 0);
  await untilServing(hostPort, clock);
  for (const component of components.filter(({ inheritsListener }) => !inheritsListener)) await begin(component, 0);

  return {
    async stop() {
      stopping = true;
      for (const cancel of timers.values()) cancel();
      const records = readComponents(layout);
      const mine = [...running.keys()].flatMap((name) => records.get(name) ?? []);
      await Promise.all(mine.map((record) => endProcess(record, clock, patience)));
      removeSupervisor(layout);
    },
  };
}

/**
 * A socket listening on the host's loopback address. A socket stays in the network namespace it was made in, whoever accepts from it: so the
 * API server answers on the host although its process lives in a node's namespace, and no link joins the two.
 */
function listenOnLoopback(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, backlog: 511 }, () => resolve(server));
  });
}

/** Waits until the API server answers, but not for long: whoever starts too early tries again. */
async function untilServing(port: number, clock: Clock): Promise<void> {
  for (const end = clock.monotonic() + 3_000; clock.monotonic() < end; await sleep(clock, 20)) {
    const answered = await new Promise<boolean>((resolve) => {
      // Only whether it answers counts here, and that needs no trust.
      const asking = get(
        { host: '127.0.0.1', port, path: '/readyz', rejectUnauthorized: false, agent: false, timeout: 1_000 },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        },
      );
      asking.once('timeout', () => asking.destroy()).once('error', () => resolve(false));
    });
    if (answered) return;
  }
}

/** The descriptor of a listening server; Node has no public name for it. */
function descriptorOf(server: Server): number {
  const { _handle: handle } = server as unknown as { _handle?: { fd: number } };
  if (!handle || handle.fd < 0) throw new Error('the listening socket has no file descriptor');
  return handle.fd;
}

function openLog(file: string): number {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > largestLog) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}
