import { notAcceptable } from './status-errors.ts';

export type Encoding = 'json' | 'yaml' | 'protobuf';

/** In what form an answer is wanted. */
export interface Accepted {
  readonly encoding: Encoding;
  /** The objects themselves, as rows for people, or their metadata alone. */
  readonly form: 'object' | 'table' | 'metadata';
  /** Version of meta.k8s.io in which rows or metadata are wanted. */
  readonly metaVersion: 'v1' | 'v1beta1';
}

/** What may be asked for: of a list and of one object, metadata have another name; of other answers there are no forms. */
export type Shape = 'one' | 'list' | 'watch' | 'plain';

export const protobufType = 'application/vnd.kubernetes.protobuf';

const supported = ['application/json', 'application/yaml', protobufType];
/** A stream of YAML has no ends between its objects. */
const supportedInWatch = ['application/json;stream=watch', `${protobufType};stream=watch`];

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/** Reads an Accept header (RFC 9110 section 12.5.1), best first. */
export function parseAccept(header: string | undefined): MediaRange[] {
  const ranges = (header?.trim() ? header.slice(0, 4_096) : '*/*').split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const parameters = new Map(
      rest.map((piece) => piece.split('=', 2) as [string, string]).map(([name, value = '']) => [name.trim().toLowerCase(), value.trim()]),
    );
    return { type: type.toLowerCase(), parameters, quality: Number(parameters.get('q') ?? 1) };
  });
  // The sort is stable: what the client named first wins among equals.
  return ranges.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality);
}

/**
 * Picks the form of an answer.
 * @throws StatusError 406 when nothing acceptable is left.
 */
export function negotiate(header: string | undefined, shape: Shape): Accepted {
  for (const { type, parameters } of parseAccept(header)) {
    const encoding = encodingOf(type);
    if (!encoding || (shape === 'watch' && encoding === 'yaml')) continue;
    const as = parameters.get('as');
    if (as === undefined) return { encoding, form: 'object', metaVersion: 'v1' };
    const form = formOf(as, shape, encoding);
    const version = parameters.get('v');
    if (form && parameters.get('g') === 'meta.k8s.io' && (version === 'v1' || version === 'v1beta1')) {
      return { encoding, form, metaVersion: version };
    }
  }
  throw notAcceptable(shape === 'watch' ? supportedInWatch : supported);
}

/** The encoding of an error, which is told in JSON when there is no other way. */
export const errorEncoding = (header: string | undefined): Encoding =>
  parseAccept(header)
    .map(({ type, parameters }) => (parameters.has('as') ? undefined : encodingOf(type)))
    .find((encoding) => encoding !== undefined) ?? 'json';

function formOf(as: string, shape: Shape, encoding: Encoding): Accepted['form'] | undefined {
  if (shape === 'plain') return undefined;
  // Cells are of any type, for which protobuf has no place.
  if (as === 'Table') return encoding === 'protobuf' ? undefined : 'table';
  return as === (shape === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata') ? 'metadata' : undefined;
}

function encodingOf(type: string): Encoding | undefined {
  if (type === '*/*' || type === 'application/*' || type === 'application/json') return 'json';
  if (type === protobufType) return 'protobuf';
  return type === 'application/yaml' ? 'yaml' : undefined;
}
