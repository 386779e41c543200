import type { AnyObject, KindDeclaration, StatusCause } from '../../objects/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Store, StoreCondition, StoreWrite } from '../../storage/index.ts';
import type { User } from '../access.ts';
import type { AdmissionPlugin } from '../admission/admission.ts';
import type { CachedObject } from '../cached-object.ts';
import { StatusError } from '../status-errors.ts';
import type { WatchCache } from '../watch-cache.ts';

export interface Allocation {
  readonly object: AnyObject;
  readonly causes: StatusCause[];
  /** What the write of the object is to depend on, and to bring about besides, so that no other server gives the same values away. */
  readonly conditions: readonly StoreCondition[];
  readonly writes: readonly StoreWrite[];
}

/** Last step before a kind's objects are stored, for values that come out of what other objects hold. */
export interface Allocator {
  /** The object with its values filled in, and what is wrong with those it asks for. The input is not changed. */
  allocate(object: AnyObject, old: AnyObject | undefined): Allocation;
  /** Runs one write at a time, so that each sees what those before it took. */
  exclusively<T>(write: () => Promise<T>): Promise<T>;
}

/** What reading and writing objects needs. */
export interface Registry {
  readonly store: Store;
  readonly cache: WatchCache;
  readonly clock: Clock;
  /** In [0, 1), for generated names. */
  readonly random: () => number;
  readonly admission: readonly AdmissionPlugin[];
  /** By plural. */
  readonly allocators: ReadonlyMap<string, Allocator>;
}

/** One write. */
export interface WriteContext {
  readonly user: User;
  readonly dryRun: boolean;
  /** Who is recorded as the owner of what is written (managedFields); the server itself unless told. */
  readonly manager?: string;
}

/** What happens to metadata.managedFields: `tracked` records who writes, `given` leaves them as the object to be written has them. */
export type Owners = 'tracked' | 'given';

/** The name under which the server owns what it writes by itself. */
export const ownManager = 'kube-apiserver';

/** The object as the client gets it. */
export interface WriteResult {
  readonly json: string;
  readonly name: string;
}

/** Tries of a write whose conditions did not hold, before the client is told. */
export const maxTries = 100;

/**
 * Runs a write: one at a time where values are allocated. What is refused by what this server knew is tried once more when other servers write as
 * well and it turns out that they had. @throws what the write throws
 */
export async function runWrite<T>(registry: Registry, kind: KindDeclaration, write: () => Promise<T>): Promise<T> {
  const { allocators, cache, store } = registry;
  const allocator = allocators.get(kind.resource.plural);
  const run = (): Promise<T> => (allocator ? allocator.exclusively(write) : write());
  if (!store.shared) return run();
  const before = cache.revision();
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    await store.consistentRevision();
    if (cache.revision() === before) throw error;
    return run();
  }
}

/** Whether an object is what stands in the store too, not only here: asked before a write that would change nothing is answered without it. */
export async function stillStands({ cache, store }: Registry, kind: KindDeclaration, object: CachedObject): Promise<boolean> {
  if (!store.shared) return true;
  await store.consistentRevision();
  return cache.of(kind).get(object.key)?.revision === object.revision;
}

/** Now, as meta/v1 Time: RFC 3339, UTC, whole seconds. */
export const timestamp = (clock: Clock, offsetSeconds = 0): string =>
  new Date(clock.now() + offsetSeconds * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');

export type { StoreCondition };
