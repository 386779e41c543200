import type { ClusterCache } from '../../kube/cluster-cache.ts';
import { type KubeObject, type Lease, type Pod, type Resource, resources } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type AssumedStore, createAssumedStore } from './store.ts';
import type { ClusterView, Located } from '../view.ts';

/** The resources that the controllers watch: all but Events, which are many and decide nothing. */
const watchedResources: readonly Resource[] = Object.values(resources).filter(({ plural }) => plural !== 'events');

export interface LiveView extends ClusterView {
  store(resource: Resource): AssumedStore;
  /** Called after the view changed. One listener a resource and controller; returns a function that stops it. */
  onChange(resource: Resource, listener: (before: KubeObject | undefined, after: KubeObject | undefined) => void): () => void;
  readonly synced: boolean;
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
  const informers = watchedResources.map((resource) => ({ resource, informer: cluster.informer(resource) }));

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
        for (const listener of listeners.get(resource.plural) ?? []) listener(before, after);
      };
      return [resource.plural, createAssumedStore(resource, informer, clock, notify)];
    }),
  );
  const storeOf = (resource: Resource): AssumedStore => {
    const store = stores.get(resource.plural);
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
      return watchedResources.flatMap((resource) =>
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
      const set = listeners.get(resource.plural) ?? new Set();
      listeners.set(resource.plural, set);
      set.add(listener);
      return () => void set.delete(listener);
    },
    get synced() {
      return informers.every(({ informer }) => informer.synced);
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
