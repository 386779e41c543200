import { badRequest, invalidListOptions, StatusError } from './status-errors.ts';
import { isTrue } from './request-info.ts';

export interface ListOptions {
  /** 0 for no limit. */
  readonly limit: number;
  readonly continueFrom: ContinueToken | undefined;
  /** Undefined when not given. */
  readonly resourceVersion: number | undefined;
  readonly match: 'Exact' | 'NotOlderThan' | '';
}

export interface WatchOptions {
  readonly resourceVersion: number | undefined;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  /** Seconds; undefined when not given. */
  readonly timeoutSeconds: number | undefined;
}

/** Where the next page of a list starts, and of which revision it is. */
export interface ContinueToken {
  readonly revision: number;
  /** The first key of the page is after this one. */
  readonly after: string;
}

/** Reads the options of a list as the reference's ValidateListOptions. @throws StatusError 400 or 422. */
export function parseListOptions(query: URLSearchParams): ListOptions {
  const match = parseMatch(query);
  const resourceVersion = parseResourceVersion(query);
  const token = query.get('continue') ?? '';
  if (query.has('sendInitialEvents')) throw invalidListOptions('sendInitialEvents', 'Forbidden: sendInitialEvents is forbidden for list');
  if (match && token)
    throw invalidListOptions('resourceVersionMatch', 'Forbidden: resourceVersionMatch is forbidden when continue is provided');
  if (match && resourceVersion === undefined) {
    throw invalidListOptions('resourceVersionMatch', 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (match === 'Exact' && resourceVersion === 0) {
    throw invalidListOptions('resourceVersionMatch', 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (token && resourceVersion !== undefined && resourceVersion !== 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  return { limit: parseCount(query, 'limit') ?? 0, continueFrom: token ? decodeContinue(token) : undefined, resourceVersion, match };
}

/** Reads the options of a watch. @throws StatusError 400 or 422. */
export function parseWatchOptions(query: URLSearchParams): WatchOptions {
  const match = parseMatch(query);
  const initial = query.get('sendInitialEvents');
  if (initial === null && match) {
    throw invalidListOptions(
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
  if (initial !== null && match !== 'NotOlderThan') {
    throw invalidListOptions('resourceVersionMatch', 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  return {
    resourceVersion: parseResourceVersion(query),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: initial === null ? undefined : isTrue(initial),
    timeoutSeconds: parseCount(query, 'timeoutSeconds'),
  };
}

/** Undefined when absent or empty. */
export function parseResourceVersion(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (text === null || text === '') return undefined;
  const revision = toRevision(text);
  if (revision === undefined) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion must be an unsigned integer`);
  return revision;
}

/** A revision as a number; undefined when the text is none. */
const toRevision = (text: string): number | undefined => (/^\d{1,15}$/.test(text) ? Number(text) : undefined);

function parseMatch(query: URLSearchParams): ListOptions['match'] {
  const match = query.get('resourceVersionMatch') ?? '';
  if (match === '' || match === 'Exact' || match === 'NotOlderThan') return match;
  throw invalidListOptions(
    'resourceVersionMatch',
    `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
  );
}

function parseCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`${name} must be a whole number, not ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}

export const encodeContinue = ({ revision, after }: ContinueToken): string =>
  Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: after })).toString('base64url');

function decodeContinue(token: string): ContinueToken {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { v: unknown; rv: unknown; start: unknown };
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && (rv as number) > 0 && typeof start === 'string')
      return { revision: rv as number, after: start };
  } catch {
    // Answered below.
  }
  throw badRequest('continue key is not valid');
}

/** A page of a list whose revision is compacted meanwhile. */
export const expiredContinue = (): StatusError =>
  new StatusError({
    code: 410,
    reason: 'Expired',
    message:
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
  });
