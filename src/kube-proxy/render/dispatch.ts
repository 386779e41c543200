import type { IptablesChain, KnownRule } from '../../dataplane/iptables.ts';
import { parsePrefix, prefixOf } from '../../net/index.ts';
import { bucketChain } from '../chain-names.ts';
import { destination, jump, rule } from './rules.ts';

/** How KUBE-SERVICES finds the service: rules of its own, each for one destination address, and the chains that they lead to besides. */
export type Dispatch = (rules: readonly KnownRule[]) => {
  readonly rules: readonly KnownRule[];
  readonly buckets: ReadonlyMap<string, IptablesChain>;
};

/** kube-proxy's: one rule after the other. */
export const flatDispatch: Dispatch = (rules) => ({ rules, buckets: new Map() });

/** Host bits of the blocks, from large to small: 4,096, 256 and 16 addresses; a /20, /24 and /28 in IPv4. */
const blockBits = [12, 8, 4] as const;

/** So many rules are looked through rather than divided further. */
const maxRules = 8;

/**
 * By blocks of addresses: a packet is compared with the few blocks of each level instead of with every service. The order of the rules does not
 * matter, because no two are for one address, protocol and port. What is for no service comes back and goes on to the node ports.
 *
 * Keeps the chains of blocks that hold the same rules as the time before.
 */
export function createBucketedDispatch(): Dispatch {
  const blocksOf = new WeakMap<KnownRule, readonly string[]>();
  const names = new Map<string, string>();
  let last: ReadonlyMap<string, IptablesChain> = new Map();
  let lastRules: readonly KnownRule[] | undefined;
  let lastTop: readonly KnownRule[] = [];
  const blocks = (each: KnownRule): readonly string[] => {
    const known = blocksOf.get(each);
    if (known) return known;
    const [to] = each.matches.flatMap((match) => (match.match === 'destination' ? [match.prefix] : []));
    const made = to === undefined ? [] : blocksAround(to);
    blocksOf.set(each, made);
    return made;
  };
  const nameOf = (block: string): string => {
    const name = names.get(block) ?? bucketChain(block);
    names.set(block, name);
    return name;
  };
  return (rules) => {
    if (lastRules && sameList(lastRules, rules)) return { rules: lastTop, buckets: last };
    const buckets = new Map<string, IptablesChain>();
    const divide = (own: readonly KnownRule[], level: number): readonly KnownRule[] => {
      if (own.length <= maxRules || level === blockBits.length) return own;
      const groups = new Map<string, KnownRule[]>();
      for (const each of own) {
        const block = blocks(each)[level] ?? '';
        const group = groups.get(block);
        if (group) group.push(each);
        else groups.set(block, [each]);
      }
      // A level that would tell nothing apart is left out.
      if (groups.size === 1) return divide(own, level + 1);
      return [...groups].flatMap(([block, group]) => {
        if (block === '' || group.length === 1) return group;
        const name = nameOf(block);
        const inner = divide(group, level + 1);
        const before = last.get(name);
        buckets.set(name, before && sameList(before.rules, inner) ? before : { rules: inner });
        return [rule(destination(block), jump(name))];
      });
    };
    lastTop = divide(rules, 0);
    lastRules = rules;
    last = buckets;
    return { rules: lastTop, buckets };
  };
}

/** The blocks that hold the address of `10.96.0.1/32`. */
function blocksAround(host: string): string[] {
  const { address, length } = parsePrefix(host);
  return blockBits.map((bits) => prefixOf(address, length - bits).text);
}

/** Rules that lead to blocks are made anew each time; those of services are the same objects. */
const sameList = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((element, index) => element === b[index]);
