import { type IptablesMatch, type IptablesRule, type IptablesTarget, isKnownRule, type KnownRule, type RecentMatch } from './iptables.ts';

/** The rule as arguments of iptables, without `-A CHAIN`, quoted for iptables-restore. The order is that of iptables-save. */
export function printRule(rule: IptablesRule): string {
  if (!isKnownRule(rule)) return rule.text;
  const words: string[] = [];
  for (const kind of leading) for (const match of rule.matches) if (match.match === kind) words.push(...printMatch(match));
  for (const match of rule.matches) if (!leading.includes(match.match)) words.push(...printMatch(match));
  if (rule.target) words.push(...printTarget(rule.target));
  return words.join(' ');
}

/** iptables-save writes these first, in this order, wherever they stood. */
const leading: readonly IptablesMatch['match'][] = ['source', 'destination', 'in', 'out', 'protocol'];

/**
 * Two rules with the same key do the same. Pure matches are sorted, because versions of iptables print them in different orders;
 * `statistic` and `recent` have effects of their own and keep their place behind them.
 */
export function ruleKey(rule: IptablesRule): string {
  if (!isKnownRule(rule)) return `?${rule.text}`;
  const known = keys.get(rule);
  if (known !== undefined) return known;
  const pure: string[] = [];
  const effects: string[] = [];
  for (const match of rule.matches) {
    if (match.match === 'transport') continue;
    (match.match === 'statistic' || match.match === 'recent' ? effects : pure).push(printMatch(match).join(' '));
  }
  const key = [...pure.sort(), ...effects, ...(rule.target ? printTarget(rule.target) : [])].join(' ');
  keys.set(rule, key);
  return key;
}

/** Rules are immutable, so that a key is made once for each. */
const keys = new WeakMap<KnownRule, string>();

function printMatch(match: IptablesMatch): string[] {
  const not = 'not' in match && match.not ? ['!'] : [];
  switch (match.match) {
    case 'source':
      return [...not, '-s', match.prefix];
    case 'destination':
      return [...not, '-d', match.prefix];
    case 'in':
      return [...not, '-i', match.interface];
    case 'out':
      return [...not, '-o', match.interface];
    case 'protocol':
      return [...not, '-p', match.protocol];
    case 'comment':
      return ['-m', 'comment', '--comment', quote(match.text)];
    case 'sport':
    case 'dport':
      return [
        '-m',
        match.protocol,
        ...not,
        `--${match.match}`,
        match.first === match.last ? `${match.first}` : `${match.first}:${match.last}`,
      ];
    case 'transport':
      return ['-m', match.protocol];
    case 'addrtype':
      return ['-m', 'addrtype', ...not, match.side === 'source' ? '--src-type' : '--dst-type', match.type];
    case 'mark':
      return ['-m', 'mark', ...not, '--mark', hex(match.value, match.mask)];
    case 'ctstate':
      return ['-m', 'conntrack', ...not, '--ctstate', [...match.states].sort().join(',')];
    case 'statistic':
      return ['-m', 'statistic', '--mode', 'random', '--probability', (match.odds / 2 ** 31).toFixed(11)];
    case 'set':
      return ['-m', 'set', ...not, '--match-set', match.set, match.sides.join(',')];
    case 'recent':
      return printRecent(match);
  }
}

function printRecent({ operation, name, seconds, reap }: RecentMatch): string[] {
  const limits = [...(seconds === undefined ? [] : ['--seconds', `${seconds}`]), ...(reap ? ['--reap'] : [])];
  return ['-m', 'recent', `--${operation}`, ...limits, '--name', name, '--rsource'];
}

function printTarget(target: IptablesTarget): string[] {
  switch (target.target) {
    case 'accept':
    case 'drop':
    case 'return':
      return ['-j', target.target.toUpperCase()];
    case 'jump':
      return ['-j', target.chain];
    case 'goto':
      return ['-g', target.chain];
    case 'reject':
      return ['-j', 'REJECT', '--reject-with', target.with];
    case 'dnat':
      return ['-j', 'DNAT', '--to-destination', target.to, ...(target.random ? ['--random'] : [])];
    case 'snat':
      return ['-j', 'SNAT', '--to-source', target.to, ...(target.random ? ['--random'] : [])];
    case 'masquerade':
      return ['-j', 'MASQUERADE', ...(target.randomFully ? ['--random-fully'] : [])];
    case 'mark':
      return ['-j', 'MARK', '--set-xmark', hex(target.value, target.mask)];
  }
}

const hex = (value: number, mask: number): string => `0x${value.toString(16)}/0x${mask.toString(16)}`;

/** Quotes as iptables-save does: only when needed, with a backslash before quotes and backslashes. */
function quote(text: string): string {
  if (/[\n\r\0]/.test(text)) throw new RangeError(`a rule's comment must be one line: ${JSON.stringify(text)}`);
  return /^[\w./:@%+,-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}
