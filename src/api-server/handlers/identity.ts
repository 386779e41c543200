import type { AnyObject, KindDeclaration } from '../../objects/index.ts';
import { badRequest, invalid } from '../status-errors.ts';

/** An object goes to the path of its own name. @throws StatusError 400. */
export function checkName({ metadata }: AnyObject, name: string): void {
  if (!metadata.name) throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  if (metadata.name !== name) throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
}

/** What a patch makes of an object is the same object; `uid` is what it was. A PUT, which replaces it, gets a conflict instead. @throws StatusError 422. */
export function checkUid(kind: KindDeclaration, { metadata }: AnyObject, uid: string | undefined): void {
  if (!metadata.uid || metadata.uid === uid) return;
  const message = `Invalid value: ${JSON.stringify(metadata.uid)}: field is immutable`;
  throw invalid(kind, metadata.name, [{ reason: 'FieldValueInvalid', message, field: 'metadata.uid' }]);
}
