import { type KubeObject, objectKey, type Resource, resources, toTime } from '../objects/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { DeleteOptions, KubeClient, ListOptions, PatchType, WatchEvent } from './client.ts';
import { applyFakePatch } from './fake-client-patch.ts';
import { conflict, forbidden, type Json, notFound, prepareCreate, prepareUpdate, refuse } from './fake-client-rules.ts';
import { fakeSelects } from './fake-client-select.ts';
import type { FakeCluster } from './fake-cluster.ts';

export interface FakeClient extends KubeClient {
  /** Every write that was accepted, oldest first, as `create pods default/web-x1`; a subresource follows as `update pods/status default/web-x1`. */
  readonly writes: readonly string[];
  /** From now on the watch caches do not hear of writes (reads and lists of the client do). */
  hold(): void;
  /** The watch caches catch up. */
  release(): void;
  /** Makes a matching call reject before it has any effect, until the returned function is called. */
  failWhen(matches: (write: string) => Error | undefined): () => void;
}

/**
 * A stateful KubeClient over the stores of a fake cluster. Refuses what the API server refuses: stale revisions, wrong uids, names taken or
 * missing, namespaces that do not exist or are ending, immutable fields, binding a pod twice. Calls take effect at once and resolve a turn later.
 */
export function createFakeClient(cluster: FakeCluster, clock: Pick<Clock, 'now'>, random: () => number = Math.random): FakeClient {
  const writes: string[] = [];
  const failures = new Set<(write: string) => Error | undefined>();
  /** Written but not yet published; undefined is a deletion. */
  const held = new Map<string, { resource: Resource; key: string; object: Json | undefined }[]>();
  let holding = false;
  let revision = 1_000;
  let uids = 0;

  const slot = (resource: Resource, key: string): string => `${resource.plural}|${key}`;
  const keyOf = (resource: Resource, name: string, namespace?: string): string => (resource.namespaced ? `${namespace}/${name}` : name);

  function read(resource: Resource, key: string): Json | undefined {
    const pending = held.get(slot(resource, key));
    if (pending?.length) return pending.at(-1)!.object;
    return cluster.informer(resource).store.get(key) as Json | undefined;
  }

  function all(resource: Resource): Json[] {
    const keys = new Set(cluster.informer(resource).store.keys());
    for (const [entry] of held.values()) if (entry && entry.resource.plural === resource.plural) keys.add(entry.key);
    return [...keys].flatMap((key) => read(resource, key) ?? []);
  }

  function publish(resource: Resource, key: string, object: Json | undefined): void {
    if (object) cluster.set(resource, object);
    else cluster.remove(resource, key);
  }

  function store(resource: Resource, key: string, object: Json | undefined): void {
    revision++;
    const frozen = object && structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } });
    if (!holding) return publish(resource, key, frozen);
    const entries = held.get(slot(resource, key)) ?? [];
    held.set(slot(resource, key), [...entries, { resource, key, object: frozen }]);
  }

  function accept(verb: string, resource: Resource, key: string, subresource?: string): void {
    const write = `${verb} ${resource.plural}${subresource === undefined ? '' : `/${subresource}`} ${key}`;
    for (const fails of failures) {
      const error = fails(write);
      if (error) throw error;
    }
    writes.push(write);
  }

  function existing(resource: Resource, key: string): Json {
    const object = read(resource, key);
    if (!object) throw notFound(resource, key);
    return object;
  }

  function checkNamespace(resource: Resource, namespace: string | undefined): void {
    if (!resource.namespaced) return;
    if (!namespace) throw refuse('BadRequest', 400, 'an empty namespace may not be set during creation');
    const found = read(resources.namespaces as unknown as Resource, namespace);
    if (!found && !['default', 'kube-system', 'kube-public', 'kube-node-lease'].includes(namespace)) {
      throw notFound(resources.namespaces as unknown as Resource, namespace);
    }
    if (found?.metadata.deletionTimestamp) throw forbidden(resource, namespace);
  }

  /** Stores the object, or removes it when it is being deleted and nothing holds it any more. */
  function commit(resource: Resource, object: Json): Json {
    const key = objectKey(object);
    const { deletionTimestamp, finalizers, deletionGracePeriodSeconds } = object.metadata;
    const held = (finalizers?.length ?? 0) > 0 || (object.spec?.finalizers?.length ?? 0) > 0 || (deletionGracePeriodSeconds ?? 0) > 0;
    store(resource, key, deletionTimestamp && !held ? undefined : object);
    return read(resource, key) ?? object;
  }

  function update(verb: string, resource: Resource, next: Json, subresource: string | undefined): Json {
    const key = objectKey(next);
    const before = existing(resource, key);
    accept(verb, resource, key, subresource);
    const { uid, resourceVersion } = next.metadata;
    if (uid && uid !== before.metadata.uid)
      throw conflict(resource, key, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`);
    if (resourceVersion && resourceVersion !== before.metadata.resourceVersion) {
      throw conflict(resource, key, 'the object has been modified; please apply your changes to the latest version and try again');
    }
    const prepared = prepareUpdate(resource, next, before, subresource);
    if (JSON.stringify(prepared) === JSON.stringify(before)) return before;
    return commit(resource, prepared);
  }

  function bind(resource: Resource, key: string, target: string | undefined): void {
    const pod = existing(resource, key);
    accept('create', resource, key, 'binding');
    if (!target) throw refuse('Invalid', 422, 'Binding.target.name: Required value');
    if (pod.metadata.deletionTimestamp)
      throw conflict(resource, key, `pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`);
    if (pod.spec.nodeName) throw conflict(resource, key, `pod ${pod.metadata.name} is already assigned to node "${pod.spec.nodeName}"`);
    const conditions = [
      ...(pod.status?.conditions ?? []).filter((condition: { type: string }) => condition.type !== 'PodScheduled'),
      { type: 'PodScheduled', status: 'True', lastTransitionTime: toTime(clock.now()) },
    ];
    commit(resource, { ...pod, spec: { ...pod.spec, nodeName: target }, status: { ...pod.status, conditions } });
  }

  function remove(resource: Resource, key: string, options: DeleteOptions): void {
    const object = existing(resource, key);
    accept('delete', resource, key);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid && uid !== object.metadata.uid) throw conflict(resource, key, 'Precondition failed: UID');
    if (resourceVersion && resourceVersion !== object.metadata.resourceVersion)
      throw conflict(resource, key, 'Precondition failed: ResourceVersion');
    const isPod = resource.plural === 'pods';
    const grace = isPod && object.spec.nodeName ? (options.gracePeriodSeconds ?? object.spec.terminationGracePeriodSeconds ?? 30) : 0;
    const extra =
      options.propagationPolicy === 'Foreground' ? ['foregroundDeletion'] : options.propagationPolicy === 'Orphan' ? ['orphan'] : [];
    const finalizers = [...new Set([...(object.metadata.finalizers ?? []), ...extra])];
    const deletionTimestamp = object.metadata.deletionTimestamp ?? toTime(clock.now() + grace * 1_000);
    const metadata = {
      ...object.metadata,
      deletionTimestamp,
      ...(finalizers.length ? { finalizers } : {}),
      ...(isPod ? { deletionGracePeriodSeconds: grace } : {}),
    };
    commit(resource, {
      ...object,
      metadata,
      ...(resource.plural === 'namespaces' ? { status: { ...object.status, phase: 'Terminating' } } : {}),
    });
  }

  /** Runs now, answers in a later turn, as a request does; what is handed out is the caller's own. */
  const answer = <T>(work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      try {
        const result = structuredClone(work());
        setImmediate(() => resolve(result));
      } catch (error) {
        setImmediate(() => reject(error as Error));
      }
    });

  const plain = (resource: unknown): Resource => resource as Resource;
  return {
    writes,
    hold() {
      holding = true;
    },
    release() {
      holding = false;
      const entries = [...held.values()]
        .flat()
        .sort((a, b) => Number(a.object?.metadata.resourceVersion ?? 0) - Number(b.object?.metadata.resourceVersion ?? 0));
      held.clear();
      for (const { resource, key, object } of entries) publish(resource, key, object);
    },
    failWhen(matches) {
      failures.add(matches);
      return () => void failures.delete(matches);
    },
    get: (resource, name, namespace) => answer(() => existing(plain(resource), keyOf(plain(resource), name, namespace))) as Promise<never>,
    list: (resource, options: ListOptions = {}) =>
      answer(() => ({
        resourceVersion: String(revision),
        items: all(plain(resource)).filter((object) => fakeSelects(object, options)),
      })) as Promise<never>,
    create: (resource, object) =>
      answer(() => {
        checkNamespace(plain(resource), object.metadata.namespace);
        const made = prepareCreate(plain(resource), object as Json, `uid-${++uids}`, toTime(clock.now()), random);
        const key = objectKey(made);
        accept('create', plain(resource), key);
        if (read(plain(resource), key)) throw refuse('AlreadyExists', 409, `${resource.plural} "${made.metadata.name}" already exists`);
        return commit(plain(resource), made);
      }) as Promise<never>,
    update: (resource, object, subresource) =>
      answer(() => update('update', plain(resource), object as Json, subresource)) as Promise<never>,
    patch: (resource, name, namespace, type: PatchType, patch, subresource) =>
      answer(() => {
        const before = existing(plain(resource), keyOf(plain(resource), name, namespace));
        return update('patch', plain(resource), withoutStale(applyFakePatch(type, before, patch), before, patch), subresource);
      }) as Promise<never>,
    delete: (resource, name, namespace, options = {}) =>
      answer(() => remove(plain(resource), keyOf(plain(resource), name, namespace), options)),
    createSubresource: (resource, name, namespace, subresource, body) =>
      answer(() => {
        if (subresource !== 'binding')
          throw refuse('NotFound', 404, `the server could not find the requested resource ${resource.plural}/${subresource}`);
        bind(plain(resource), keyOf(plain(resource), name, namespace), (body as { target?: { name?: string } }).target?.name);
      }),
    watch: <T extends KubeObject>(resource: Resource<T>, _revision: string, options: ListOptions, signal: AbortSignal) =>
      follow(cluster, resource, options, signal),
    close: () => Promise.resolve(),
  };
}

/** A patch that names no resourceVersion is applied to whatever stands there. */
function withoutStale(patched: Json, before: Json, patch: unknown): Json {
  const named = (patch as { metadata?: { resourceVersion?: string } } | undefined)?.metadata?.resourceVersion;
  const resourceVersion = named ?? before.metadata.resourceVersion;
  return { ...patched, metadata: { ...patched.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) } };
}

async function* follow<T extends KubeObject>(
  cluster: FakeCluster,
  resource: Resource<T>,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const events: WatchEvent<T>[] = [];
  let wake = (): void => {};
  const stop = cluster.informer(resource).onChange((before, after) => {
    const object = (after ?? before) as T;
    if (!fakeSelects(object, options)) return;
    events.push({ type: after === undefined ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED', object });
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    while (!signal.aborted) {
      const event = events.shift();
      if (event) yield event;
      else await new Promise<void>((resolve) => void (wake = resolve));
    }
  } finally {
    stop();
  }
}
