import {
  type KindDeclaration,
  matchesFieldRequirements,
  matchesLabelRequirements,
  parseFieldSelector,
  parseLabelSelector,
} from '../objects/index.ts';
import { type CachedObject, storePrefix } from './cached-object.ts';
import { badRequest } from './status-errors.ts';

/** Which objects of a resource a list, watch or deletecollection is about. */
export interface Selection {
  /** Keys start with it: the resource, or one namespace of it. */
  readonly prefix: string;
  /** Whether an object under the prefix is meant. */
  matches(object: CachedObject): boolean;
  /** Whether there is a selector besides the prefix. */
  readonly filtered: boolean;
}

/** Reads labelSelector and fieldSelector. @throws StatusError 400 when one cannot be read. */
export function selectionOf(kind: KindDeclaration, namespace: string, query: URLSearchParams): Selection {
  const { labels, fields } = parseSelectors(kind, query);
  return {
    prefix: storePrefix(kind.resource) + (namespace ? `${namespace}/` : ''),
    filtered: labels.length > 0 || fields.length > 0,
    matches: (object) =>
      (labels.length === 0 || matchesLabelRequirements(labels, object.labels)) &&
      (fields.length === 0 || matchesFieldRequirements(fields, object.fields)),
  };
}

function parseSelectors(kind: KindDeclaration, query: URLSearchParams) {
  try {
    const labels = parseLabelSelector(query.get('labelSelector') ?? '');
    return { labels, fields: parseFieldSelector(query.get('fieldSelector') ?? '', kind.selectableFieldNames) };
  } catch (error) {
    throw badRequest((error as Error).message);
  }
}
