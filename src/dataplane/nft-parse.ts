import { lastAddress, parsePrefix, prefixSize, tryParseAddress } from '../net/index.ts';
import type {
  NftChain,
  NftConntrackState,
  NftHook,
  NftKeyType,
  NftMatch,
  NftPorts,
  NftProtocol,
  NftRule,
  NftSet,
  NftTable,
  NftVerdict,
} from './nft.ts';

// Reads what `nft -j list table` prints (libnftables-json(5)). What it does not know stays in the data as unknown, and so differs from anything wanted.

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Something in the listing is not of the kinds that we write. */
class Unknown extends Error {}

const unknown = (): never => {
  throw new Unknown();
};
const objectOf = (value: Json | undefined): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : unknown();
const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : unknown());
const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : unknown());

/**
 * The table of the listing. A rule that is not of our kinds comes as `unknown`; a set of other kinds has the key `!`.
 * @throws SyntaxError when the text is not a listing of nft.
 */
export function parseNftTable(name: string, listing: string): NftTable {
  const parsed = JSON.parse(listing) as { nftables?: JsonObject[] };
  if (!Array.isArray(parsed.nftables)) throw new SyntaxError('not a listing of nft -j');
  const chains = new Map<string, NftChain & { rules: NftRule[] }>();
  const sets = new Map<string, NftSet>();
  const counters = new Set<string>();
  for (const { chain, rule, set, map, counter } of parsed.nftables) {
    if (chain) chains.set(textOf(objectOf(chain)['name']), { ...parseHook(objectOf(chain)), rules: [] });
    if (counter) counters.add(textOf(objectOf(counter)['name']));
    if (set ?? map) sets.set(textOf(objectOf(set ?? map)['name']), parseSet(objectOf(set ?? map)));
    if (rule) chains.get(textOf(objectOf(rule)['chain']))?.rules.push(parseRule(objectOf(rule)));
  }
  return { name, chains, sets, counters };
}

function parseHook({ hook, type, prio, policy }: JsonObject): { hook?: NftHook } {
  if (hook === undefined) return {};
  return { hook: { type: type as 'filter', hook: hook as NftHook['hook'], priority: Number(prio), policy: policy as NftHook['policy'] } };
}

const knownSetFields = new Set(['family', 'name', 'table', 'type', 'handle', 'flags', 'elem', 'map']);

function parseSet(set: JsonObject): NftSet {
  const elements = new Map<string, NftVerdict | undefined>();
  try {
    const key = (Array.isArray(set['type']) ? listOf(set['type']) : [set['type']]).map(textOf) as NftKeyType[];
    const verdicts = set['map'] !== undefined;
    const flags = set['flags'] === undefined ? [] : listOf(set['flags']);
    if (verdicts && set['map'] !== 'verdict') unknown();
    if (flags.some((flag) => flag !== 'interval') || Object.keys(set).some((field) => !knownSetFields.has(field))) unknown();
    for (const element of set['elem'] === undefined ? [] : listOf(set['elem'])) {
      if (verdicts) elements.set(parseKey(listOf(element)[0]!), parseVerdict(objectOf(listOf(element)[1])));
      else elements.set(parseKey(element), undefined);
    }
    return { key, interval: flags.length > 0, verdicts, elements };
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return { key: [], interval: false, verdicts: set['map'] !== undefined, elements: new Map([['!', undefined]]) };
  }
}

function parseKey(value: Json): string {
  if (typeof value === 'number') return `${value}`;
  if (typeof value === 'string') return tryParseAddress(value)?.text ?? unknown();
  const { prefix, range, concat } = objectOf(value);
  if (concat) return listOf(concat).map(parseKey).join(' . ');
  if (range) return listOf(range).map(parseKey).join('-');
  const { addr, len } = objectOf(prefix);
  const block = parsePrefix(`${textOf(addr)}/${Number(len)}`);
  if (prefixSize(block) === 1n) return block.address.text;
  return `${block.address.text}-${lastAddress(block).text}`;
}

function parseVerdict(expression: JsonObject): NftVerdict {
  for (const verdict of ['accept', 'drop', 'return'] as const) if (verdict in expression) return { verdict };
  for (const verdict of ['jump', 'goto'] as const) {
    if (verdict in expression) return { verdict, chain: textOf(objectOf(expression[verdict])['target']) };
  }
  return unknown();
}

