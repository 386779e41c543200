import type { Resource } from './resource.ts';
import type { KubeObject, StatusCause } from './types/index.ts';

/** An object as it came over the wire: anything may be in it. */
// biome-ignore lint: any is the truth here; fields are checked by schema before rules read them
export type AnyObject = KubeObject & { spec?: any; status?: any; [field: string]: any };

export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description: string;
  /** 0 is always shown, 1 only by `-o wide`. */
  readonly priority: 0 | 1;
  /** The cell; `now` is milliseconds since the epoch, for ages. */
  cell(object: AnyObject, now: number): string | number | boolean | null;
}

export interface Subresources {
  readonly status?: boolean;
  /** autoscaling/v1 Scale: reads and writes spec.replicas; the selector is spec.selector as a string. */
  readonly scale?: boolean;
  readonly binding?: boolean;
  /** POST of a TokenRequest (service accounts alone). */
  readonly token?: boolean;
  /** PUT of spec.finalizers (namespaces alone). */
  readonly finalize?: boolean;
}

/** All that the API server knows of a kind. Adding a kind is adding one of these. Every function is pure. */
export interface KindDeclaration {
  readonly resource: Resource;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: Subresources;
  /** Message name in the schema tables, e.g. `k8s.io.api.apps.v1.Deployment`. */
  readonly schema: string;
  /** Fills in defaults in place, as the reference does. */
  applyDefaults(object: AnyObject): void;
  /** In place: sets status and generation as they must be on create. */
  prepareForCreate(object: AnyObject): void;
  /** In place: a PUT or PATCH of the main resource keeps the old status; bumps metadata.generation when spec changed. */
  prepareForUpdate(object: AnyObject, old: AnyObject): void;
  /** In place: a write to /status keeps everything but status (and metadata that may change with it). */
  prepareForStatusUpdate(object: AnyObject, old: AnyObject): void;
  /** Semantic errors with the reference's texts and field paths; empty when valid. `old` is undefined on create. */
  validate(object: AnyObject, old: AnyObject | undefined): StatusCause[];
  readonly columns: readonly TableColumn[];
  /** Field selector values besides metadata.name and metadata.namespace, e.g. `{ 'spec.nodeName': 'worker-1' }`. */
  selectableFields(object: AnyObject): Readonly<Record<string, string>>;
  /** Names of the field selectors that exist for this kind (with metadata.name, metadata.namespace). */
  readonly selectableFieldNames: readonly string[];
  /** Whether a PUT of a name that does not exist creates it (AllowCreateOnUpdate). */
  readonly createsOnUpdate: boolean;
  /** Whether a PUT must name the resourceVersion that it replaces (the opposite of AllowUnconditionalUpdate). */
  readonly needsResourceVersion: boolean;
  /** Whether a complete deletion is answered with the object rather than with a Status (ReturnDeletedObject). */
  readonly returnsDeleted: boolean;
  /** A question: POST of it is answered, and nothing is stored. */
  readonly review?: boolean;
  /** Set on a kind that is another view of a stored one. */
  readonly storedAs?: StoredForm;
}

/** How a kind that has no storage of its own is kept as another: events.k8s.io/v1 Events are core Events under other field names. */
export interface StoredForm {
  readonly kind: KindDeclaration;
  /** A new object; the input is not changed. Metadata is the same in both. */
  toStored(object: AnyObject): AnyObject;
  fromStored(object: AnyObject): AnyObject;
}
