import { type ServiceError, status } from '@grpc/grpc-js';
import { CompactedError, StoreError } from '../store.ts';

/** What a failed call means for who made it. */
export type Failure =
  /** The same call may succeed in a moment, here or at another member; it was not carried out. */
  | 'refused'
  /** The connection or the member failed while it was under way: a read can be asked again, a write may have been made. */
  | 'broken'
  /** Asking again would not help. */
  | 'final';

const isServiceError = (error: unknown): error is ServiceError => error instanceof Error && 'code' in error && 'details' in error;

/** Classifies by gRPC's code and etcd's own texts (etcd's api/v3rpc/rpctypes). */
export function failureOf(error: unknown): Failure {
  if (!isServiceError(error)) return 'final';
  if (error.details.includes('too many requests')) return 'refused';
  switch (error.code) {
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
    case status.INTERNAL:
    case status.UNKNOWN:
    case status.ABORTED:
      return 'broken';
    default:
      return 'final';
  }
}

/** A call's error as the store's, naming the member. `outcomeUnknown`: it was a write that may have been made. */
export function toStoreError(error: unknown, endpoint: string, outcomeUnknown: boolean): StoreError | CompactedError {
  if (error instanceof StoreError || error instanceof CompactedError) return error;
  if (!isServiceError(error)) return new StoreError('unavailable', `etcd at ${endpoint}: ${(error as Error).message}`, { cause: error });
  const details = error.code === status.DEADLINE_EXCEEDED ? `it does not answer in time (${error.details})` : error.details;
  const say = (reason: ConstructorParameters<typeof StoreError>[0], text: string): StoreError =>
    new StoreError(reason, `etcd at ${endpoint}: ${text}`, { cause: error });
  if (details.includes('database space exceeded')) {
    return say('full', `${details}. Compact and defragment it or raise its quota, then disarm the alarm with etcdctl alarm disarm`);
  }
  if (details.includes('request is too large')) return say('invalid', details);
  if (outcomeUnknown) return say('unknown', `${details}; the write may have been made or not`);
  return say('unavailable', details);
}

/** Whether a range or watch asked for a revision that is compacted (etcd: "required revision has been compacted"). */
export const isCompacted = (error: unknown): boolean =>
  isServiceError(error) && error.code === status.OUT_OF_RANGE && error.details.includes('compacted');

/** Whether a put named a lease that has run out. */
export const isLeaseGone = (error: unknown): boolean => isServiceError(error) && error.details.includes('requested lease not found');
