import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assetFile } from '../../runtime/program-files.ts';

/** What rpc.proto declares, as objects. Revisions and counts are numbers: they stay below 2^53. */
export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: number;
  readonly mod_revision: number;
  readonly version: number;
}

interface Header {
  readonly revision: number;
}

export interface RangeRequest {
  readonly key: Buffer;
  /** Exclusive; left out for the one key. */
  readonly range_end?: Buffer;
  readonly limit?: number;
  readonly revision?: number;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export const compareTarget = { version: 0, modRevision: 2 } as const;

/** Equality is the only result asked for. */
export type Compare = { readonly key: Buffer } & (
  | { readonly target: typeof compareTarget.version; readonly version: number }
  | { readonly target: typeof compareTarget.modRevision; readonly mod_revision: number }
);

export interface PutRequest {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease?: number;
}

export type RequestOp =
  | { readonly request_range: RangeRequest }
  | { readonly request_put: PutRequest }
  | { readonly request_delete_range: { readonly key: Buffer; readonly range_end?: Buffer } };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range: RangeResponse | null }[];
}

export interface WatchCreateRequest {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly start_revision: number;
  readonly progress_notify: boolean;
  readonly prev_kv: boolean;
  readonly fragment: boolean;
}

export interface WatchRequest {
  readonly create_request: WatchCreateRequest;
}

export interface WatchResponse {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: number;
  readonly cancel_reason: string;
  readonly fragment: boolean;
  readonly events: readonly { readonly type: number; readonly kv: KeyValue; readonly prev_kv: KeyValue | null }[];
}

export interface StatusResponse {
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly errors: readonly string[];
}

type Method<Request, Response> = MethodDefinition<Request, Response>;

export interface Methods {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly compact: Method<{ readonly revision: number; readonly physical: boolean }, object>;
  readonly watch: Method<WatchRequest, WatchResponse>;
  readonly leaseGrant: Method<{ readonly TTL: number; readonly ID: number }, object>;
  readonly status: Method<object, StatusResponse>;
  readonly defragment: Method<object, object>;
}

let loaded: Methods | undefined;

/** The methods of etcd that are used, with their codecs. Read from rpc.proto once. */
export function methods(): Methods {
  if (loaded) return loaded;
  const definition = loadSync(assetFile('storage/etcd/rpc.proto'), { keepCase: true, longs: Number, defaults: true });
  const of = (service: string, method: string): never => (definition[`etcdserverpb.${service}`] as ServiceDefinition)[method] as never;
  loaded = {
    range: of('KV', 'Range'),
    txn: of('KV', 'Txn'),
    compact: of('KV', 'Compact'),
    watch: of('Watch', 'Watch'),
    leaseGrant: of('Lease', 'LeaseGrant'),
    status: of('Maintenance', 'Status'),
    defragment: of('Maintenance', 'Defragment'),
  };
  return loaded;
}
