import { type KubeObject, objectKey, type Pod, type Resource, toTime } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Informer } from '../../kube/informer.ts';
import { controllerOf } from '../metadata.ts';

/** Something we wrote that the watch has not shown us yet. */
type Overlay = { readonly until: number; readonly uid: string } & (
  | { readonly kind: 'written'; readonly object: KubeObject }
  | { readonly kind: 'deleting'; readonly at: string }
  | { readonly kind: 'bound'; readonly nodeName: string }
);

/** A write that the watch has not confirmed after this long (ms) is no longer believed in. */
const believed = 60_000;

export type StoreListener = (before: KubeObject | undefined, after: KubeObject | undefined) => void;

/**
 * The watch cache of one resource with our own writes in it: what a reconcile did is seen by the next one, however late the watch is. This takes
 * the place of the reference's expectations: nothing is created or deleted twice because the cache has not caught up.
 */
export interface AssumedStore {
  get(key: string): KubeObject | undefined;
  all(): readonly KubeObject[];
  /** Objects under an index: by namespace, by the uid of an owner ('' has those without a controller), by the node of a pod. */
  by(index: 'namespace' | 'owner' | 'node', value: string): readonly KubeObject[];
  /** The API server answered a write with this object. */
  written(object: KubeObject): void;
  /** The API server accepted the deletion of the object. */
  deleting(object: KubeObject): void;
  /** The pod is about to be bound; the returned function takes it back when that failed. */
  bound(pod: Pod, nodeName: string): () => void;
  /** Drops what is no longer believed in. */
  sweep(): void;
  stop(): void;
}

export function createAssumedStore(
  resource: Resource,
  informer: Informer<KubeObject>,
  clock: Clock,
  listener: StoreListener,
): AssumedStore {
  const everything = new Bucket();
  const indexes = { namespace: new Map<string, Bucket>(), owner: new Map<string, Bucket>(), node: new Map<string, Bucket>() };
  const overlays = new Map<string, Overlay[]>();
  const removed = new Map<string, number>();

  function refresh(key: string): void {
    const before = everything.get(key);
    const after = (overlays.get(key) ?? []).reduce(applyOverlay, informer.store.get(key));
    if (before === after) return;
    if (before) for (const [index, value] of indexValues(resource, before)) dropFrom(indexes[index], value, key);
    if (after) for (const [index, value] of indexValues(resource, after)) addTo(indexes[index], value, key, after);
    everything.set(key, after);
    if (!isEcho(before, after)) listener(before, after);
  }

  function change(before: KubeObject | undefined, after: KubeObject | undefined): void {
    const key = objectKey((after ?? before)!);
    if (before && before.metadata.uid !== after?.metadata.uid) removed.set(before.metadata.uid ?? '', clock.monotonic() + believed);
    const left = (overlays.get(key) ?? []).filter((overlay) => !isSettled(overlay, before, after));
    if (left.length > 0) overlays.set(key, left);
    else overlays.delete(key);
    refresh(key);
  }

  function add(key: string, overlay: Overlay): void {
    const others = (overlays.get(key) ?? []).filter(({ kind }) => kind !== overlay.kind);
    overlays.set(key, overlay.kind === 'written' ? [overlay, ...others] : [...others, overlay]);
    refresh(key);
  }

  const until = (): number => clock.monotonic() + believed;
  const unsubscribe = informer.onChange(change);
  for (const key of informer.store.keys()) refresh(key);
  return {
    get: (key) => everything.get(key),
    all: () => everything.list(),
    by: (index, value) => indexes[index].get(value)?.list() ?? [],
    written(object) {
      const { uid = '' } = object.metadata;
      const key = objectKey(object);
      const seen = informer.store.get(key);
      if (removed.has(uid) || (seen?.metadata.uid === uid && isAtLeast(seen, object))) return;
      add(key, { kind: 'written', uid, object, until: until() });
    },
    deleting(object) {
      const { uid = '' } = object.metadata;
      if (!removed.has(uid)) add(objectKey(object), { kind: 'deleting', uid, at: toTime(clock.now()), until: until() });
    },
    bound(pod, nodeName) {
      const key = objectKey(pod);
      const overlay: Overlay = { kind: 'bound', uid: pod.metadata.uid ?? '', nodeName, until: until() };
      add(key, overlay);
      return () => {
        overlays.set(
          key,
          (overlays.get(key) ?? []).filter((other) => other !== overlay),
        );
        refresh(key);
      };
    },
    sweep() {
      const now = clock.monotonic();
      for (const [uid, expiry] of removed) if (expiry <= now) removed.delete(uid);
      for (const [key, list] of overlays) {
        const left = list.filter((overlay) => overlay.until > now);
        if (left.length === list.length) continue;
        if (left.length > 0) overlays.set(key, left);
        else overlays.delete(key);
        refresh(key);
      }
    },
    stop: unsubscribe,
  };
}

