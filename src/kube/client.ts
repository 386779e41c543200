import type { KubeObject, Resource } from '../objects/client.ts';

export interface ListOptions {
  /** Undefined lists all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectList<T> {
  readonly resourceVersion: string;
  readonly items: readonly T[];
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | {
      readonly type: 'BOOKMARK';
      readonly object: { readonly metadata: { readonly resourceVersion: string; readonly annotations?: Record<string, string> } };
    };

export type PatchType = 'merge' | 'json' | 'strategic';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/**
 * A Kubernetes API as our daemons use it; relies on nothing a real kube-apiserver lacks.
 * Every call rejects with ApiError on an error answer, and with the socket's error when the server cannot be reached.
 */
export interface KubeClient {
  get<T extends KubeObject>(resource: Resource<T>, name: string, namespace?: string): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<ObjectList<T>>;
  /** Events after `resourceVersion`, until the signal aborts or the server ends the stream. An ERROR event throws ApiError. */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    resourceVersion: string,
    options: ListOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T>;
  /** PUT: fails with Conflict when metadata.resourceVersion is set and stale. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, subresource?: string): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    namespace: string | undefined,
    type: PatchType,
    patch: unknown,
    subresource?: string,
  ): Promise<T>;
  delete(resource: Resource, name: string, namespace?: string, options?: DeleteOptions): Promise<void>;
  /** POST of a subresource, such as pods/binding. */
  createSubresource(resource: Resource, name: string, namespace: string | undefined, subresource: string, body: unknown): Promise<unknown>;
  /** Closes idle connections. */
  close(): Promise<void>;
}
