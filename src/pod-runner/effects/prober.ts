import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, IntOrString, Probe } from '../../objects/client.ts';
import { joinHostPort } from '../../net/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import { initialProbeState, type ProbeOutcome, probeTimes, stepProbe } from '../machine/probe.ts';
import type { ProbeVerdict } from '../machine/types.ts';

export interface ProberParts {
  readonly clock: Clock;
  /** Runs a command in the container; exit code and output. */
  readonly exec: (command: readonly string[], timeout: number) => Promise<{ exitCode: number; output: string }>;
  /** The address that httpGet and tcpSocket go to when the probe names none. */
  readonly address: string;
  readonly onVerdict: () => void;
  /** kubelet's event for each probing that fails. */
  readonly onFailure: (kind: ProbeKind, message: string) => void;
}

export type ProbeKind = 'Readiness' | 'Liveness' | 'Startup';

export interface Prober {
  readonly verdict: ProbeVerdict;
  /** From now on only readiness is probed, and no failure ends the container: the pod is being ended and may serve until then (KEP-1669). */
  readinessOnly(): void;
  stop(): void;
}

export const hasProbes = ({ readinessProbe, livenessProbe, startupProbe }: Container): boolean =>
  Boolean(readinessProbe ?? livenessProbe ?? startupProbe);

/**
 * A container that is not ready yet may be asked ahead of its period, so that it becomes ready sooner (as the reference documents for
 * readiness probes). The delay doubles from here (ms).
 */
const firstEarlyDelay = 100;

/** Probes one run of a container until stopped. Readiness and liveness wait for the startup probe (KEP-950). */
export function startProber(container: Container, attempt: number, parts: ProberParts): Prober {
  const { clock } = parts;
  let verdict: ProbeVerdict = { attempt, started: !container.startupProbe, ready: !container.readinessProbe };
  let stopped = false;
  let readinessOnly = false;
  const timers = new Set<() => void>();

  function later(delay: number, work: () => void): void {
    const cancel = clock.setTimer(delay, () => {
      timers.delete(cancel);
      work();
    });
    timers.add(cancel);
  }

  function follow(kind: ProbeKind, probe: Probe, onTurn: (success: boolean) => 'go on' | 'end'): void {
    const { delay, period, timeout } = probeTimes(probe);
    let state = initialProbeState;
    let regularAt = clock.monotonic() + delay;
    let early = firstEarlyDelay;
    const over = (): boolean => stopped || (readinessOnly && kind !== 'Readiness');
    const once = async (): Promise<void> => {
      if (over()) return;
      const regular = clock.monotonic() >= regularAt;
      const outcome = await probeOnce(probe, container, parts, timeout);
      if (over()) return;
      if (!outcome.ok && regular) parts.onFailure(kind, outcome.message);
      const before = state.verdict;
      // A probe ahead of its time can only bring good news: failures are counted at the period that the probe asks for.
      if (outcome.ok || regular) state = stepProbe(state, outcome.ok, probe);
      if (state.verdict !== before && state.verdict !== 'unknown' && onTurn(state.verdict === 'success') === 'end') return;
      if (regular) regularAt = clock.monotonic() + period;
      const wait = Math.max(0, regularAt - clock.monotonic());
      const hurry = kind === 'Readiness' && state.verdict !== 'success';
      later(hurry ? Math.min(wait, early) : wait, () => void once());
      if (hurry) early *= 2;
    };
    later(delay, () => void once());
  }

  function change(next: Partial<ProbeVerdict>): void {
    verdict = { ...verdict, ...next };
    parts.onVerdict();
  }

  function followOthers(): void {
    const { readinessProbe, livenessProbe } = container;
    if (readinessProbe) {
      follow('Readiness', readinessProbe, (ready) => {
        change({ ready });
        return 'go on';
      });
    }
    if (livenessProbe) {
      follow('Liveness', livenessProbe, (alive) => {
        if (!alive) change({ failed: 'liveness' });
        return alive ? 'go on' : 'end';
      });
    }
  }

  if (container.startupProbe) {
    follow('Startup', container.startupProbe, (started) => {
      change(started ? { started } : { failed: 'startup' });
      if (started) followOthers();
      return 'end';
    });
  } else followOthers();

  return {
    get verdict() {
      return verdict;
    },
    readinessOnly() {
      readinessOnly = true;
    },
    stop() {
      stopped = true;
      for (const cancel of timers) cancel();
    },
  };
}

async function probeOnce(probe: Probe, container: Container, parts: ProberParts, timeout: number): Promise<ProbeOutcome> {
  try {
    if (probe.exec) {
      const { exitCode, output } = await parts.exec(probe.exec.command ?? [], timeout);
      return { ok: exitCode === 0, message: output.trim() || `command exited with code ${exitCode}` };
    }
    if (probe.tcpSocket) return await probeTcp(probe.tcpSocket.host ?? parts.address, portNumber(probe.tcpSocket.port, container), timeout);
    if (probe.httpGet)
      return await probeHttp(probe.httpGet, probe.httpGet.host ?? parts.address, portNumber(probe.httpGet.port, container), timeout);
    return { ok: false, message: 'the pod runner probes by httpGet, tcpSocket and exec only' };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function portNumber(port: IntOrString, { ports = [] }: Container): number {
  if (typeof port === 'number') return port;
  const named = ports.find(({ name }) => name === port)?.containerPort ?? (/^\d+$/.test(port) ? Number(port) : undefined);
  if (named === undefined) throw new Error(`couldn't find port: ${port}`);
  return named;
}

function probeTcp(host: string, port: number, timeout: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const target = joinHostPort(host, port);
    const socket = connect({ host, port, timeout });
    const finish = (ok: boolean, message: string): void => {
      socket.destroy();
      resolve({ ok, message });
    };
    socket.once('connect', () => finish(true, ''));
    socket.once('timeout', () => finish(false, `dial tcp ${target}: i/o timeout`));
    socket.once('error', (error) => finish(false, `dial tcp ${target}: ${reasonOf(error)}`));
  });
}

/** 200 to 399 is success; a redirect is not followed. */
function probeHttp(
  { path = '/', scheme = 'HTTP', httpHeaders = [] }: NonNullable<Probe['httpGet']>,
  host: string,
  port: number,
  timeout: number,
): Promise<ProbeOutcome> {
  const secure = scheme.toUpperCase() === 'HTTPS';
  const url = `${secure ? 'https' : 'http'}://${joinHostPort(host, port)}${path.startsWith('/') ? path : `/${path}`}`;
  const headers = {
    'user-agent': 'kube-probe/1.33',
    accept: '*/*',
    connection: 'close',
    ...Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value])),
  };
  return new Promise((resolve) => {
    const send = secure ? httpsRequest : httpRequest;
    // kubelet does not check the certificate of a probed pod either. The signal bounds the whole exchange, not only silence.
    const request = send(
      url,
      { headers, agent: false, signal: AbortSignal.timeout(timeout), ...(secure ? { rejectUnauthorized: false } : {}) },
      (response) => {
        response.resume();
        const code = response.statusCode ?? 0;
        resolve({ ok: code >= 200 && code < 400, message: `HTTP probe failed with statuscode: ${code}` });
      },
    );
    request.once('error', (error) => resolve({ ok: false, message: `Get "${url}": ${reasonOf(error)}` }));
    request.end();
  });
}

/** A socket's error in Go's words where they differ, since kubelet's messages are what people search for. */
function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
  const reasons: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ECONNRESET: 'read: connection reset by peer',
  };
  return reasons[error.code ?? ''] ?? error.message;
}