function applyOverlay(object: KubeObject | undefined, overlay: Overlay): KubeObject | undefined {
  if (overlay.kind === 'written')
    return object && object.metadata.uid === overlay.uid && isAtLeast(object, overlay.object) ? object : overlay.object;
  if (!object || object.metadata.uid !== overlay.uid) return object;
  if (overlay.kind === 'deleting')
    return object.metadata.deletionTimestamp ? object : { ...object, metadata: { ...object.metadata, deletionTimestamp: overlay.at } };
  const { spec } = object as Pod;
  return spec.nodeName ? object : ({ ...object, spec: { ...spec, nodeName: overlay.nodeName } } as KubeObject);
}

/** Whether the watch has shown what the overlay says, or that it no longer matters. */
function isSettled(overlay: Overlay, before: KubeObject | undefined, after: KubeObject | undefined): boolean {
  if (after?.metadata.uid !== overlay.uid)
    return before?.metadata.uid === overlay.uid || (after !== undefined && overlay.kind !== 'written');
  if (overlay.kind === 'written') return isAtLeast(after, overlay.object);
  return overlay.kind === 'deleting' ? after.metadata.deletionTimestamp !== undefined : (after as Pod).spec.nodeName !== undefined;
}

/** Revisions of one resource can be compared as numbers (KEP-5504). Where they are no numbers, whatever the watch shows is taken for newer. */
function isAtLeast(a: KubeObject, b: KubeObject): boolean {
  const [x, y] = [a, b].map(({ metadata }) => Number(metadata.resourceVersion ?? Number.NaN)) as [number, number];
  return !(x < y);
}

const isEcho = (before: KubeObject | undefined, after: KubeObject | undefined): boolean =>
  before !== undefined &&
  after !== undefined &&
  before.metadata.uid === after.metadata.uid &&
  before.metadata.resourceVersion === after.metadata.resourceVersion &&
  before.metadata.resourceVersion !== undefined &&
  before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
  (before as Pod).spec?.nodeName === (after as Pod).spec?.nodeName;

function* indexValues({ plural }: Resource, object: KubeObject): Iterable<['namespace' | 'owner' | 'node', string]> {
  yield ['namespace', object.metadata.namespace ?? ''];
  for (const { uid } of object.metadata.ownerReferences ?? []) yield ['owner', uid];
  if (!controllerOf(object)) yield ['owner', ''];
  if (plural === 'pods') yield ['node', (object as Pod).spec.nodeName ?? ''];
}

/** A map whose values can be had as an array without making one each time. */
class Bucket {
  readonly #items = new Map<string, KubeObject>();
  #list: readonly KubeObject[] | undefined;

  get size(): number {
    return this.#items.size;
  }

  get(key: string): KubeObject | undefined {
    return this.#items.get(key);
  }

  set(key: string, object: KubeObject | undefined): void {
    if (object) this.#items.set(key, object);
    else this.#items.delete(key);
    this.#list = undefined;
  }

  list(): readonly KubeObject[] {
    this.#list ??= [...this.#items.values()];
    return this.#list;
  }
}

function addTo(index: Map<string, Bucket>, value: string, key: string, object: KubeObject): void {
  const bucket = index.get(value) ?? new Bucket();
  index.set(value, bucket);
  bucket.set(key, object);
}

function dropFrom(index: Map<string, Bucket>, value: string, key: string): void {
  const bucket = index.get(value);
  bucket?.set(key, undefined);
  if (bucket?.size === 0) index.delete(value);
}
