import { addressBits, type Family, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import {
  builtInChains,
  type ConntrackState,
  defaultReject,
  type IptablesChain,
  type IptablesMatch,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTableName,
  type IptablesTarget,
  type RecentMatch,
  type TransportProtocol,
} from './iptables.ts';

/** Text that is not what iptables-save writes. `line` counts from 1. */
export class IptablesSyntaxError extends Error {
  readonly line: number;
  constructor(line: number, detail: string) {
    super(`iptables-save output, line ${line}: ${detail}`);
    this.name = 'IptablesSyntaxError';
    this.line = line;
  }
}

/** Reads the output of iptables-save or ip6tables-save. @throws IptablesSyntaxError when a line is neither table, chain, rule nor comment. */
export function parseIptablesSave(family: Family, text: string): IptablesRuleset {
  const tables = new Map<IptablesTableName, Map<string, IptablesChain>>();
  let table: Map<string, { policy?: 'ACCEPT' | 'DROP'; rules: IptablesRule[] }> | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fail = (detail: string): never => {
      throw new IptablesSyntaxError(index + 1, detail);
    };
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('*')) {
      const name = line.slice(1) as IptablesTableName;
      if (!(name in builtInChains)) fail(`unknown table ${JSON.stringify(name)}`);
      table = new Map();
      tables.set(name, table);
    } else if (!table) fail('outside of a table');
    else if (line === 'COMMIT') table = undefined;
    else if (line.startsWith(':')) {
      const [name = '', policy] = line.slice(1).split(' ');
      table.set(name, policy === 'ACCEPT' || policy === 'DROP' ? { policy, rules: [] } : { rules: [] });
    } else {
      const rule = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? fail('neither a chain nor a rule');
      const chain = table.get(rule[1]!) ?? fail(`rule of the undeclared chain ${rule[1]}`);
      chain.rules.push(parseRule(family, rule[2]!));
    }
  }
  return { family, tables };
}

/** Splits a rule into words as iptables-restore does: double quotes group, a backslash inside them keeps the next character. */
function splitRule(text: string): string[] {
  const words: string[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|(\S+))/gy;
  for (let match = pattern.exec(text); match; match = pattern.exec(text))
    words.push(match[1] === undefined ? match[2]! : match[1].replace(/\\(.)/g, '$1'));
  return words;
}

/** Reads what follows `-A CHAIN`. A rule with anything unknown in it comes back whole as an UnknownRule. */
export function parseRule(family: Family, text: string): IptablesRule {
  const words = splitRule(text);
  const matches: IptablesMatch[] = [];
  let target: IptablesTarget | undefined;
  let extension = '';
  const unknown = (): IptablesRule => {
    const at = words.findIndex((word, index) => (word === '-j' || word === '-g') && words[index - 1] !== '--comment');
    return words[at + 1] !== undefined && at >= 0 ? { text, jump: words[at + 1]! } : { text };
  };
  for (let at = 0; at < words.length; ) {
    const not = words[at] === '!';
    if (not) at++;
    const word = words[at++]!;
    if (word === '-m') {
      extension = words[at++] ?? '';
      if (not) return unknown();
      if (isTransport(extension)) matches.push({ match: 'transport', protocol: extension });
      else if (!extensions.has(extension)) return unknown();
      else if (extension === 'recent') {
        const [recent, next] = parseRecent(words, at);
        if (!recent) return unknown();
        matches.push(recent);
        at = next;
      }
      continue;
    }
    if (word === '-j' || word === '-g') {
      target = not ? undefined : parseTarget(family, word, words.slice(at));
      if (!target) return unknown();
      break;
    }
    if (word === '--mode' && extension === 'statistic' && words[at] === 'random' && !not) {
      at++;
      continue;
    }
    if (word === '--match-set' && extension === 'set') {
      const set = parseMatchSet(words[at++], words[at++], not);
      if (!set) return unknown();
      matches.push(set);
      continue;
    }
    const match = parseMatch(family, extension, word, words[at++], not);
    if (!match) return unknown();
    if (match.match === 'sport' || match.match === 'dport') {
      const place = matches.findIndex((other) => other.match === 'transport');
      if (place >= 0) matches.splice(place, 1);
    }
    matches.push(match);
  }
  return target ? { matches, target } : { matches };
}

