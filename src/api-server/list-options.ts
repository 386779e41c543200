import type { StatusCause } from '../objects/index.ts';
import { isTrue } from './request-info.ts';
import { badRequest, invalidOptions, parseIntText, StatusError } from './status-errors.ts';

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
  /** Undefined goes on with whatever stands now: the first revision is forgotten, and the client chose to live with that. */
  readonly revision: number | undefined;
  /** The first key of the page is after this one; it names what follows the resource's prefix. */
  readonly after: string;
}

type Match = ListOptions['match'];
const matches: ReadonlySet<string> = new Set(['Exact', 'NotOlderThan', '']);

/** Reads the options of a list as the reference's ValidateListOptions. @throws StatusError 400 or 422. */
export function parseListOptions(query: URLSearchParams): ListOptions {
  const match = query.get('resourceVersionMatch') ?? '';
  const token = query.get('continue') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const limit = parseCount(query, 'limit') ?? 0;
  parseCount(query, 'timeoutSeconds');
  const causes: StatusCause[] = [];
  if (match) {
    if (!version) causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
    if (token) causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
    if (!matches.has(match)) causes.push(unsupportedMatch(match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && version === '0') {
      causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (query.has('sendInitialEvents')) causes.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  if (causes.length > 0) throw invalidOptions('ListOptions', causes);
  if (token && version !== '' && version !== '0') throw badRequest('specifying resource version is not allowed when using continue');
  return {
    limit,
    continueFrom: token ? decodeContinue(token) : undefined,
    resourceVersion: parseResourceVersion(query),
    match: match as Match,
  };
}

/** Reads the options of a watch. @throws StatusError 400 or 422. */
export function parseWatchOptions(query: URLSearchParams): WatchOptions {
  const match = query.get('resourceVersionMatch') ?? '';
  const initial = query.get('sendInitialEvents');
  const causes: StatusCause[] = [];
  if (initial !== null && match !== 'NotOlderThan') {
    causes.push(forbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  }
  if (match) {
    if (initial === null) {
      causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
    }
    if (match !== 'NotOlderThan') causes.push(unsupportedMatch(match, ['NotOlderThan']));
    if (query.get('continue'))
      causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  }
  if (causes.length > 0) throw invalidOptions('ListOptions', causes);
  return {
    resourceVersion: parseResourceVersion(query),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: initial === null ? undefined : isTrue(initial),
    timeoutSeconds: parseCount(query, 'timeoutSeconds'),
  };
}

const forbidden = (field: string, text: string): StatusCause => ({ reason: 'FieldValueForbidden', message: `Forbidden: ${text}`, field });

const unsupportedMatch = (match: string, supported: readonly string[]): StatusCause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(match)}: supported values: ${supported.map((value) => JSON.stringify(value)).join(', ')}`,
  field: 'resourceVersionMatch',
});

/** Undefined when absent or empty. @throws StatusError 400. */
export function parseResourceVersion(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (text === null || text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw badRequest(
    `resourceVersion: Invalid value: ${JSON.stringify(text.slice(0, 100))}: strconv.ParseUint: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`,
  );
}

/** A whole number that may be absent; what is below zero counts as none. @throws StatusError 400. */
function parseCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d{1,15}$/.test(text)) throw badRequest(parseIntText(text));
  return Math.max(0, Number(text));
}

const version = 'meta.k8s.io/v1';
/** In a token, for a list that goes on at whatever revision is there. */
const anyRevision = -1;

/** As the reference: base64url of JSON, in which start is the key after the last one of the page. */
export const encodeContinue = ({ revision = anyRevision, after }: ContinueToken): string =>
  Buffer.from(JSON.stringify({ v: version, rv: revision, start: `${after}\0` })).toString('base64url');

function decodeContinue(token: string): ContinueToken {
  const fail = (why: string): never => {
    throw badRequest(`invalid continue token: continue key is not valid: ${why}`);
  };
  const bytes = Buffer.from(token, 'base64url');
  // Node skips what is not in the alphabet.
  if (!/^[\w-]*$/.test(token)) fail('it is not base64url');
  let read: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    read = JSON.parse(bytes.toString()) as object;
  } catch {
    return fail('it does not hold JSON');
  }
  const { v, rv, start } = read ?? {};
  if (v !== version) fail(`server does not recognize this encoded version ${JSON.stringify(v ?? '')}`);
  if (!Number.isSafeInteger(rv) || rv === 0 || (rv as number) < anyRevision)
    fail(`incorrect encoded start resourceVersion (version ${version})`);
  if (typeof start !== 'string' || start === '') return fail(`encoded start key empty (version ${version})`);
  // A key is below its resource's prefix whatever a client makes up.
  if (start.startsWith('/') || start.split('/').some((part) => part === '..' || part === '.')) fail(start.slice(0, 100));
  return { revision: rv === anyRevision ? undefined : (rv as number), after: start.replace(/\0$/, '') };
}

/** A page of a list whose revision is forgotten meanwhile. `token` goes on where the client was, at whatever stands now (the reference's handleCompactedErrorForPaging). */
export const expiredContinue = (token: string): StatusError =>
  new StatusError(
    {
      code: 410,
      reason: 'Expired',
      message:
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    },
    {},
    { continue: token },
  );
