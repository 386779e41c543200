import { lastAddress, parsePrefix, prefixSize, tryParseAddress } from '../net/index.ts';
import type {
  NftChain,
  NftConntrackState,
  NftDecision,
  NftElement,
  NftFamily,
  NftHook,
  NftKeyType,
  NftMatch,
  NftPorts,
  NftProtocol,
  NftRule,
  NftSelector,
  NftSet,
  NftStatement,
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
export function parseNftTable(name: string, listing: string, family: NftFamily = 'inet'): NftTable {
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
  return { ...(family === 'inet' ? {} : { family }), name, chains, sets, counters };
}

function parseHook({ hook, type, prio, policy }: JsonObject): { hook?: NftHook } {
  if (hook === undefined) return {};
  return {
    hook: { type: type as NftHook['type'], hook: hook as NftHook['hook'], priority: Number(prio), policy: policy as NftHook['policy'] },
  };
}

const knownSetFields = new Set(['family', 'name', 'table', 'type', 'handle', 'flags', 'elem', 'map', 'timeout', 'size']);

function parseSet(set: JsonObject): NftSet {
  const isMap = set['map'] !== undefined;
  try {
    const elements = new Map<string, NftElement>();
    const key = (Array.isArray(set['type']) ? listOf(set['type']) : [set['type']]).map(textOf) as NftKeyType[];
    const flags = set['flags'] === undefined ? [] : listOf(set['flags']).map(textOf);
    const timeout = set['timeout'] === undefined ? undefined : Number(set['timeout']);
    // nft 1.0.6 does not list the flag `dynamic`; the kernel gives such a set a size.
    const expected = timeout === undefined ? ['interval'] : ['timeout', 'dynamic'];
    if (flags.some((flag) => !expected.includes(flag)) || (timeout !== undefined) !== flags.includes('timeout')) unknown();
    if (Object.keys(set).some((field) => !knownSetFields.has(field)) || (set['size'] !== undefined && timeout === undefined)) unknown();
    const verdicts = set['map'] === 'verdict';
    const data = isMap && !verdicts ? (textOf(set['map']).split(' . ') as NftKeyType[]) : undefined;
    // What rules put into a set, and what is about to leave it, is no part of the state.
    for (const element of set['elem'] === undefined || timeout !== undefined ? [] : listOf(set['elem'])) {
      if (!isMap) elements.set(parseKey(element), undefined);
      else {
        const [from, to] = listOf(element);
        elements.set(parseKey(from!), verdicts ? parseVerdict(objectOf(to)) : parseKey(to!));
      }
    }
    const interval = flags.includes('interval');
    return { key, interval, verdicts, ...(data ? { data } : {}), ...(timeout === undefined ? {} : { timeout }), elements };
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return { key: [], interval: false, verdicts: isMap, elements: new Map([['!', undefined]]) };
  }
}

function parseKey(value: Json): string {
  if (typeof value === 'number') return `${value}`;
  if (typeof value === 'string') return tryParseAddress(value)?.text ?? protocolOf(value);
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
    const statements: NftStatement[] = [];
    let counted: Pick<NftRule, 'counter' | 'count'> = {};
    let verdict: NftDecision | undefined;
    for (const expression of listOf(rule['expr']).map(objectOf)) {
      if (verdict) unknown();
      if (expression['match'] !== undefined) {
        // A match after a counter would count other packets, and one after a statement do it for others.
        if (counted.counter !== undefined || counted.count || statements.length > 0) unknown();
        matches.push(parseMatch(objectOf(expression['match'])));
      } else if (expression['counter'] !== undefined) {
        if (statements.length > 0) unknown();
        counted = typeof expression['counter'] === 'string' ? { ...counted, counter: expression['counter'] } : { ...counted, count: true };
      } else if (expression['mangle'] !== undefined) statements.push(parseMangle(objectOf(expression['mangle'])));
      else if (expression['set'] !== undefined) statements.push(parseUpdate(objectOf(expression['set'])));
      else verdict = parseDecision(expression);
    }
    return {
      matches,
      ...counted,
      ...(statements.length > 0 ? { statements } : {}),
      ...(verdict ? { verdict } : {}),
      ...(rule['comment'] === undefined ? {} : { comment: textOf(rule['comment']) }),
    };
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return { matches: [], unknown: JSON.stringify(rule['expr']) };
  }
}

const protocolOf = (text: string): NftProtocol => (text === 'tcp' || text === 'udp' || text === 'sctp' ? text : unknown());

/** Only expressions that nft itself writes with one word or two. */
function parseSelector(value: Json): NftSelector {
  const { payload, meta, fib, ct, numgen } = objectOf(value);
  if (payload) {
    const { protocol, field } = objectOf(payload);
    const text = `${textOf(protocol)} ${textOf(field)}`;
    return /^(ip6? [sd]addr|(th|tcp|udp|sctp) [sd]port)$/.test(text) ? (text as NftSelector) : unknown();
  }
  if (meta) {
    const { key } = objectOf(meta);
    return key === 'l4proto' ? 'meta l4proto' : key === 'iifname' || key === 'oifname' ? key : unknown();
  }
  if (fib) {
    const { result, flags } = objectOf(fib);
    const [side, more] = listOf(flags);
    return result === 'type' && more === undefined && (side === 'saddr' || side === 'daddr') ? `fib ${side} type` : unknown();
  }
  if (ct) {
    const { key, dir } = objectOf(ct);
    if (key === 'proto-dst' && dir === 'original') return 'ct original proto-dst';
    return key === 'status' && dir === undefined ? 'ct status' : unknown();
  }
  const { mode, mod, offset } = objectOf(numgen);
  return mode === 'random' && typeof mod === 'number' && offset === 0 ? `numgen random mod ${mod}` : unknown();
}