const extensions = new Set(['comment', 'addrtype', 'mark', 'conntrack', 'statistic', 'recent', 'set']);
const isTransport = (word: string): word is TransportProtocol => word === 'tcp' || word === 'udp' || word === 'sctp';
const conntrackStates = new Set(['INVALID', 'NEW', 'ESTABLISHED', 'RELATED', 'UNTRACKED', 'SNAT', 'DNAT']);

function parseMatch(
  family: Family,
  extension: string,
  option: string,
  value: string | undefined,
  isNot: boolean,
): IptablesMatch | undefined {
  if (value === undefined) return undefined;
  const not = isNot ? { not: true } : {};
  switch (`${option.startsWith('--') ? extension : ''}${option}`) {
    case '-s':
    case '-d': {
      const prefix = canonicalPrefix(family, value);
      return prefix === undefined ? undefined : { match: option === '-s' ? 'source' : 'destination', prefix, ...not };
    }
    case '-i':
    case '-o':
      return { match: option === '-i' ? 'in' : 'out', interface: value, ...not };
    case '-p':
      return { match: 'protocol', protocol: value === 'ipv6-icmp' ? 'icmpv6' : value, ...not };
    case 'comment--comment':
      return isNot ? undefined : { match: 'comment', text: value };
    case 'addrtype--src-type':
    case 'addrtype--dst-type':
      return value === 'LOCAL'
        ? { match: 'addrtype', side: option === '--src-type' ? 'source' : 'destination', type: 'LOCAL', ...not }
        : undefined;
    case 'mark--mark': {
      const mark = parseMark(value);
      return mark && { match: 'mark', ...mark, ...not };
    }
    case 'conntrack--ctstate': {
      const states = value.split(',');
      return states.every((state) => conntrackStates.has(state))
        ? { match: 'ctstate', states: states as ConntrackState[], ...not }
        : undefined;
    }
    case 'statistic--probability':
      return isNot || !(Number(value) >= 0 && Number(value) <= 1) ? undefined : { match: 'statistic', odds: oddsOf(Number(value)) };
    default: {
      const ports = /^(\d+)(?::(\d+))?$/.exec(value);
      if (!isTransport(extension) || (option !== '--sport' && option !== '--dport') || !ports) return undefined;
      return {
        match: option === '--sport' ? 'sport' : 'dport',
        protocol: extension,
        first: Number(ports[1]),
        last: Number(ports[2] ?? ports[1]),
        ...not,
      };
    }
  }
}

function parseMatchSet(set: string | undefined, sides: string | undefined, isNot: boolean): IptablesMatch | undefined {
  const parts = sides?.split(',') ?? [];
  if (set === undefined || parts.length === 0 || parts.length > 3 || !parts.every((part) => part === 'src' || part === 'dst'))
    return undefined;
  return { match: 'set', set, sides: parts as ('src' | 'dst')[], ...(isNot ? { not: true } : {}) };
}

/** The kernel's unit for `-m statistic --mode random`: out of 2^31. */
export const oddsOf = (probability: number): number => Math.round(probability * 2 ** 31);

function canonicalPrefix(family: Family, text: string): string | undefined {
  const prefix = text.includes('/') ? tryParsePrefix(text) : tryParsePrefix(`${text}/${addressBits(family)}`);
  return prefix?.family === family ? prefix.text : undefined;
}

function parseMark(text: string): { value: number; mask: number } | undefined {
  const match = /^(0x[\da-f]{1,8}|\d{1,10})(?:\/(0x[\da-f]{1,8}|\d{1,10}))?$/i.exec(text);
  return match ? { value: Number(match[1]), mask: match[2] === undefined ? 0xffffffff : Number(match[2]) } : undefined;
}

