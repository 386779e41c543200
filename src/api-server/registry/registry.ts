import type { AnyObject, KindDeclaration, StatusCause } from '../../objects/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Store, StoreCondition } from '../../storage/index.ts';
import type { User } from '../access.ts';
import type { AdmissionPlugin } from '../admission/admission.ts';
import type { WatchCache } from '../watch-cache.ts';

/** Last step before a kind's objects are stored, for values that come out of what other objects hold. */
export interface Allocator {
  /** The object with its values filled in, and what is wrong with those it asks for. The input is not changed. */
  allocate(object: AnyObject, old: AnyObject | undefined): { readonly object: AnyObject; readonly causes: StatusCause[] };
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
}

/** The object as the client gets it. */
export interface WriteResult {
  readonly json: string;
  readonly name: string;
}

/** Tries of a write whose conditions did not hold, before the client is told. */
export const maxTries = 100;

export const runExclusively = <T>(registry: Registry, kind: KindDeclaration, write: () => Promise<T>): Promise<T> => {
  const allocator = registry.allocators.get(kind.resource.plural);
  return allocator ? allocator.exclusively(write) : write();
};

/** Now, as meta/v1 Time: RFC 3339, UTC, whole seconds. */
export const timestamp = (clock: Clock, offsetSeconds = 0): string =>
  new Date(clock.now() + offsetSeconds * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');

export type { StoreCondition };
