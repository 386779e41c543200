import {
  maxWrites,
  StoreError,
  type StoredValue,
  type StoreEvent,
  type StoreOutcome,
  type StoreTransaction,
  type StoreWrite,
} from './store.ts';

/** Longest key in bytes: what lmdb takes (1978) less room for its encoding. */
const MAX_KEY_BYTES = 1_900;
/** Longest value in bytes; etcd's own default limit for a request. */
const MAX_VALUE_BYTES = 1.5 * 1024 * 1024;

/** Refuses what no backend takes. @throws StoreError with reason `invalid`, naming the key. */
export function checkTransaction(transaction: StoreTransaction): void {
  if (transaction.writes.length === 0) throw new StoreError('invalid', 'a transaction needs at least one write');
  if (Math.max(transaction.conditions.length, transaction.writes.length) > maxWrites)
    throw new StoreError('invalid', `a transaction has at most ${maxWrites} conditions and ${maxWrites} writes`);
  for (const condition of transaction.conditions) checkKey(condition.key);
  const written = new Set<string>();
  for (const write of transaction.writes) {
    const key = keyOf(write);
    checkKey(key);
    if (written.has(key)) throw new StoreError('invalid', `${key} is written twice in one transaction`);
    written.add(key);
    if (!('put' in write)) continue;
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

const keyOf = (write: StoreWrite): string => ('put' in write ? write.put.key : write.delete.key);

export type Evaluation = { readonly outcome: StoreOutcome; readonly events: readonly StoreEvent[] };

/**
 * What a transaction does to the state that `read` shows, when the last revision is `revision`. Pure but for `read`.
 * Its changes share one revision. Deleting a key that does not exist changes nothing and takes none.
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
  const next = revision + 1;
  for (const write of transaction.writes) {
    const key = keyOf(write);
    const previous = read(key);
    if ('put' in write) events.push({ type: 'put', key, value: write.put.value, ...(previous ? { previous } : {}), revision: next });
    else if (previous) events.push({ type: 'delete', key, value: previous.value, previous, revision: next });
  }
  return { outcome: { ok: true, revision: events.length > 0 ? next : revision }, events };
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
