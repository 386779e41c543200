import type { ClusterCache } from '../../kube/cluster-cache.ts';
import { type KubeObject, type Lease, type Pod, type Resource, resources } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type AssumedStore, createAssumedStore } from './store.ts';
import type { ClusterView, Located } from '../view.ts';
import { resourceKey, watched } from '../watched.ts';

export interface LiveView extends ClusterView {
  store(resource: Resource): AssumedStore;
  /** Called after the view changed. One listener a resource and controller; returns a function that stops it. */
  onChange(resource: Resource, listener: (before: KubeObject | undefined, after: KubeObject | undefined) => void): () => void;
  readonly synced: boolean;
  /** The resources that have not been listed yet: what the API server does not serve or does not allow shows here. */
  readonly unsynced: readonly string[];
  whenSynced(): Promise<void>;
  stop(): void;
}

export interface LiveViewParts {
  readonly cluster: ClusterCache;
  readonly clock: Clock;
  /** Since when, by the monotonic clock, the API server has been in touch without a break; undefined while it is not. */
  inTouchSince(): number | undefined;
}

const sweepInterval = 30_000;

/** The cluster as the watch caches show it, with our own writes in it and the indexes that controllers ask by. */
export function createLiveView({ cluster, clock, inTouchSince }: LiveViewParts): LiveView {
  const listeners = new Map<string, Set<(before: KubeObject | undefined, after: KubeObject | undefined) => void>>();
  const leaseSeen = new Map<string, number>();
  const informers = watched.map((resource) => ({ resource, informer: cluster.informer(resource) }));

  const leases = cluster.informer(resources.leases);
  const seeLease = (before: Lease | undefined, after: Lease | undefined): void => {
    const { namespace, name } = (after ?? before)!.metadata;
    if (namespace !== 'kube-node-lease') return;
    if (!after) leaseSeen.delete(name);
    else if (before?.spec?.renewTime !== after.spec?.renewTime || before?.metadata.uid !== after.metadata.uid)
      leaseSeen.set(name, clock.monotonic());
  };
  for (const lease of leases.store.values()) seeLease(undefined, lease);
  // Before the stores: a controller that a lease's change wakes must see it as renewed.
  const unsubscribe = leases.onChange(seeLease);

  const stores = new Map(
    informers.map(({ resource, informer }) => {
      const notify = (before: KubeObject | undefined, after: KubeObject | undefined): void => {
        for (const listener of listeners.get(resourceKey(resource)) ?? []) listener(before, after);
      };
      return [resourceKey(resource), createAssumedStore(resource, informer, clock, notify)];
    }),
  );
  const storeOf = (resource: Resource): AssumedStore => {
    const store = stores.get(resourceKey(resource));
    if (!store) throw new Error(`the controllers do not watch ${resource.plural}`);
    return store;
  };

  let cancelSweep = (): void => {};
  const sweep = (): void => {
    for (const store of stores.values()) store.sweep();
    cancelSweep = clock.setTimer(sweepInterval, sweep);
  };
  cancelSweep = clock.setTimer(sweepInterval, sweep);

  return {
    get now() {
      return clock.now();
    },
    get: <T extends KubeObject>(resource: Resource<T>, key: string) => storeOf(resource).get(key) as T | undefined,
    list: <T extends KubeObject>(resource: Resource<T>, namespace?: string) =>
      (namespace === undefined ? storeOf(resource).all() : storeOf(resource).by('namespace', namespace)) as readonly T[],
    owned: <T extends KubeObject>(resource: Resource<T>, ownerUid: string) => storeOf(resource).by('owner', ownerUid) as readonly T[],
    dependents(ownerUid) {
      if (ownerUid === '') return [];
      return watched.flatMap((resource) =>
        storeOf(resource)
          .by('owner', ownerUid)
          .map((object): Located => ({ resource, object })),
      );
    },
    podsOnNode: (nodeName) => storeOf(resources.pods).by('node', nodeName) as readonly Pod[],
    leaseSeenAt(nodeName) {
      const seen = leaseSeen.get(nodeName);
      const since = inTouchSince();
      if (since === undefined) return clock.now();
      return seen === undefined ? undefined : clock.now() - (clock.monotonic() - Math.max(seen, since));
    },
    store: storeOf,
    onChange(resource, listener) {
      const set = listeners.get(resourceKey(resource)) ?? new Set();
      listeners.set(resourceKey(resource), set);
      set.add(listener);
      return () => void set.delete(listener);
    },
    get synced() {
      return informers.every(({ informer }) => informer.synced);
    },
    get unsynced() {
      return informers.filter(({ informer }) => !informer.synced).map(({ resource }) => resource.plural);
    },
    async whenSynced() {
      await Promise.all(informers.map(({ informer }) => informer.whenSynced()));
    },
    stop() {
      cancelSweep();
      unsubscribe();
      for (const store of stores.values()) store.stop();
    },
  };
}
