import { StoreError, type StoredValue, type StoreEvent, type StoreOutcome, type StoreTransaction } from './store.ts';

/** Longest key in bytes: what lmdb takes (1978) less room for its encoding. */
const MAX_KEY_BYTES = 1_900;
/** Longest value in bytes; etcd's own default limit for a request. */
const MAX_VALUE_BYTES = 1.5 * 1024 * 1024;

/** Refuses what no backend takes. @throws StoreError with reason `invalid`, naming the key. */
export function checkTransaction(transaction: StoreTransaction): void {
  if (transaction.writes.length === 0) throw new StoreError('invalid', 'a transaction needs at least one write');
  for (const condition of transaction.conditions) checkKey(condition.key);
  for (const write of transaction.writes) {
    if ('delete' in write) {
      checkKey(write.delete.key);
      continue;
    }
    checkKey(write.put.key);
    const size = Buffer.byteLength(write.put.value);
    if (size > MAX_VALUE_BYTES)
      throw new StoreError('invalid', `${write.put.key}: the value has ${size} bytes; at most ${MAX_VALUE_BYTES} can be stored`);
  }
}

function checkKey(key: string): void {
  if (key === '' || key.includes('\0')) throw new StoreError('invalid', `${JSON.stringify(key)} is not a usable key`);
  const size = Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES)
    throw new StoreError('invalid', `${key.slice(0, 80)}...: the key has ${size} bytes; at most ${MAX_KEY_BYTES} can be stored`);
}

export type Evaluation = { readonly outcome: StoreOutcome; readonly events: readonly StoreEvent[] };

/**
 * What a transaction does to the state that `read` shows, when the last revision is `revision`. Pure but for `read`.
 * Deleting a key that does not exist changes nothing and takes no revision.
 */
export function evaluateTransaction(
  transaction: StoreTransaction,
  revision: number,
  read: (key: string) => StoredValue | undefined,
): Evaluation {
  for (const { key, modRevision } of transaction.conditions) {
    const current = read(key);
    if ((current?.modRevision ?? 0) !== modRevision) return { outcome: { ok: false, current }, events: [] };
  }
  const events: StoreEvent[] = [];
  const written = new Map<string, StoredValue | undefined>();
  for (const write of transaction.writes) {
    const key = 'put' in write ? write.put.key : write.delete.key;
    const previous = written.has(key) ? written.get(key) : read(key);
    if (!('put' in write)) {
      if (!previous) continue;
      events.push({ type: 'delete', key, value: previous.value, previous, revision: ++revision });
      written.set(key, undefined);
      continue;
    }
    revision++;
    const { value } = write.put;
    events.push({ type: 'put', key, value, ...(previous ? { previous } : {}), revision });
    written.set(key, { key, value, createRevision: previous?.createRevision ?? revision, modRevision: revision });
  }
  return { outcome: { ok: true, revision }, events };
}

/** What stands at the event's key after it. */
export const valueAfter = (event: StoreEvent): StoredValue | undefined =>
  event.type === 'delete'
    ? undefined
    : {
        key: event.key,
        value: event.value,
        createRevision: event.previous?.createRevision ?? event.revision,
        modRevision: event.revision,
      };
