import { isDeepStrictEqual } from 'node:util';
import type { AnyObject, KindDeclaration, StoredForm, Subresources, TableColumn } from '../kind.ts';
import type { Resource } from '../resource.ts';
import { messageOfKind } from '../schema/table.ts';
import { apiVersionOf } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { validateMetadata } from '../validation/metadata.ts';
import { dnsSubdomain, type NameRule } from '../validation/names.ts';

export interface KindOptions {
  readonly resource: Resource;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: Subresources;
  /** What names may look like; a DNS subdomain unless told. */
  readonly nameRule?: NameRule;
  /** Top-level fields whose change bumps metadata.generation; none means that the kind has no generation. */
  readonly generationOf?: readonly string[];
  /** Fields of metadata that a write to /status cannot change. */
  readonly keepsOnStatusUpdate?: readonly ('labels' | 'ownerReferences')[];
  /** Create keeps the status that the request holds. */
  readonly keepsStatusOnCreate?: boolean;
  readonly defaults?: (object: AnyObject) => void;
  /** After the common part of create: status dropped, generation 1. */
  readonly onCreate?: (object: AnyObject) => void;
  /** Before the generation is compared. */
  readonly onUpdate?: (object: AnyObject, old: AnyObject) => void;
  readonly validate?: (object: AnyObject, old: AnyObject | undefined) => StatusCause[];
  readonly columns: readonly TableColumn[];
  readonly selectable?: Readonly<Record<string, (object: AnyObject) => unknown>>;
  readonly createsOnUpdate?: boolean;
  readonly needsResourceVersion?: boolean;
  readonly returnsDeleted?: boolean;
  readonly storedAs?: StoredForm;
}

/** Makes a declaration: the options with what nearly all kinds share. */
export function declareKind(options: KindOptions): KindDeclaration {
  const { resource, subresources = {}, nameRule = dnsSubdomain, generationOf = [], selectable = {} } = options;
  const apiVersion = apiVersionOf(resource);
  const schema = messageOfKind(apiVersion, resource.kind);
  if (schema === undefined) throw new Error(`no schema for ${apiVersion} ${resource.kind}`);
  return {
    resource,
    singular: resource.kind.toLowerCase(),
    shortNames: options.shortNames ?? [],
    categories: options.categories ?? [],
    subresources,
    schema,
    applyDefaults: (object) => options.defaults?.(object),
    prepareForCreate(object) {
      // In Go a status is a struct: it is there from the start.
      if (subresources.status) object.status = (options.keepsStatusOnCreate && object.status) || {};
      delete object.metadata.generation;
      if (generationOf.length > 0) object.metadata.generation = 1;
      options.onCreate?.(object);
    },
    prepareForUpdate(object, old) {
      if (subresources.status) keep(object, old, 'status');
      options.onUpdate?.(object, old);
      keep(object.metadata, old.metadata, 'generation');
      if (generationOf.some((field) => !isDeepStrictEqual(object[field], old[field]))) {
        object.metadata.generation = (old.metadata.generation ?? 0) + 1;
      }
    },
    prepareForStatusUpdate(object, old) {
      for (const field of Object.keys({ ...object, ...old })) {
        if (!['apiVersion', 'kind', 'metadata', 'status'].includes(field)) keep(object, old, field);
      }
      for (const field of ['generation', ...(options.keepsOnStatusUpdate ?? [])]) keep(object.metadata, old.metadata, field);
    },
    validate: (object, old) => [
      ...validateMetadata(object, old, resource.namespaced, nameRule),
      ...(options.validate?.(object, old) ?? []),
    ],
    columns: options.columns,
    selectableFields: (object) => Object.fromEntries(Object.entries(selectable).map(([name, read]) => [name, text(read(object))])),
    selectableFieldNames: Object.keys(selectable),
    createsOnUpdate: options.createsOnUpdate ?? false,
    needsResourceVersion: options.needsResourceVersion ?? false,
    returnsDeleted: options.returnsDeleted ?? false,
    ...(options.storedAs && { storedAs: options.storedAs }),
  };
}

/** Sets a field to its old value, or removes it when it was absent. */
export function keep(object: object, old: object, field: string): void {
  const target = object as Record<string, unknown>;
  const value = (old as Record<string, unknown>)[field];
  if (value === undefined) delete target[field];
  else target[field] = value;
}

const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));
