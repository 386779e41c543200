import { StoreError, type StoredValue } from '../store.ts';
import type { KeyValue } from './rpc.ts';

/** Under which the store's keys are, and in etcd those of `--etcd-prefix` instead. */
const logicalRoot = '/registry';

/**
 * What the servers on one etcd keep there for each other, beside the objects; no resource has this name. The fence is written to learn how far a
 * watch has come; the compaction tells up to which revision history was dropped.
 */
export const fenceKey = '/registry/podwire/fence';
export const compactionKey = '/registry/podwire/compaction';

/** Between the store's keys and etcd's: `/registry/pods/a/b` and `PREFIX/pods/a/b`. */
export interface KeySpace {
  /** @throws StoreError `invalid` for a key outside of /registry/. */
  encode(key: string): Buffer;
  decode(key: Buffer): string;
  /** First and one past the last of all keys that start with the prefix. */
  range(prefix: string): { key: Buffer; range_end: Buffer };
  /** @throws StoreError `foreign` when the value is not text. */
  toStored(kv: KeyValue): StoredValue;
}

/** @throws StoreError `invalid` for a prefix that is no path. */
export function createKeySpace(prefix: string): KeySpace {
  const root = `/${prefix.replace(/^\/+|\/+$/g, '')}`;
  if (root === '/' || root.includes('//')) {
    throw new StoreError('invalid', `the etcd prefix ${JSON.stringify(prefix)} must be a path such as /registry`);
  }
  const encode = (key: string): Buffer => {
    if (!key.startsWith(`${logicalRoot}/`)) throw new StoreError('invalid', `${JSON.stringify(key)} is not under ${logicalRoot}/`);
    return Buffer.from(root + key.slice(logicalRoot.length));
  };
  const decode = (key: Buffer): string => logicalRoot + key.toString().slice(root.length);
  return {
    encode,
    decode,
    range(start) {
      const key = encode(start);
      return { key, range_end: prefixEnd(key) };
    },
    toStored: ({ key, value, create_revision, mod_revision }) => ({
      key: decode(key),
      value: toText(key, value),
      createRevision: create_revision,
      modRevision: mod_revision,
    }),
  };
}

/** The first key after all that start with `prefix`: its last byte one up. No UTF-8 text has the byte 0xff. */
function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]!++;
  return end;
}

/** How kube-apiserver marks values that are protobuf ("k8s" and a zero byte). */
const protobufMark = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

function toText(key: Buffer, value: Buffer): string {
  if (value.subarray(0, 4).equals(protobufMark)) {
    throw new StoreError(
      'foreign',
      `${key.toString()} in etcd holds protobuf, which another kind of API server wrote; choose a prefix of its own with --etcd-prefix`,
    );
  }
  return value.toString();
}
