import { type AnyObject, allocateServiceAddresses, type ServicePool, type ServiceUse, serviceUse } from '../../objects/index.ts';
import { type CachedObject, storePrefix } from '../cached-object.ts';
import type { Allocator } from '../registry/registry.ts';
import type { ReadableResource } from '../viewed-resource.ts';

/** Changes whenever addresses or node ports are taken, by whichever server. */
export const serviceRangesKey = '/registry/ranges/services';

/**
 * Cluster IPs and node ports. What is taken is computed from the Services that stand, so nothing can leak. Writes of Services run one at a time
 * here; and each that takes something also writes the common key, on the condition that nobody wrote it since these Services were looked at. So
 * nothing is given twice, by other servers neither. The addresses are stored with the Service itself, in the same transaction.
 */
export function serviceAllocator(
  services: () => ReadableResource,
  rangesRevision: () => number,
  pool: Omit<ServicePool, 'used'>,
): Allocator {
  let last: Promise<unknown> = Promise.resolve();
  return {
    allocate(object, old) {
      const cache = services();
      const used = together(cache.list(storePrefix(cache.kind.resource)).map(useOf));
      const { service, causes } = allocateServiceAddresses(object, old, { ...pool, used });
      const taken = newlyTaken(service, old);
      if (taken.clusterIPs.length === 0 && taken.nodePorts.length === 0) return { object: service, causes, conditions: [], writes: [] };
      return {
        object: service,
        causes,
        conditions: [{ key: serviceRangesKey, modRevision: rangesRevision() }],
        writes: [{ put: { key: serviceRangesKey, value: JSON.stringify(toRecord(service, taken)) } }],
      };
    },
    exclusively(write) {
      const run = last.then(write);
      last = run.catch(() => {});
      return run;
    },
  };
}

/** What each Service holds is read out of it once: with thousands of them every write of one would parse them all. */
const uses = new WeakMap<CachedObject, ServiceUse>();

function useOf(service: CachedObject): ServiceUse {
  const known = uses.get(service);
  if (known) return known;
  const use = serviceUse([service.parse()]);
  uses.set(service, use);
  return use;
}

function together(all: readonly ServiceUse[]): ServiceUse {
  const addresses = new Set<string>();
  const nodePorts = new Set<number>();
  for (const use of all) {
    for (const ip of use.addresses) addresses.add(ip);
    for (const port of use.nodePorts) nodePorts.add(port);
  }
  return { addresses, nodePorts };
}

interface Taken {
  readonly clusterIPs: string[];
  readonly nodePorts: number[];
}

function newlyTaken(service: AnyObject, old: AnyObject | undefined): Taken {
  const now = serviceUse([service]);
  const before: ServiceUse = serviceUse(old ? [old] : []);
  return {
    clusterIPs: [...now.addresses].filter((ip) => !before.addresses.has(ip)),
    nodePorts: [...now.nodePorts].filter((port) => !before.nodePorts.has(port)),
  };
}

/** For a person who looks into the store; only the key's revision matters. */
const toRecord = ({ metadata }: AnyObject, taken: Taken): object => ({
  kind: 'ServiceRanges',
  lastTaken: { ...taken, by: `${metadata.namespace}/${metadata.name}` },
});
