import { type AnyObject, apiVersionOf, type KindDeclaration, type Resource } from '../objects/index.ts';

/** Where a resource's values are in the store: `/registry/deployments/`. */
export const storePrefix = ({ plural }: Pick<Resource, 'plural'>): string => `/registry/${plural}/`;

export const storeKey = (resource: Resource, namespace: string | undefined, name: string): string =>
  `${storePrefix(resource)}${resource.namespaced ? `${namespace}/` : ''}${name}`;

const metadataStart = '"metadata":{';

/** The JSON that is stored: apiVersion, kind and metadata first, and without resourceVersion, which the store's revision is. */
export function toStoredJson(object: AnyObject, resource: Resource): string {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const { resourceVersion: _resourceVersion, ...stored } = metadata;
  return JSON.stringify({ kind: resource.kind, apiVersion: apiVersionOf(resource), metadata: stored, ...rest });
}

/** Stored JSON with `metadata.resourceVersion` put in. Metadata is the first brace after kind and apiVersion, so no parsing is needed. */
export function withResourceVersion(stored: string, revision: number): string {
  const at = stored.indexOf(metadataStart) + metadataStart.length;
  return `${stored.slice(0, at)}"resourceVersion":"${revision}",${stored.slice(at)}`;
}

/**
 * One object at one revision. It is kept as the JSON that clients get and parsed only when something must look inside: a list is then one
 * concatenation, and nobody can change what others read.
 */
export class CachedObject {
  readonly kind: KindDeclaration;
  readonly key: string;
  readonly revision: number;
  readonly #stored: string;
  #selectable: { labels: Readonly<Record<string, string>>; fields: Readonly<Record<string, string>>; isTerminating: boolean } | undefined;

  constructor(kind: KindDeclaration, key: string, stored: string, revision: number) {
    this.kind = kind;
    this.key = key;
    this.#stored = stored;
    this.revision = revision;
  }

  /** As clients get it. Not kept: joining the pieces costs less than a second copy in memory. */
  get json(): string {
    return withResourceVersion(this.#stored, this.revision);
  }

  /** As it stands in the store. */
  get stored(): string {
    return this.#stored;
  }

  /** As an item of a list, which carries no kind and apiVersion of its own. */
  get itemJson(): string {
    // Not cut out of `json`, which would have to be put together first.
    return `{${metadataStart}"resourceVersion":"${this.revision}",${this.#stored.slice(this.#stored.indexOf(metadataStart) + metadataStart.length)}`;
  }

  get namespace(): string | undefined {
    return this.kind.resource.namespaced ? this.key.split('/')[3] : undefined;
  }

  get name(): string {
    return this.key.slice(this.key.lastIndexOf('/') + 1);
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#select().labels;
  }

  /** Values of the field selectors. */
  get fields(): Readonly<Record<string, string>> {
    return this.#select().fields;
  }

  /** Whether its deletion has begun. */
  get isTerminating(): boolean {
    return this.#select().isTerminating;
  }

  /** A copy of its own for the caller, who may change it. */
  parse(): AnyObject {
    return JSON.parse(this.json) as AnyObject;
  }

  /** The same content at another revision: what a deletion shows. */
  at(revision: number): CachedObject {
    return new CachedObject(this.kind, this.key, this.#stored, revision);
  }

  #select() {
    if (!this.#selectable) {
      const object = this.parse();
      const { name, namespace = '', labels = {}, deletionTimestamp } = object.metadata;
      this.#selectable = {
        labels,
        fields: { ...this.kind.selectableFields(object), 'metadata.name': name, 'metadata.namespace': namespace },
        isTerminating: deletionTimestamp !== undefined,
      };
    }
    return this.#selectable;
  }
}
