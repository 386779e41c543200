// Writes to a kind that is stored as another (StoredForm): converted on the way in, and back on the way out.
import type { AnyObject, KindDeclaration, StoredForm } from '../../objects/index.ts';

/** The stored kind with the rules of the one through which it is written. */
export const storageKind = (kind: KindDeclaration, { kind: stored, fromStored }: StoredForm): KindDeclaration => ({
  ...stored,
  validate: (object, old) => kind.validate(fromStored(object), old && fromStored(old)),
});

/** A written object as the client of the viewing kind gets it. */
export const viewedResult = <T extends { readonly json: string }>(result: T, { fromStored }: StoredForm): T => ({
  ...result,
  json: JSON.stringify(fromStored(JSON.parse(result.json) as AnyObject)),
});
