import { type AnyObject, describeCauses, type KindDeclaration, type Resource, type Status, type StatusCause } from '../objects/index.ts';

/** An error that a client is to see: its body is a meta/v1 Status. */
export class StatusError extends Error {
  readonly status: Status & { code: number };
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: Omit<Status, 'kind' | 'apiVersion' | 'metadata' | 'status'> & { code: number },
    headers: Readonly<Record<string, string>> = {},
    metadata: Readonly<Record<string, unknown>> = {},
  ) {
    super(status.message ?? status.reason ?? 'error');
    this.name = 'StatusError';
    this.status = { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', ...status };
    this.headers = headers;
  }
}

/** What the texts call a resource: `pods`, `deployments.apps`. */
export const qualifiedResource = ({ group, plural }: Pick<Resource, 'group' | 'plural'>): string => (group ? `${plural}.${group}` : plural);

/** As Go writes them: what is empty is left out. */
const detailsOf = ({ group, plural }: Resource, name: string) => ({ ...(name && { name }), ...(group && { group }), kind: plural });

// The texts below are those of apimachinery's pkg/api/errors; clients and people match on them.

export const notFound = (resource: Resource, name: string): StatusError =>
  new StatusError({
    code: 404,
    reason: 'NotFound',
    message: `${qualifiedResource(resource)} "${name}" not found`,
    details: detailsOf(resource, name),
  });

/** The path leads nowhere. */
export const noSuchPath = (): StatusError =>
  new StatusError({ code: 404, reason: 'NotFound', message: 'the server could not find the requested resource', details: {} });

export const alreadyExists = (resource: Resource, name: string): StatusError =>
  new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualifiedResource(resource)} "${name}" already exists`,
    details: detailsOf(resource, name),
  });

export const conflict = (resource: Resource, name: string, why: string, subresource = ''): StatusError =>
  new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualifiedResource(resource)}${subresource && `/${subresource}`} "${name}": ${why}`,
    details: detailsOf(resource, name),
  });

export const modified = (resource: Resource, name: string): StatusError =>
  conflict(resource, name, 'the object has been modified; please apply your changes to the latest version and try again');

export const forbidden = (resource: Resource, name: string, why: string, causes: StatusCause[] = []): StatusError =>
  new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `${qualifiedResource(resource)} "${name}" is forbidden: ${why}`,
    details: { ...detailsOf(resource, name), ...(causes.length > 0 ? { causes } : {}) },
  });

export function invalid({ resource }: Pick<KindDeclaration, 'resource'>, name: string, causes: StatusCause[]): StatusError {
  const { group, kind } = resource;
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${describeCauses(causes)}`,
    details: { ...(name && { name }), ...(group && { group }), kind, causes },
  });
}

/** The types of meta/v1 that query parameters, or the body of a deletion, are read as. */
export type OptionsKind = 'ListOptions' | 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions';

/** Wrong query parameters. */
export const invalidOptions = (kind: OptionsKind, causes: StatusCause[]): StatusError =>
  invalid({ resource: { group: 'meta.k8s.io', version: 'v1', plural: '', kind, namespaced: false } }, '', causes);

/** What Go's strconv.ParseInt says of a text that is no whole number. */
export const parseIntText = (text: string): string => `strconv.ParseInt: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`;

export const badRequest = (message: string): StatusError => new StatusError({ code: 400, reason: 'BadRequest', message });

export const methodNotAllowed = (message = 'the server does not allow this method on the requested resource'): StatusError =>
  new StatusError({ code: 405, reason: 'MethodNotAllowed', message, details: {} });

export const unauthorized = (): StatusError => new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });

export const notAcceptable = (supported: readonly string[]): StatusError =>
  new StatusError({ code: 406, reason: 'NotAcceptable', message: `only the following media types are accepted: ${supported.join(', ')}` });

export const unsupportedMediaType = (message: string): StatusError =>
  new StatusError({ code: 415, reason: 'UnsupportedMediaType', message });

export const tooLarge = (bytes: number): StatusError =>
  new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message: `Request entity too large: limit is ${bytes}` });

export const notImplemented = (message: string): StatusError => new StatusError({ code: 501, reason: 'NotImplemented', message });

export const expired = (message: string): StatusError => new StatusError({ code: 410, reason: 'Expired', message });

/** A revision that this server has not reached yet. */
export const tooLargeRevision = (asked: number, current: number): StatusError =>
  new StatusError(
    {
      code: 504,
      reason: 'Timeout',
      message: `Timeout: Too large resource version: ${asked}, current: ${current}`,
      details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 },
    },
    { 'retry-after': '1' },
  );

export const internalError = (message: string): StatusError =>
  new StatusError({ code: 500, reason: 'InternalError', message: `Internal error occurred: ${message}` });

/** The answer to a deletion that is complete, and to subresources without an answer of their own. */
export const success = (resource: Resource, object: AnyObject): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { ...detailsOf(resource, object.metadata.name), ...(object.metadata.uid ? { uid: object.metadata.uid } : {}) },
});
