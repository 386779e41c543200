import { allocateServiceAddresses, type ServicePool, serviceUse } from '../../objects/index.ts';
import type { Allocator } from '../registry/registry.ts';
import type { ResourceCache } from '../resource-cache.ts';
import { storePrefix } from '../cached-object.ts';

/**
 * Cluster IPs and node ports. What is taken is computed from the Services that stand, so nothing can leak; writes of Services run one at a
 * time, so nothing is given twice. The addresses are stored with the Service itself, in one transaction.
 */
export function serviceAllocator(services: () => ResourceCache, pool: Omit<ServicePool, 'used'>): Allocator {
  let last: Promise<unknown> = Promise.resolve();
  return {
    allocate(object, old) {
      const cache = services();
      const standing = cache.list(storePrefix(cache.kind.resource)).map((service) => service.parse());
      const { service, causes } = allocateServiceAddresses(object, old, { ...pool, used: serviceUse(standing) });
      return { object: service, causes };
    },
    exclusively(write) {
      const run = last.then(write);
      last = run.catch(() => {});
      return run;
    },
  };
}
