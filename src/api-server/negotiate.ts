import { notAcceptable } from './status-errors.ts';

/** In what form an answer is wanted. */
export interface Accepted {
  readonly encoding: 'json' | 'yaml';
  /** The objects themselves, as rows for people, or their metadata alone. */
  readonly form: 'object' | 'table' | 'metadata';
}

const supported = ['application/json', 'application/yaml'];

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
 * Picks the form of an answer. Protobuf is not spoken outwards; clients that ask for it name JSON as well.
 * @throws StatusError 406 when nothing acceptable is left.
 */
export function negotiate(header: string | undefined, { forms }: { readonly forms: boolean }): Accepted {
  for (const { type, parameters } of parseAccept(header)) {
    const encoding = encodingOf(type);
    if (!encoding) continue;
    const as = parameters.get('as');
    if (as === undefined) return { encoding, form: 'object' };
    const form = as === 'Table' ? 'table' : as.startsWith('PartialObjectMetadata') ? 'metadata' : undefined;
    if (forms && form && parameters.get('g') === 'meta.k8s.io' && parameters.get('v') === 'v1') return { encoding, form };
  }
  throw notAcceptable(supported);
}

function encodingOf(type: string): Accepted['encoding'] | undefined {
  if (type === '*/*' || type === 'application/*' || type === 'application/json') return 'json';
  return type === 'application/yaml' ? 'yaml' : undefined;
}
