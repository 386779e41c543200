import { type IpSet, type IpSetType, ipSetTypes } from './ipset.ts';

/** Text that is not what `ipset save` writes. `line` counts from 1. */
export class IpSetSyntaxError extends Error {
  readonly line: number;
  constructor(line: number, detail: string) {
    super(`ipset save output, line ${line}: ${detail}`);
    this.name = 'IpSetSyntaxError';
    this.line = line;
  }
}

/**
 * Reads the sets whose names `wanted` accepts out of the output of `ipset save`; of another set nothing is read.
 * @throws IpSetSyntaxError for a line that is neither a set nor an element, and for a wanted set of a type that is not known
 */
export function parseIpSetSave(text: string, wanted: (name: string) => boolean): Map<string, IpSet> {
  const sets = new Map<string, IpSet & { readonly elements: Map<string, true> }>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const fail = (detail: string): never => {
      throw new IpSetSyntaxError(index + 1, `${detail}: ${line.slice(0, 200)}`);
    };
    const [verb, name = fail('no set'), what = fail('no type or element'), ...options] = line.trim().split(' ');
    if (verb !== 'create' && verb !== 'add') fail('neither create nor add');
    if (!wanted(name)) continue;
    if (verb === 'add') {
      const set = sets.get(name) ?? fail('element of a set not told before');
      set.elements.set(what, true);
      continue;
    }
    const type = isKnownType(what) ? what : fail(`set ${name} is of type ${what}, which the proxy does not make; rename or destroy it`);
    const family = options[options.indexOf('family') + 1];
    sets.set(name, { type, family: type === 'bitmap:port' ? undefined : family === 'inet6' ? 6 : 4, elements: new Map() });
  }
  return sets;
}

const isKnownType = (text: string): text is IpSetType => (ipSetTypes as readonly string[]).includes(text);