/** `-m recent` by source address with the options kube-proxy uses; anything else makes the rule unknown. */
function parseRecent(words: readonly string[], start: number): [RecentMatch | undefined, number] {
  const recent: { operation?: 'set' | 'rcheck'; name?: string; seconds?: number; reap?: boolean } = {};
  let at = start;
  for (; words[at]?.startsWith('--'); at++) {
    const option = words[at]!;
    if (option === '--set' || option === '--rcheck') recent.operation = option === '--set' ? 'set' : 'rcheck';
    else if (option === '--reap') recent.reap = true;
    else if (option === '--name') recent.name = words[++at]!;
    else if (option === '--seconds') recent.seconds = Number(words[++at]);
    else if (option === '--mask') {
      const mask = words[++at];
      if (mask !== '255.255.255.255' && mask !== 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff') return [undefined, at];
    } else if (option !== '--rsource') return [undefined, at];
  }
  const { operation, name, ...rest } = recent;
  return [operation && name !== undefined ? { match: 'recent', operation, name, ...rest } : undefined, at];
}

function parseTarget(family: Family, flag: string, words: readonly string[]): IptablesTarget | undefined {
  const [name, option, value, ...rest] = words;
  if (name === undefined) return undefined;
  if (flag === '-g') return option === undefined ? { target: 'goto', chain: name } : undefined;
  switch (name) {
    case 'ACCEPT':
    case 'DROP':
    case 'RETURN':
      return option === undefined ? { target: name.toLowerCase() as 'accept' | 'drop' | 'return' } : undefined;
    case 'REJECT':
      if (option === undefined) return { target: 'reject', with: defaultReject(family) };
      return option === '--reject-with' && value !== undefined && rest.length === 0 ? { target: 'reject', with: value } : undefined;
    case 'MASQUERADE':
      if (option === undefined) return { target: 'masquerade' };
      return option === '--random-fully' && value === undefined ? { target: 'masquerade', randomFully: true } : undefined;
    case 'DNAT':
    case 'SNAT':
      return option === (name === 'DNAT' ? '--to-destination' : '--to-source')
        ? parseNat(name === 'DNAT' ? 'dnat' : 'snat', value, rest)
        : undefined;
    case 'MARK':
      return rest.length === 0 ? parseMarkTarget(option, value) : undefined;
    default:
      // Without options it is a chain; extension targets such as LOG or TPROXY nearly always have some.
      return option === undefined && !/^(LOG|NFLOG|TRACE|NOTRACK|CT|QUEUE|NFQUEUE|AUDIT|CHECKSUM)$/.test(name)
        ? { target: 'jump', chain: name }
        : undefined;
  }
}

function parseNat(target: 'dnat' | 'snat', to: string | undefined, rest: readonly string[]): IptablesTarget | undefined {
  const host = /^(?:\[([^\]]+)\]|([^\]]*?))(?::\d+)?$/.exec(to ?? '');
  if (to === undefined || !tryParseAddress(host?.[1] ?? host?.[2] ?? ''))
    return tryParseAddress(to ?? '') && rest.length === 0 ? { target, to: to! } : undefined;
  if (rest.length === 0) return { target, to };
  return rest.length === 1 && rest[0] === '--random' ? { target, to, random: true } : undefined;
}

function parseMarkTarget(option: string | undefined, text: string | undefined): IptablesTarget | undefined {
  const mark = parseMark(text ?? '');
  if (!mark) return undefined;
  const { value, mask } = mark;
  if (option === '--set-xmark') return { target: 'mark', value, mask };
  if (option === '--set-mark') return { target: 'mark', value, mask: (value | mask) >>> 0 };
  if (option === '--or-mark') return { target: 'mark', value, mask: value };
  if (option === '--xor-mark') return { target: 'mark', value, mask: 0 };
  return option === '--and-mark' ? { target: 'mark', value: 0, mask: ~value >>> 0 } : undefined;
}
