import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../src/api-server/server.ts';
import { parsePrefix } from '../../src/net/index.ts';
import type { AnyObject, Status } from '../../src/objects/index.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import type { DaemonContext } from '../../src/runtime/daemon.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { createMemoryStore, type Store } from '../../src/storage/index.ts';

const cleanups: (() => unknown)[] = [];
/** Runs after the test, last in first out. */
export const cleanup = (step: () => unknown): void => void cleanups.push(step);
afterEach(async () => {
  for (const step of cleanups.splice(0).reverse()) await step();
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-apiserver-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const serverOptions: ApiServerOptions = {
  dataDir: '',
  bindAddress: '127.0.0.1',
  securePort: 0,
  advertiseAddress: '192.168.88.11',
  serviceClusterIPRanges: [parsePrefix('10.96.0.0/16'), parsePrefix('fd00:10:96::/112')],
  serviceNodePortRange: { first: 30_000, last: 32_767 },
  tls: undefined,
  listenFd: undefined,
  eventTtlSeconds: 3_600,
  historyRevisions: 10_000,
  // No controller makes default service accounts here.
  security: { disabledAdmission: ['ServiceAccount'] },
};

export const testContext = (clock: Clock = systemClock): DaemonContext => ({
  log: silentLogger(),
  clock,
  metrics: new Registry(),
  health: createHealth(),
});

export interface Answer {
  readonly code: number;
  /** Parsed JSON, or the text. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any answer
  readonly body: any;
  readonly headers: Headers;
}

export interface TestServer {
  readonly url: string;
  readonly server: ApiServer;
  readonly store: Store;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** As call; the answer must have this code. */
  expect(code: number, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer['body']>;
  watch(path: string, headers?: Record<string, string>): Promise<TestWatch>;
}

export interface TestWatch {
  /** The next event; rejects when none comes within 5 s or the stream ended. */
  next(): Promise<{ type: string; object: AnyObject & Partial<Status> }>;
  /** All events until the server ends the stream. */
  rest(): Promise<{ type: string; object: AnyObject & Partial<Status> }[]>;
  stop(): void;
}

/** A server on a free loopback port, over a store in memory unless given one. */
export async function startTestServer(
  options: Partial<ApiServerOptions> = {},
  store: Store = createMemoryStore(),
  clock?: Clock,
): Promise<TestServer> {
  const server = await startApiServer({ ...serverOptions, ...options }, testContext(clock), store);
  cleanup(() => server.stop());
  const url = `http://127.0.0.1:${server.addresses[0]!.port}`;
  return { url, server, store, ...callsTo(url) };
}

export function callsTo(url: string): Pick<TestServer, 'call' | 'expect' | 'watch'> {
  const call: TestServer['call'] = async (method, path, body, headers = {}) => {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      headers: { ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json');
    return { code: response.status, body: json ? JSON.parse(text) : text, headers: response.headers };
  };
  return {
    call,
    async expect(code, method, path, body, headers) {
      const answer = await call(method, path, body, headers);
      if (answer.code !== code) throw new Error(`${method} ${path}: ${answer.code} ${JSON.stringify(answer.body)}, expected ${code}`);
      return answer.body;
    },
    async watch(path, headers = {}) {
      const abort = new AbortController();
      cleanup(() => abort.abort());
      const response = await fetch(url + path, { signal: abort.signal, headers });
      if (response.status !== 200) throw new Error(`watch: ${response.status} ${await response.text()}`);
      const lines = readLines(response);
      const next: TestWatch['next'] = async () => {
        const { value, done } = await withTimeout(lines.next());
        if (done) throw new Error('the watch ended');
        return JSON.parse(value);
      };
      return {
        next,
        async rest() {
          const events = [];
          for await (const text of lines) events.push(JSON.parse(text));
          return events;
        },
        stop: () => abort.abort(),
      };
    },
  };
}

async function* readLines(response: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

function withTimeout<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('nothing came within 5 s')), 5_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const configMap = (name: string, data: Record<string, string> = {}, more: object = {}): AnyObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...more } as AnyObject['metadata'],
  data,
});

export const pod = (name: string, spec: object = {}, metadata: object = {}): AnyObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata } as AnyObject['metadata'],
  spec: { containers: [{ name: 'main', image: 'nginx' }], ...spec },
});

export const deployment = (name: string, replicas = 1): AnyObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: 'nginx' }] } },
  },
});

export const inDefault = (plural: string, name = '', subresource = ''): string =>
  `/${plural === 'deployments' ? 'apis/apps/v1' : 'api/v1'}/namespaces/default/${plural}${name && `/${name}`}${subresource && `/${subresource}`}`;
