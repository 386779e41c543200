import type { DaemonContext } from '../runtime/daemon.ts';
import { expireEvents } from './event-expiry.ts';
import { ensureKubernetesService, type KubernetesServiceOptions } from './kubernetes-service.ts';
import type { Registry } from './registry/registry.ts';
import { createServerLeases } from './server-leases.ts';

/** Between two looks (ms). */
const interval = 10_000;

export interface UpkeepOptions extends KubernetesServiceOptions {
  /** How long events are kept (seconds), where the store does not see to that itself. */
  readonly eventTtlSeconds: number;
}

export interface Upkeep {
  /** The first look, done. */
  readonly first: Promise<void>;
  stop(): Promise<void>;
}

/**
 * What the server itself keeps right: its own Service, its lease among the servers on a shared store, and events past their time. A failure is
 * logged and tried again.
 */
export function startUpkeep(registry: Registry, { clock, log, health }: DaemonContext, options: UpkeepOptions): Upkeep {
  const own = { ip: options.advertiseAddress, port: options.securePort };
  const leases = registry.store.shared ? createServerLeases(registry.store, own, clock) : undefined;
  let stopped = false;
  let cancel = (): void => {};
  let problem: string | undefined = 'not yet created';
  health.addReady('kubernetes-service', () => problem);
  const turn = async (): Promise<void> => {
    try {
      await ensureKubernetesService(registry, options, await leases?.renew());
      // etcd lets events go by leases.
      if (!registry.store.shared) await expireEvents(registry, options.eventTtlSeconds);
      problem = undefined;
    } catch (error) {
      problem = (error as Error).message;
      log.error({ err: error }, 'upkeep failed, will retry');
    }
    if (stopped) return;
    cancel = clock.setTimer(interval, () => {
      running = turn();
    });
  };
  let running = turn();

  /** Takes this server out of the endpoints at once, so that nobody has to wait for its lease to run out. */
  async function leave(): Promise<void> {
    try {
      const left = (await leases?.release()) ?? [];
      if (left.length > 0) await ensureKubernetesService(registry, options, left);
    } catch (error) {
      log.warn({ err: error }, 'the lease of this server stays until it runs out');
    }
  }

  return {
    first: running,
    async stop() {
      stopped = true;
      cancel();
      await running;
      if (leases) await leave();
    },
  };
}
