import type { IpSet } from '../dataplane/ipset.ts';
import { type Address, parsePrefix, type Prefix, prefixContains } from '../net/index.ts';
import { WalkError } from './packet.ts';

/** One end of a packet. */
interface End {
  readonly address: Address;
  readonly port: number | undefined;
}

/** What a set is asked about. */
export interface SetSubject {
  readonly protocol: string;
  readonly src: End;
  readonly dst: End;
}

const ported = new Set(['tcp', 'udp', 'sctp']);

/**
 * Whether the set holds the packet; each part of an element is taken from the side that stands at its place. A set with ports holds no packet
 * without one. @throws WalkError when there are fewer sides than the set has parts: the kernel refuses such a rule
 */
export function setHolds(set: IpSet, sides: readonly ('src' | 'dst')[], subject: SetSubject): boolean {
  const parts = set.type === 'bitmap:port' ? 1 : set.type.split(',').length;
  if (sides.length < parts) throw new WalkError(`a set of type ${set.type} is asked with ${sides.join(',') || 'no side'}`);
  const end = (place: number): End => subject[sides[place]!];
  const port = end(parts === 1 ? 0 : 1).port;
  const hasPort = ported.has(subject.protocol) && port !== undefined;
  switch (set.type) {
    case 'hash:ip':
      return set.elements.has(end(0).address.text);
    case 'bitmap:port':
      return hasPort && set.elements.has(`${port}`);
    default: {
      if (!hasPort) return false;
      const key = `${end(0).address.text},${subject.protocol}:${port}`;
      if (set.type === 'hash:ip,port') return set.elements.has(key);
      const third = end(2).address;
      return set.type === 'hash:ip,port,ip'
        ? set.elements.has(`${key},${third.text}`)
        : rangesOf(set, key).some((range) => prefixContains(range, third));
    }
  }
}

const ranges = new WeakMap<IpSet['elements'], Map<string, Prefix[]>>();

/** The networks that the set holds with one address and port. */
function rangesOf({ elements }: IpSet, key: string): readonly Prefix[] {
  const known = ranges.get(elements) ?? new Map<string, Prefix[]>();
  if (!ranges.has(elements)) {
    for (const element of elements.keys()) {
      const at = element.lastIndexOf(',');
      const [of, text] = [element.slice(0, at), element.slice(at + 1)];
      const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
      known.set(of, [...(known.get(of) ?? []), prefix]);
    }
    ranges.set(elements, known);
  }
  return known.get(key) ?? [];
}