function parseRule(rule: JsonObject): NftRule {
  try {
    const matches: NftMatch[] = [];
    let made: Omit<NftRule, 'matches'> = rule['comment'] === undefined ? {} : { comment: textOf(rule['comment']) };
    for (const expression of listOf(rule['expr']).map(objectOf)) {
      if (made.verdict) unknown();
      if (expression['match'] !== undefined) {
        // A match after a counter would count other packets.
        if (made.counter !== undefined || made.count) unknown();
        matches.push(parseMatch(objectOf(expression['match'])));
      } else if (typeof expression['counter'] === 'string') made = { ...made, counter: expression['counter'] };
      else if (expression['counter'] !== undefined) made = { ...made, count: true };
      else if (expression['vmap'] !== undefined) made = { ...made, verdict: parseVerdictMap(objectOf(expression['vmap'])) };
      else made = { ...made, verdict: parseVerdict(expression) };
    }
    return { matches, ...made };
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return { matches: [], unknown: JSON.stringify(rule['expr']) };
  }
}

type Field = { protocol: string; field: string };
const fieldOf = (value: JsonObject): Field => {
  const { protocol, field } = objectOf(value['payload']);
  return { protocol: textOf(protocol), field: textOf(field) };
};
const familyOf = (protocol: string): 4 | 6 => (protocol === 'ip' ? 4 : protocol === 'ip6' ? 6 : unknown());
const protocolOf = (text: string): NftProtocol => (text === 'tcp' || text === 'udp' || text === 'sctp' ? text : unknown());
const addressSide = (field: string): 'saddr' | 'daddr' => (field === 'saddr' || field === 'daddr' ? field : unknown());

function parseVerdictMap({ key, data }: JsonObject): NonNullable<NftRule['verdict']> {
  const { protocol, field } = fieldOf(objectOf(key));
  return { verdict: 'map', side: addressSide(field), family: familyOf(protocol), map: setNameOf(data) };
}

function setNameOf(value: Json | undefined): string {
  const text = textOf(value);
  return text.startsWith('@') ? text.slice(1) : unknown();
}

function parseMatch({ op, left, right }: JsonObject): NftMatch {
  const subject = objectOf(left);
  if (op !== '==' && op !== 'in') return unknown();
  if (subject['ct']) return parseConntrack(textOf(objectOf(subject['ct'])['key']), right!);
  if (op !== '==') return unknown();
  if (subject['meta']) {
    if (objectOf(subject['meta'])['key'] !== 'l4proto') return unknown();
    return { match: 'protocol', protocol: protocolOf(textOf(right)) };
  }
  if (subject['concat']) {
    const [address, port, more] = listOf(subject['concat']).map((each) => fieldOf(objectOf(each)));
    if (!address || !port || more) return unknown();
    const side =
      address.field === 'saddr' && port.field === 'sport'
        ? 'source'
        : address.field === 'daddr' && port.field === 'dport'
          ? 'destination'
          : unknown();
    return { match: 'address-port', side, family: familyOf(address.protocol), protocol: protocolOf(port.protocol), set: setNameOf(right) };
  }
  const { protocol, field } = fieldOf(subject);
  if (field === 'sport' || field === 'dport')
    return { match: 'port', side: field, protocol: protocolOf(protocol), ports: parsePorts(right!) };
  const side = addressSide(field);
  const family = familyOf(protocol);
  const text = textOf(right);
  return { match: 'address', side, family, in: text.startsWith('@') ? { set: text.slice(1) } : { address: parseKey(text) } };
}

function parseConntrack(key: string, right: Json): NftMatch {
  const values = (Array.isArray(right) ? listOf(right) : [right]).map(textOf);
  if (key === 'state') return { match: 'ct-state', states: values as NftConntrackState[] };
  const [direction] = values;
  return key === 'direction' && (direction === 'original' || direction === 'reply') ? { match: 'ct-direction', direction } : unknown();
}

function parsePorts(right: Json): NftPorts[] {
  const one = (value: Json): NftPorts => {
    if (typeof value === 'number') return [value, value];
    const [first, last] = listOf(objectOf(value)['range']).map(Number);
    return [first!, last!];
  };
  return typeof right === 'object' && right !== null && 'set' in right ? listOf(right['set']).map(one) : [one(right)];
}
