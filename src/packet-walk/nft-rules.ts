import type {
  NftDecision,
  NftElement,
  NftHook,
  NftMatch,
  NftPorts,
  NftRule,
  NftSelector,
  NftSet,
  NftTable,
  NftVerdict,
} from '../dataplane/nft.ts';
import { printNftRule } from '../dataplane/nft-print.ts';
import { type Address, parseAddress, prefixContains, tryParsePrefix } from '../net/index.ts';
import { WalkError, type WalkStep } from './packet.ts';

/** A packet on its way through nftables; the walk changes it. */
export interface NftTraveller {
  readonly source: Address;
  destination: Address;
  readonly protocol: string;
  readonly sourcePort: number | undefined;
  port: number | undefined;
  /** The port before DNAT. */
  readonly originalPort: number | undefined;
  in: string;
  readonly state: string;
  readonly direction: 'original' | 'reply';
  mark: number;
  dnat: boolean;
  masquerade: boolean;
  rejectWith?: string;
  readonly path: WalkStep[];
  /** Keys that rules put into sets with a timeout, by table and set; changed by the walk. */
  readonly remembered: Map<string, Set<string>>;
  isLocal(address: Address): boolean;
  /** Whether a chance with these odds (0 to 1) is taken. */
  choose(odds: number): boolean;
}

/** `continue`: no base chain has had the last word. `done`: accepted by this base chain, by NAT or otherwise. */
export type NftOutcome = 'done' | 'drop' | 'reject' | 'continue';

/** Walks through one base chain. @throws WalkError on a rule it does not know, a missing chain or set, or a jump in a circle */
export function walkBaseChain(table: NftTable, name: string, hook: NftHook, traveller: NftTraveller): NftOutcome {
  return walkChain({ table, hook, traveller }, name, []);
}

interface Walk {
  readonly table: NftTable;
  readonly hook: NftHook;
  readonly traveller: NftTraveller;
}

function walkChain(walk: Walk, name: string, above: readonly string[]): NftOutcome {
  const { table, hook, traveller } = walk;
  const chain = table.chains.get(name);
  if (!chain) throw new WalkError(`there is no chain ${name}`);
  if (above.includes(name)) throw new WalkError(`chain ${name} leads back to itself`);
  for (const [index, rule] of chain.rules.entries()) {
    if (rule.unknown !== undefined) throw new WalkError(`rule ${index} of ${name} is not known: ${rule.unknown}`);
    if (!rule.matches.every((match) => isMatch(table, match, traveller))) continue;
    const decided = decide(walk, rule);
    // A map without the key lets the packet pass to the next rule.
    if (decided === 'no-element') continue;
    traveller.path.push({ table: table.name, hook: hook.hook, chain: name, rule: index, text: printNftRule(rule) });
    remember(walk, rule);
    if (typeof decided === 'string') {
      if (decided !== 'continue') return decided;
      continue;
    }
    if (decided.verdict === 'return') return 'continue';
    const outcome = walkChain(walk, decided.chain, [...above, name]);
    if (outcome !== 'continue' || decided.verdict === 'goto') return outcome;
  }
  return 'continue';
}

type Jump = Extract<NftVerdict, { chain: string }> | { readonly verdict: 'return' };

function decide({ table, hook, traveller }: Walk, { verdict }: NftRule): NftOutcome | Jump | 'no-element' {
  if (!verdict) return 'continue';
  switch (verdict.verdict) {
    case 'vmap': {
      const element = lookUp(table, verdict.map, verdict.of, traveller);
      if (element === undefined) return 'no-element';
      return typeof element === 'string' ? fail(`${verdict.map} is no verdict map`) : plain(element);
    }
    case 'spread':
      return { verdict: 'goto', chain: verdict.chains[pick(verdict.chains.length, traveller)]! };
    case 'reject':
      if (hook.hook === 'prerouting' || hook.hook === 'postrouting' || hook.type === 'nat')
        fail(`reject is not possible at ${hook.type} ${hook.hook}`);
      traveller.rejectWith = verdict.with;
      return 'reject';
    case 'masquerade':
      if (hook.type !== 'nat' || hook.hook !== 'postrouting') fail(`masquerade is not possible at ${hook.type} ${hook.hook}`);
      traveller.masquerade = true;
      return 'done';
    case 'dnat':
      if (hook.type !== 'nat' || (hook.hook !== 'prerouting' && hook.hook !== 'output'))
        fail(`dnat is not possible at ${hook.type} ${hook.hook}`);
      return redirect(table, verdict, traveller) ? 'done' : 'no-element';
    default:
      return plain(verdict);
  }
}

const plain = (verdict: NftVerdict): NftOutcome | Jump => {
  if ('chain' in verdict) return verdict;
  return verdict.verdict === 'return' ? { verdict: 'return' } : verdict.verdict === 'drop' ? 'drop' : 'done';
};

const fail = (message: string): never => {
  throw new WalkError(message);
};

/** A number below `count`, each as likely as the others. */
function pick(count: number, { choose }: NftTraveller): number {
  for (let index = 0; index < count - 1; index++) if (choose(1 / (count - index))) return index;
  return count - 1;
}

