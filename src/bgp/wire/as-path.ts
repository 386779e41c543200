import { TruncatedError } from './error.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';
import { asTrans } from './constants.ts';

export interface AsPathSegment {
  readonly type: 'sequence' | 'set';
  /** 1 or more. */
  readonly asns: readonly number[];
}

export type AsPath = readonly AsPathSegment[];

const segmentCodes = { set: 1, sequence: 2 } as const;

/**
 * Reads segments to the end, AS numbers of `octets` each.
 * @throws TruncatedError when a segment is cut short, empty, or of a type that a speaker outside a confederation may not see (RFC 7606 section 7.2).
 */
export function readAsPath(reader: Reader, octets: 2 | 4): AsPathSegment[] {
  const segments: AsPathSegment[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const count = reader.u8();
    if ((code !== segmentCodes.set && code !== segmentCodes.sequence) || count === 0) throw new TruncatedError();
    const body = reader.sub(count * octets);
    const asns = Array.from({ length: count }, () => (octets === 4 ? body.u32() : body.u16()));
    segments.push({ type: code === segmentCodes.set ? 'set' : 'sequence', asns });
  }
  return segments;
}

/** Writes the path; a segment over 255 AS numbers is split. With 2 octets, AS numbers that do not fit become AS_TRANS. */
export function writeAsPath(writer: Writer, path: AsPath, octets: 2 | 4): void {
  for (const { type, asns } of path) {
    for (let start = 0; start < asns.length; start += 255) {
      const part = asns.slice(start, start + 255);
      writer.u8(segmentCodes[type]).u8(part.length);
      for (const asn of part)
        if (octets === 4) writer.u32(asn);
        else writer.u16(asn > 0xffff ? asTrans : asn);
    }
  }
}

/** Length as best path selection counts it: a set is 1 (RFC 4271 section 9.1.2.2). */
export const asPathLength = (path: AsPath): number => path.reduce((sum, { type, asns }) => sum + (type === 'set' ? 1 : asns.length), 0);

/** All AS numbers, in order. */
export const asPathAsns = (path: AsPath): number[] => path.flatMap(({ asns }) => asns);

/** The AS that the route came from: the first of a leading sequence. Undefined for an empty path or a leading set. */
export const neighborAs = (path: AsPath): number | undefined => (path[0]?.type === 'sequence' ? path[0].asns[0] : undefined);

/** `64512 64513 {1,2}`, as routers print it. */
export const formatAsPath = (path: AsPath): string =>
  path.map(({ type, asns }) => (type === 'set' ? `{${asns.join(',')}}` : asns.join(' '))).join(' ');

/** The path with `asn` put in front (RFC 4271 section 5.1.2). */
export function prependAs(path: AsPath, asn: number): AsPath {
  const [first, ...rest] = path;
  return first?.type === 'sequence' && first.asns.length < 255
    ? [{ type: 'sequence', asns: [asn, ...first.asns] }, ...rest]
    : [{ type: 'sequence', asns: [asn] }, ...path];
}

/**
 * The true path of a route that came through a speaker with two-octet AS numbers: the AS numbers that AS_PATH has more than AS4_PATH, then AS4_PATH
 * (RFC 6793 section 4.2.3). When AS4_PATH is the longer one, it is ignored.
 */
export function mergeAs4Path(path: AsPath, as4Path: AsPath): AsPath {
  let extra = asPathLength(path) - asPathLength(as4Path);
  if (extra < 0) return path;
  const leading: AsPathSegment[] = [];
  for (const segment of path) {
    if (extra <= 0) break;
    if (segment.type === 'set') {
      leading.push(segment);
      extra -= 1;
    } else {
      const asns = segment.asns.slice(0, extra);
      leading.push({ type: 'sequence', asns });
      extra -= asns.length;
    }
  }
  const last = leading.at(-1);
  const first = as4Path[0];
  if (last?.type === 'sequence' && first?.type === 'sequence' && last.asns.length + first.asns.length <= 255) {
    return [...leading.slice(0, -1), { type: 'sequence', asns: [...last.asns, ...first.asns] }, ...as4Path.slice(1)];
  }
  return [...leading, ...as4Path];
}
