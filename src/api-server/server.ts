import type { AddressInfo } from 'node:net';
import { joinHostPort } from '../net/index.ts';
import { kinds, resources } from '../objects/index.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import type { Store } from '../storage/index.ts';
import { defaultTolerationSeconds } from './admission/default-toleration-seconds.ts';
import { priority } from './admission/priority.ts';
import { runtimeClass } from './admission/runtime-class.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import type { AdmissionPlugin } from './admission/admission.ts';
import { rbacEscalation } from './admission/rbac-escalation.ts';
import { serviceAccountAdmission } from './admission/service-account.ts';
import { serviceAllocator, serviceRangesKey } from './admission/service-allocator.ts';
import { createApp } from './app.ts';
import { type Access, startAccess } from './auth/access.ts';
import { ensureDefaultPolicy, startClusterRoleAggregation } from './auth/default-policy/ensure.ts';
import { ensureSystemNamespaces, kindOf } from './bootstrap.ts';
import { storeKey } from './cached-object.ts';
import { createWatches } from './handlers/watch.ts';
import { ensureInitialObjects } from './initial-objects.ts';
import { startListeners } from './listeners.ts';
import { createServerMetrics } from './metrics.ts';
import { openStore } from './open-store.ts';
import { type ApiServerOptions, kubeletClientDefaults, securityDefaults } from './options.ts';
import type { Registry } from './registry/registry.ts';
import { createStreaming } from './streaming/streaming.ts';
import { watchTlsFiles } from './tls-files.ts';
import { startUpkeep } from './upkeep.ts';
import { startWatchCache, type WatchCache } from './watch-cache.ts';

export type { ApiServerOptions, TlsFiles } from './options.ts';

export interface ApiServer extends Daemon {
  /** Where it listens: the secure port, then the inherited socket if there is one. */
  readonly addresses: readonly AddressInfo[];
}

/**
 * Starts the API server: store -> watch cache -> what every cluster has -> sockets. `store` replaces the embedded one, for tests.
 * @throws Error in plain words: folder in use, port in use, files that cannot be read, plain HTTP beyond loopback.
 */
export async function startApiServer(options: ApiServerOptions, context: DaemonContext, store?: Store): Promise<ApiServer> {
  const opened = store ?? (await openStore(options, context));
  const undo: (() => unknown)[] = [() => opened.close()];
  try {
    const cache = await startWatchCache(kinds, opened, context.clock);
    undo.push(() => cache.stop());
    const access = startAccess(options, cache, context);
    undo.push(() => access.stop());
    const registry = createRegistry(options, context, opened, cache, access);
    await ensureSystemNamespaces(registry);
    await ensureDefaultPolicy(registry);
    if (options.initialObjects !== undefined) await ensureInitialObjects(registry, options.initialObjects);
    const aggregation = startClusterRoleAggregation(registry, context.log);
    undo.push(() => aggregation.stop());
    const watches = createWatches();
    const streaming = createStreaming(registry, watches, context.clock, { ...kubeletClientDefaults, ...options.kubelet });
    undo.push(() => streaming.close());
    const app = await createApp({
      registry,
      watches,
      streaming,
      access: access.chain,
      reviews: access.reviews,
      openId: access.openId,
      metrics: createServerMetrics(context.metrics, kinds, opened, cache),
      serverAddress: joinHostPort(options.advertiseAddress, options.securePort),
      context,
    });
    const listeners = await startListeners(options, (request, response) => app.routing(request, response));
    undo.push(() => listeners.close());
    if (options.tls) {
      const files = watchTlsFiles(options.tls, context, (next, before) => listeners.renewTls(next, before));
      undo.push(() => files.stop());
    }
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

function createRegistry(
  options: ApiServerOptions,
  { clock, health }: DaemonContext,
  store: Store,
  cache: WatchCache,
  access: Access,
): Registry {
  const namespaces = kindOf(resources.namespaces);
  const runtimeClasses = kindOf(resources.runtimeClasses);
  const pool = { cidrs: options.serviceClusterIPRanges, nodePorts: options.serviceNodePortRange, random: Math.random };
  if (store.shared) health.addReady('etcd', () => store.problem());
  health.addReady('storage', () => (cache.revision() >= store.revision() ? undefined : 'the watch cache is behind the store'));
  return {
    store,
    cache,
    clock,
    random: Math.random,
    admission: [
      namespaceLifecycle((name) => cache.of(namespaces).get(storeKey(namespaces.resource, undefined, name))),
      priority,
      runtimeClass((name) => cache.of(runtimeClasses).get(storeKey(runtimeClasses.resource, undefined, name))),
      defaultTolerationSeconds,
      ...optionalAdmission(options, access, clock),
      rbacEscalation({ index: access.rbac.index, authorize: access.chain.authorize }),
    ],
    allocators: new Map([
      [
        'services',
        serviceAllocator(
          () => cache.of(kindOf(resources.services)),
          () => cache.keyRevision(serviceRangesKey),
          pool,
        ),
      ],
    ]),
  };
}

/** Plugins that `--disable-admission-plugins` leaves out. */
function optionalAdmission({ security }: ApiServerOptions, { find }: Access, clock: Clock): AdmissionPlugin[] {
  const disabled = security?.disabledAdmission ?? securityDefaults.disabledAdmission;
  return [serviceAccountAdmission({ find, clock, random: Math.random })].filter(({ name }) => !disabled.includes(name));
}