function redirect(table: NftTable, { to, family }: Extract<NftDecision, { verdict: 'dnat' }>, traveller: NftTraveller): boolean {
  if (traveller.destination.family !== family) return false;
  const found = 'map' in to ? lookUp(table, to.map, to.of, traveller) : to.port === undefined ? to.address : `${to.address} . ${to.port}`;
  if (typeof found !== 'string') return found === undefined ? false : fail('a destination cannot be a verdict');
  const [address = '', port] = found.split(' . ');
  traveller.destination = parseAddress(address);
  if (port !== undefined) traveller.port = Number(port);
  traveller.dnat = true;
  return true;
}

function remember({ table, traveller }: Walk, { statements = [] }: NftRule): void {
  for (const statement of statements) {
    if (statement.do === 'set-mark-bits') traveller.mark = (traveller.mark | statement.bits) >>> 0;
    else if (statement.do === 'clear-mark-bits') traveller.mark = (traveller.mark & ~statement.bits) >>> 0;
    else {
      const key = keyOf(statement.of, traveller);
      const name = `${table.name} ${statement.set}`;
      if (key !== undefined) traveller.remembered.set(name, (traveller.remembered.get(name) ?? new Set()).add(key));
    }
  }
}

function lookUp(table: NftTable, name: string, of: readonly NftSelector[], traveller: NftTraveller): NftElement {
  const key = keyOf(of, traveller);
  return key === undefined ? undefined : setOf(table, name).elements.get(key);
}

/** The selectors' values as a set's key; undefined when the packet has not all of them. */
function keyOf(of: readonly NftSelector[], traveller: NftTraveller): string | undefined {
  const parts = of.map((selector) => valueOf(selector, traveller));
  return parts.includes(undefined) ? undefined : parts.join(' . ');
}

function setOf(table: NftTable, name: string): NftSet {
  const set = table.sets.get(name);
  if (!set || set.key.length === 0) throw new WalkError(set ? `the set ${name} is of a kind not known` : `there is no set ${name}`);
  return set;
}

/** What the packet has there, in the canonical text of elements. */
function valueOf(selector: NftSelector, traveller: NftTraveller): string | undefined {
  const [first = '', second = ''] = selector.split(' ');
  switch (first) {
    case 'ip':
    case 'ip6': {
      const address = second === 'saddr' ? traveller.source : traveller.destination;
      return address.family === (first === 'ip' ? 4 : 6) ? address.text : undefined;
    }
    case 'th':
    case 'tcp':
    case 'udp':
    case 'sctp': {
      const port = second === 'sport' ? traveller.sourcePort : traveller.port;
      return first === 'th' || first === traveller.protocol ? port?.toString() : undefined;
    }
    case 'fib':
      return traveller.isLocal(second === 'saddr' ? traveller.source : traveller.destination) ? 'local' : 'unicast';
    case 'meta':
      return traveller.protocol;
    case 'iifname':
      return traveller.in;
    case 'ct':
      if (selector === 'ct original proto-dst') return traveller.originalPort?.toString();
      return traveller.dnat ? 'dnat' : '';
    case 'numgen':
      return String(pick(Number(selector.slice(selector.lastIndexOf(' ') + 1)), traveller));
    default:
      return fail(`the walk does not know a packet's ${selector}`);
  }
}

function isMatch(table: NftTable, match: NftMatch, traveller: NftTraveller): boolean {
  switch (match.match) {
    case 'ct-state':
      return match.states.includes(traveller.state.toLowerCase() as 'new');
    case 'ct-direction':
      return match.direction === traveller.direction;
    case 'port': {
      const port = match.side === 'sport' ? traveller.sourcePort : traveller.port;
      return (
        match.protocol === traveller.protocol &&
        port !== undefined &&
        match.ports.some(([first, last]: NftPorts) => port >= first && port <= last)
      );
    }
    case 'mark':
      return ((traveller.mark & match.mask) >>> 0 === match.value) !== (match.not ?? false);
    case 'is': {
      const value = valueOf(match.of, traveller);
      return value !== undefined && match.values.some((wanted) => isValue(match.of, wanted, value)) !== (match.not ?? false);
    }
    case 'in': {
      const key = keyOf(match.of, traveller);
      return key !== undefined && holds(table, match.set, key, traveller) !== (match.not ?? false);
    }
  }
}

function isValue(of: NftSelector, wanted: string, value: string): boolean {
  if (of.endsWith('ifname')) return wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
  const prefix = of.startsWith('ip') ? tryParsePrefix(wanted) : undefined;
  return prefix ? prefixContains(prefix, parseAddress(value)) : value === wanted;
}

function holds(table: NftTable, name: string, key: string, { remembered }: NftTraveller): boolean {
  const { interval, elements, timeout } = setOf(table, name);
  if (timeout !== undefined) return remembered.get(`${table.name} ${name}`)?.has(key) ?? false;
  if (!interval) return elements.has(key);
  const { value } = parseAddress(key);
  for (const each of elements.keys()) {
    const [first, last = first] = each.split('-');
    if (parseAddress(first!).value <= value && value <= parseAddress(last!).value) return true;
  }
  return false;
}
