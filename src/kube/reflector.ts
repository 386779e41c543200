import { type KubeObject, objectKey, type Resource } from '../objects/client.ts';
import { backoffDelay } from '../runtime/backoff.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Logger } from '../runtime/log.ts';
import type { KubeClient, ListOptions } from './client.ts';
import { isExpired } from './errors.ts';
import type { ChangeListener, Informer } from './informer.ts';

export interface ReflectorContext {
  readonly client: KubeClient;
  readonly log: Logger;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

/**
 * Starts an informer over a KubeClient: lists, then watches from the list's revision; an ended stream is watched again from the last
 * revision seen; an expired one is listed again, and the difference told as changes. Never gives up (retry delay 50 ms to 5 s).
 */
export function startInformer<T extends KubeObject>(
  context: ReflectorContext,
  resource: Resource<T>,
  options: ListOptions = {},
): Informer<T> {
  const { client, clock, log } = context;
  const random = context.random ?? Math.random;
  const store = new Map<string, T>();
  const listeners = new Set<ChangeListener<T>>();
  const abort = new AbortController();
  const firstList = Promise.withResolvers<void>();
  let synced = false;

  const tell = (before: T | undefined, after: T | undefined): void => {
    for (const listener of listeners) {
      try {
        listener(before, after);
      } catch (error) {
        log.error({ err: error, resource: resource.plural }, 'a change listener failed');
      }
    }
  };

  function put(object: T): void {
    const key = objectKey(object);
    const before = store.get(key);
    if (before && before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    store.set(key, object);
    tell(before, object);
  }

  function remove(key: string): void {
    const before = store.get(key);
    if (!before) return;
    store.delete(key);
    tell(before, undefined);
  }

  async function list(): Promise<string> {
    const { items, resourceVersion } = await client.list(resource, options);
    const keys = new Set(items.map(objectKey));
    for (const key of [...store.keys()]) if (!keys.has(key)) remove(key);
    for (const item of items) put(item);
    if (!synced) {
      synced = true;
      firstList.resolve();
    }
    return resourceVersion;
  }

  async function follow(): Promise<void> {
    let revision: string | undefined;
    let failures = 0;
    while (!abort.signal.aborted) {
      try {
        revision ??= await list();
        const watchStart = clock.monotonic();
        let events = 0;
        for await (const event of client.watch(resource, revision, options, abort.signal)) {
          failures = 0;
          events++;
          revision = event.object.metadata.resourceVersion ?? revision;
          if (event.type === 'DELETED') remove(objectKey(event.object));
          else if (event.type !== 'BOOKMARK') put(event.object);
        }
        // A server that hangs up at once, again and again, must not be asked in a tight loop.
        if (events === 0 && clock.monotonic() - watchStart < 1_000) throw new Error(`the watch of ${resource.plural} ended at once`);
      } catch (error) {
        if (abort.signal.aborted) return;
        if (isExpired(error)) revision = undefined;
        failures++;
        const level = failures < 4 ? 'debug' : 'warn';
        log[level]({ err: error, resource: resource.plural, failures }, 'list and watch failed, will retry');
        await sleep(clock, backoffDelay(failures, { base: 50, cap: 5_000, random }), abort.signal);
      }
    }
  }

  void follow();
  return {
    store,
    get synced() {
      return synced;
    },
    whenSynced: () => firstList.promise,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop() {
      abort.abort();
      listeners.clear();
    },
  };
}
