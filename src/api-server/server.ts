import type { AddressInfo } from 'node:net';
import { joinHostPort } from '../net/index.ts';
import { kinds, resources } from '../objects/index.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { openEmbeddedStore, type Store } from '../storage/index.ts';
import { allowAuthenticated, certificateAuthenticator, loopbackAuthenticator } from './access.ts';
import { defaultTolerationSeconds } from './admission/default-toleration-seconds.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { serviceAllocator } from './admission/service-allocator.ts';
import { createApp } from './app.ts';
import { ensureSystemNamespaces, kindOf } from './bootstrap.ts';
import { storeKey } from './cached-object.ts';
import { expireEvents } from './event-expiry.ts';
import { createWatches } from './handlers/watch.ts';
import { ensureKubernetesService } from './kubernetes-service.ts';
import { startListeners } from './listeners.ts';
import { createServerMetrics } from './metrics.ts';
import type { ApiServerOptions } from './options.ts';
import type { Registry } from './registry/registry.ts';
import { startWatchCache, type WatchCache } from './watch-cache.ts';

export type { ApiServerOptions, TlsFiles } from './options.ts';

export interface ApiServer extends Daemon {
  /** Where it listens: the secure port, then the inherited socket if there is one. */
  readonly addresses: readonly AddressInfo[];
}

/** Between two looks at what the server keeps itself (ms): its own Service, and events past their time. */
const upkeepInterval = 10_000;

/**
 * Starts the API server: store -> watch cache -> what every cluster has -> sockets. `store` replaces the embedded one, for tests.
 * @throws Error in plain words: folder in use, port in use, files that cannot be read, plain HTTP beyond loopback.
 */
export async function startApiServer(options: ApiServerOptions, context: DaemonContext, store?: Store): Promise<ApiServer> {
  const opened = store ?? (await openEmbeddedStore({ folder: options.dataDir, historyRevisions: options.historyRevisions }));
  const undo: (() => unknown)[] = [() => opened.close()];
  try {
    const cache = await startWatchCache(kinds, opened, context.clock);
    undo.push(() => cache.stop());
    const registry = createRegistry(options, context, opened, cache);
    await ensureSystemNamespaces(registry);
    const watches = createWatches();
    const app = await createApp({
      registry,
      watches,
      authenticate: options.tls ? certificateAuthenticator : loopbackAuthenticator,
      authorize: allowAuthenticated,
      metrics: createServerMetrics(context.metrics, kinds, opened, cache, watches),
      serverAddress: joinHostPort(options.advertiseAddress, options.securePort),
      context,
    });
    const listeners = await startListeners(options, (request, response) => app.routing(request, response));
    undo.push(() => listeners.close());
    undo.push(() => watches.endAll());
    const securePort = listeners.addresses[0]!.port;
    const upkeep = startUpkeep(registry, context, { ...options, securePort });
    undo.push(() => upkeep.stop());
    await upkeep.first;
    const { address, port } = listeners.addresses[0]!;
    context.log.info({ address, port, revision: opened.revision() }, 'serving the Kubernetes API');
    return { addresses: listeners.addresses, stop: () => undoAll(undo) };
  } catch (error) {
    await undoAll(undo);
    throw error;
  }
}

async function undoAll(undo: (() => unknown)[]): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

function createRegistry(options: ApiServerOptions, { clock, health }: DaemonContext, store: Store, cache: WatchCache): Registry {
  const namespaces = kindOf(resources.namespaces);
  const pool = { cidrs: options.serviceClusterIPRanges, nodePorts: options.serviceNodePortRange, random: Math.random };
  health.addReady('storage', () => (cache.revision() >= store.revision() ? undefined : 'the watch cache is behind the store'));
  return {
    store,
    cache,
    clock,
    random: Math.random,
    admission: [
      namespaceLifecycle((name) => cache.of(namespaces).get(storeKey(namespaces.resource, undefined, name))),
      defaultTolerationSeconds,
    ],
    allocators: new Map([['services', serviceAllocator(() => cache.of(kindOf(resources.services)), pool)]]),
  };
}

/** What the server itself keeps right. A failure is logged and tried again. */
function startUpkeep(
  registry: Registry,
  { clock, log, health }: DaemonContext,
  options: ApiServerOptions,
): { first: Promise<void>; stop(): Promise<void> } {
  let stopped = false;
  let cancel = (): void => {};
  let problem: string | undefined = 'not yet created';
  health.addReady('kubernetes-service', () => problem);
  const turn = async (): Promise<void> => {
    try {
      await ensureKubernetesService(registry, options);
      await expireEvents(registry, options.eventTtlSeconds);
      problem = undefined;
    } catch (error) {
      problem = (error as Error).message;
      log.error({ err: error }, 'upkeep failed, will retry');
    }
    if (stopped) return;
    cancel = clock.setTimer(upkeepInterval, () => {
      running = turn();
    });
  };
  let running = turn();
  return {
    first: running,
    async stop() {
      stopped = true;
      cancel();
      await running;
    },
  };
}
