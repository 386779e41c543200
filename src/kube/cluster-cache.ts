import type { KubeObject, Resource } from '../objects/client.ts';
import type { ListOptions } from './client.ts';
import type { Informer } from './informer.ts';

/** The watch caches of one process, shared by its daemons: asking twice for the same resource and options gives the same informer. */
export interface ClusterCache {
  informer<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Informer<T>;
  /** Waits until every informer asked for so far has synced. */
  whenSynced(): Promise<void>;
  stop(): void;
}

/** Builds each informer once. */
export function createClusterCache(
  start: <T extends KubeObject>(resource: Resource<T>, options: ListOptions) => Informer<T>,
): ClusterCache {
  const informers = new Map<string, Informer<KubeObject>>();
  return {
    informer<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Informer<T> {
      const key = [resource.group, resource.plural, options.namespace, options.labelSelector, options.fieldSelector].join('|');
      const known = informers.get(key);
      if (known) return known as unknown as Informer<T>;
      const informer = start(resource, options);
      informers.set(key, informer as unknown as Informer<KubeObject>);
      return informer;
    },
    async whenSynced() {
      await Promise.all([...informers.values()].map((informer) => informer.whenSynced()));
    },
    stop() {
      for (const informer of informers.values()) informer.stop();
    },
  };
}
