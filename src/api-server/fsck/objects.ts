import { type AnyObject, apiVersionOf, checkFields, type KindDeclaration } from '../../objects/index.ts';
import type { StoredValue } from '../../storage/index.ts';
import { storeKey } from '../cached-object.ts';
import { StatusError } from '../status-errors.ts';

/** Something that is not as it should be. Errors make the check fail; warnings do not: they pass by themselves or are a person's to judge. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** In the store; '' when it is about no one key. */
  readonly key: string;
  readonly problem: string;
}

/** An object that could be read, with where it is. */
export interface CheckedObject {
  readonly key: string;
  readonly kind: KindDeclaration;
  readonly object: AnyObject;
}

/** Keys of the servers themselves, which hold no objects. */
const ownPrefixes = ['/registry/ranges/', '/registry/masterleases/', '/registry/podwire/'];

/** Reads every value as the object that its key says it is. */
export function readObjects(
  values: readonly StoredValue[],
  kinds: readonly KindDeclaration[],
): { readonly objects: readonly CheckedObject[]; readonly findings: readonly Finding[] } {
  const byPlural = new Map(kinds.filter(({ storedAs }) => !storedAs).map((kind) => [kind.resource.plural, kind]));
  const objects: CheckedObject[] = [];
  const findings: Finding[] = [];
  for (const { key, value } of values) {
    if (ownPrefixes.some((prefix) => key.startsWith(prefix))) continue;
    const kind = byPlural.get(key.split('/')[2] ?? '');
    if (!kind) {
      findings.push({ severity: 'warning', key, problem: 'no kind that this server knows is stored there' });
      continue;
    }
    const { object, problems } = readObject(key, value, kind);
    for (const problem of problems) findings.push({ severity: 'error', key, problem });
    if (object && problems.length === 0) objects.push({ key, kind, object });
  }
  return { objects, findings };
}

function readObject(key: string, value: string, kind: KindDeclaration): { object?: AnyObject; problems: string[] } {
  const { resource, schema } = kind;
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    return { problems: [`it is not JSON: ${(error as Error).message}`] };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return { problems: ['it is no JSON object'] };
  const object = parsed as AnyObject;
  const problems: string[] = [];
  if (object.kind !== resource.kind || object.apiVersion !== apiVersionOf(resource)) {
    problems.push(`it is a ${String(object.apiVersion)} ${String(object.kind)}, not a ${apiVersionOf(resource)} ${resource.kind}`);
  }
  const { name, namespace, uid, creationTimestamp } = object.metadata ?? {};
  if (typeof name !== 'string' || storeKey(resource, resource.namespaced ? namespace : undefined, name) !== key) {
    problems.push(`its metadata says that it is ${resource.namespaced ? `${String(namespace)}/` : ''}${String(name)}`);
  }
  if (!resource.namespaced && namespace) problems.push(`it has namespace ${namespace}, and ${resource.plural} have none`);
  if (!uid) problems.push('it has no uid');
  if (!creationTimestamp) problems.push('it has no creationTimestamp');
  if ('resourceVersion' in (object.metadata ?? {})) problems.push('a resourceVersion is stored in it, which the revision is');
  // A watch puts the resourceVersion in by this.
  if (!value.includes('"metadata":{"')) problems.push('its metadata is not written as this server writes it');
  problems.push(...fieldProblems(schema, object));
  return { object, problems };
}

function fieldProblems(schema: string, object: AnyObject): readonly string[] {
  try {
    return checkFields(schema, object).wrongType.map((text) => `a field has the wrong type: ${text}`);
  } catch (error) {
    if (error instanceof StatusError || error instanceof RangeError) return [error.message];
    throw error;
  }
}
