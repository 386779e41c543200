import type { Family } from '../net/index.ts';
import type { NftHook, NftMatch, NftOperation, NftPorts, NftRule, NftSet, NftTransaction, NftVerdict } from './nft.ts';

// Text for `nft -f`. Names come from our own code; they are checked all the same, since a name with a semicolon in it would be a command.

const nameSyntax = /^[A-Za-z_][A-Za-z0-9_.-]{0,126}$/;

/** @throws RangeError for what nft would not take as a name. */
function named(name: string): string {
  if (!nameSyntax.test(name)) throw new RangeError(`${JSON.stringify(name)} cannot be the name of an nftables object`);
  return name;
}

const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip6');
const ports = ([first, last]: NftPorts): string => (first === last ? `${first}` : `${first}-${last}`);
const oneOrSet = (items: readonly string[]): string => (items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`);

/** A verdict in nft's words. */
export const printVerdict = (verdict: NftVerdict): string =>
  'chain' in verdict ? `${verdict.verdict} ${named(verdict.chain)}` : verdict.verdict;

function printMatch(match: NftMatch): string {
  switch (match.match) {
    case 'ct-state':
      return `ct state ${match.states.join(',')}`;
    case 'ct-direction':
      return `ct direction ${match.direction}`;
    case 'address':
      return `${ip(match.family)} ${match.side} ${'set' in match.in ? `@${named(match.in.set)}` : match.in.address}`;
    case 'protocol':
      return `meta l4proto ${match.protocol}`;
    case 'port':
      return `${match.protocol} ${match.side} ${oneOrSet(match.ports.map(ports))}`;
    case 'address-port': {
      const [address, port] = match.side === 'source' ? ['saddr', 'sport'] : ['daddr', 'dport'];
      return `${ip(match.family)} ${address} . ${match.protocol} ${port} @${named(match.set)}`;
    }
  }
}

/** The rule in nft's words. @throws RangeError for a rule that could not be read. */
export function printNftRule(rule: NftRule): string {
  if (rule.unknown !== undefined) throw new RangeError(`an unknown rule cannot be written: ${rule.unknown}`);
  const parts = rule.matches.map(printMatch);
  if (rule.counter !== undefined) parts.push(`counter name "${named(rule.counter)}"`);
  if (rule.count) parts.push('counter');
  const { verdict } = rule;
  if (verdict)
    parts.push(verdict.verdict === 'map' ? `${ip(verdict.family)} ${verdict.side} vmap @${named(verdict.map)}` : printVerdict(verdict));
  if (rule.comment !== undefined) parts.push(`comment "${printComment(rule.comment)}"`);
  return parts.join(' ');
}

/** nft knows no escape within quotes, and at most 128 bytes. */
const printComment = (comment: string): string => comment.replaceAll(/[^\x20-\x7e]|["\\]/g, '_').slice(0, 127);

const printHook = ({ type, hook, priority, policy }: NftHook): string =>
  ` { type ${type} hook ${hook} priority ${priority}; policy ${policy}; }`;

function printSetType({ key, interval, verdicts }: Omit<NftSet, 'elements'>): string {
  return ` { type ${key.join(' . ')}${verdicts ? ' : verdict' : ''};${interval ? ' flags interval;' : ''} }`;
}

function printOperation(table: string, operation: NftOperation): string {
  switch (operation.op) {
    case 'add-table':
      return `add table ${table}`;
    case 'delete-table':
      return `delete table ${table}`;
    case 'add-counter':
      return `add counter ${table} ${named(operation.counter)}`;
    case 'delete-counter':
      return `delete counter ${table} ${named(operation.counter)}`;
    case 'add-set':
      return `add ${operation.of.verdicts ? 'map' : 'set'} ${table} ${named(operation.set)}${printSetType(operation.of)}`;
    case 'delete-set':
      return `delete ${operation.verdicts ? 'map' : 'set'} ${table} ${named(operation.set)}`;
    case 'add-elements':
      return `add element ${table} ${named(operation.set)} { ${[...operation.elements].map(([key, verdict]) => (verdict ? `${key} : ${printVerdict(verdict)}` : key)).join(', ')} }`;
    case 'delete-elements':
      return `delete element ${table} ${named(operation.set)} { ${operation.elements.join(', ')} }`;
    case 'add-chain':
      return `add chain ${table} ${named(operation.chain)}${operation.hook ? printHook(operation.hook) : ''}`;
    case 'flush-chain':
      return `flush chain ${table} ${named(operation.chain)}`;
    case 'delete-chain':
      return `delete chain ${table} ${named(operation.chain)}`;
    case 'add-rule':
      return `add rule ${table} ${named(operation.chain)} ${printNftRule(operation.rule)}`;
  }
}

/** The input of `nft -f -` for the transaction. */
export const printNftTransaction = ({ table, operations }: NftTransaction): string =>
  operations.map((operation) => `${printOperation(`inet ${named(table)}`, operation)}\n`).join('');