const parseSelectors = (value: Json | undefined): NftSelector[] => {
  const { concat } = objectOf(value);
  return concat ? listOf(concat).map(parseSelector) : [parseSelector(value!)];
};

function parseDecision(expression: JsonObject): NftDecision {
  const { vmap, reject, dnat } = expression;
  if (vmap) {
    const { key, data } = objectOf(vmap);
    return typeof data === 'string' ? { verdict: 'vmap', of: parseSelectors(key), map: setNameOf(data) } : parseSpread(key, data);
  }
  if (reject !== undefined) {
    const { type, expr } = objectOf(reject ?? {});
    if (type === 'tcp reset') return { verdict: 'reject', with: 'tcp reset' };
    return type === undefined || (expr === 'port-unreachable' && textOf(type).startsWith('icmp'))
      ? { verdict: 'reject', with: 'port-unreachable' }
      : unknown();
  }
  if ('masquerade' in expression) {
    const { masquerade } = expression;
    if (masquerade === null) return { verdict: 'masquerade' };
    const { flags, ...more } = objectOf(masquerade);
    return flags === 'fully-random' && Object.keys(more).length === 0 ? { verdict: 'masquerade', fullyRandom: true } : unknown();
  }
  return dnat ? parseDnat(objectOf(dnat)) : parseVerdict(expression);
}

function parseSpread(key: Json | undefined, data: Json | undefined): NftDecision {
  const elements = listOf(objectOf(data)['set']).map(listOf);
  const chains = elements.map(([number, verdict], index) => {
    const { goto } = objectOf(verdict);
    return number === index && goto ? textOf(objectOf(goto)['target']) : unknown();
  });
  return parseSelector(key!) === `numgen random mod ${chains.length}` ? { verdict: 'spread', chains } : unknown();
}

function parseDnat({ family, addr, port, ...more }: JsonObject): NftDecision {
  if (Object.keys(more).length > 0) unknown();
  const ipFamily = (text: Json | undefined): 4 | 6 => (text === 'ip' ? 4 : text === 'ip6' ? 6 : unknown());
  if (typeof addr === 'string') {
    const address = tryParseAddress(addr) ?? unknown();
    const own = family === undefined ? address.family : ipFamily(family);
    return { verdict: 'dnat', family: own, to: { address: address.text, ...(port === undefined ? {} : { port: Number(port) }) } };
  }
  const { key, data } = objectOf(objectOf(addr)['map']);
  return { verdict: 'dnat', family: ipFamily(family), to: { of: parseSelectors(key), map: setNameOf(data) } };
}

function parseMangle({ key, value }: JsonObject): NftStatement {
  const isMark = (json: Json | undefined): boolean => objectOf(objectOf(json)['meta'])['key'] === 'mark';
  const { '|': or, '&': and } = objectOf(value);
  const [mark, bits] = listOf(or ?? and);
  if (!isMark(key) || !isMark(mark) || typeof bits !== 'number') return unknown();
  return or ? { do: 'set-mark-bits', bits } : { do: 'clear-mark-bits', bits: ~bits >>> 0 };
}

function parseUpdate({ op, elem, set }: JsonObject): NftStatement {
  return op === 'update' ? { do: 'update', set: setNameOf(set), of: parseSelectors(elem) } : unknown();
}

function setNameOf(value: Json | undefined): string {
  const text = textOf(value);
  return text.startsWith('@') ? text.slice(1) : unknown();
}

function parseMatch({ op, left, right }: JsonObject): NftMatch {
  const subject = objectOf(left);
  if (subject['ct'] && op === 'in') return parseConntrack(textOf(objectOf(subject['ct'])['key']), right!);
  if (op !== '==' && op !== '!=') return unknown();
  const not = op === '!=' ? ({ not: true } as const) : {};
  if (subject['ct'] && objectOf(subject['ct'])['key'] !== 'status')
    return not.not ? unknown() : parseConntrack(textOf(objectOf(subject['ct'])['key']), right!);
  if (subject['&']) {
    const [what, mask] = listOf(subject['&']);
    if (objectOf(objectOf(what)['meta'])['key'] !== 'mark' || typeof mask !== 'number' || typeof right !== 'number') return unknown();
    return { match: 'mark', mask, value: right, ...not };
  }
  const of = parseSelectors(left);
  if (typeof right === 'string' && right.startsWith('@')) return { match: 'in', of, set: right.slice(1), ...not };
  const [selector] = of;
  if (!selector || of.length > 1) return unknown();
  const [protocol, side] = selector.split(' ');
  if (side === 'sport' || side === 'dport')
    return not.not ? unknown() : { match: 'port', side, protocol: protocolOf(protocol!), ports: parsePorts(right!) };
  const values = typeof right === 'object' && right !== null && 'set' in right ? listOf(right['set']) : [right!];
  return { match: 'is', of: selector, values: values.map((value) => parseValue(selector, value)), ...not };
}

function parseValue(of: NftSelector, value: Json): string {
  if (!of.startsWith('ip')) return textOf(value);
  if (typeof value === 'string') return tryParseAddress(value)?.text ?? unknown();
  const { addr, len } = objectOf(objectOf(value)['prefix']);
  return parsePrefix(`${textOf(addr)}/${Number(len)}`).text;
}

function parseConntrack(key: string, right: Json): NftMatch {
  const values = (Array.isArray(right) ? listOf(right) : [right]).map(textOf);
  if (key === 'state') return { match: 'ct-state', states: values as NftConntrackState[] };
  if (key === 'status') return { match: 'is', of: 'ct status', values };
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
