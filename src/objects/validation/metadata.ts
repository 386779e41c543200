import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kind.ts';
import type { OwnerReference, StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, required, tooLong } from './causes.ts';
import { dnsLabel, immutableText, labelValueRule, type NameRule, qualifiedName } from './names.ts';

/** Finalizers that need no domain: the garbage collector's, and that of namespaces. */
const standardFinalizers: ReadonlySet<string> = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** All annotations together, keys and values (apimachinery's TotalAnnotationSizeLimitB). */
const annotationBytes = 256 * 1024;

/** Rules for metadata on create and update. The name has been generated already where generateName asked for it. */
export function validateMetadata(object: AnyObject, old: AnyObject | undefined, namespaced: boolean, nameRule: NameRule): StatusCause[] {
  const { metadata } = object;
  const causes: StatusCause[] = [];
  if (metadata.generateName) {
    // The reference judges the prefix as if a suffix followed, so a trailing dash is fine.
    causes.push(...invalids('metadata.generateName', metadata.generateName, nameRule(metadata.generateName.replace(/-$/, 'a'))));
  }
  if (!metadata.name) causes.push(required('metadata.name', 'name or generateName is required'));
  else causes.push(...invalids('metadata.name', metadata.name, nameRule(metadata.name)));
  if (namespaced) {
    if (!metadata.namespace) causes.push(required('metadata.namespace'));
    else causes.push(...invalids('metadata.namespace', metadata.namespace, dnsLabel(metadata.namespace)));
  } else if (metadata.namespace) causes.push(forbidden('metadata.namespace', 'not allowed on this type'));
  causes.push(...validateLabels(metadata.labels, 'metadata.labels'));
  causes.push(...validateAnnotations(metadata.annotations, 'metadata.annotations'));
  causes.push(...validateOwners(metadata.ownerReferences ?? []));
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    const at = `metadata.finalizers[${index}]`;
    causes.push(...invalids('metadata.finalizers', finalizer, qualifiedName(finalizer)));
    if (!finalizer.includes('/') && !standardFinalizers.has(finalizer)) {
      causes.push(invalid(at, finalizer, 'name is neither a standard finalizer name nor is it fully qualified'));
    }
  }
  const finalizers = metadata.finalizers ?? [];
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    causes.push(invalid('metadata.finalizers', finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  if (old) causes.push(...validateMetadataUpdate(object, old));
  return causes;
}

function validateMetadataUpdate({ metadata }: AnyObject, { metadata: old }: AnyObject): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (metadata[field] !== old[field]) causes.push(invalid(`metadata.${field}`, metadata[field] ?? null, immutableText));
  }
  if (old.deletionTimestamp) {
    const added = (metadata.finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer));
    if (added.length > 0) {
      causes.push(
        forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
        ),
      );
    }
  }
  return causes;
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, field: string): StatusCause[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...invalids(field, key, qualifiedName(key)),
    ...invalids(field, value, labelValueRule(value)),
  ]);
}

export function validateAnnotations(annotations: Readonly<Record<string, string>> | undefined, field: string): StatusCause[] {
  const causes: StatusCause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Upper case is forgiven in annotation keys, as it always was.
    causes.push(...invalids(field, key, qualifiedName(key.toLowerCase())));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationBytes) causes.push(tooLong(field, annotationBytes));
  return causes;
}

function validateOwners(owners: readonly OwnerReference[]): StatusCause[] {
  const causes: StatusCause[] = [];
  const at = 'metadata.ownerReferences';
  for (const owner of owners) {
    const { apiVersion = '', kind = '', name = '', uid = '' } = owner;
    // More than one slash leaves nothing that could be a version.
    if (apiVersion === '' || apiVersion.split('/').length > 2)
      causes.push(invalid(`${at}.apiVersion`, apiVersion, 'version must not be empty'));
    for (const [field, value] of Object.entries({ kind, name, uid })) {
      if (value === '') causes.push(invalid(`${at}.${field}`, value, `${field} must not be empty`));
    }
    if (apiVersion === 'v1' && kind === 'Event') causes.push(invalid(at, owner, '/v1, Kind=Event is disallowed from being an owner'));
  }
  const controllers = owners.filter(({ controller }) => controller);
  if (controllers.length > 1) {
    const [first, second] = controllers.map(({ kind, name }) => `${kind}/${name}`);
    causes.push(
      invalid(
        'metadata.ownerReferences',
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`,
      ),
    );
  }
  return causes;
}

/** A cause when the field differs from the old object's. */
export const immutable = (field: string, value: unknown, old: unknown): StatusCause[] =>
  isDeepStrictEqual(value, old) ? [] : [invalid(field, value ?? null, immutableText)];
