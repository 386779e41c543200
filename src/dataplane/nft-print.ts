import { type Family, joinHostPort } from '../net/index.ts';
import {
  isMap,
  type NftDecision,
  type NftElement,
  type NftFamily,
  type NftHook,
  type NftKeyType,
  type NftMatch,
  type NftOperation,
  type NftPorts,
  type NftProtocol,
  type NftRule,
  type NftSelector,
  type NftSet,
  type NftStatement,
  type NftTransaction,
  type NftVerdict,
} from './nft.ts';

// Text for `nft -f`. Names come from our own code; they are checked all the same, since a name with a semicolon in it would be a command.

const nameSyntax = /^[A-Za-z_][A-Za-z0-9_./-]{0,126}$/;

/** @throws RangeError for what nft would not take as a name. */
function named(name: string): string {
  if (!nameSyntax.test(name)) throw new RangeError(`${JSON.stringify(name)} cannot be the name of an nftables object`);
  return name;
}

const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip6');
const ports = ([first, last]: NftPorts): string => (first === last ? `${first}` : `${first}-${last}`);
const oneOrSet = (items: readonly string[]): string => (items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`);
const joined = (selectors: readonly NftSelector[]): string => selectors.join(' . ');
const bits = (value: number): string => `0x${value.toString(16)}`;

/** A verdict in nft's words. */
const printVerdict = (verdict: NftVerdict): string => ('chain' in verdict ? `${verdict.verdict} ${named(verdict.chain)}` : verdict.verdict);

/** An element's value in nft's words; '' for an element of a set. */
export const printElementValue = (element: NftElement): string =>
  element === undefined ? '' : typeof element === 'string' ? element : printVerdict(element);

/** A link's name, quoted. @throws RangeError for what the kernel takes as no name of a link; a `*` at its end is a wildcard */
function quotedLink(name: string): string {
  if (!/^[^\s"/\\]{1,15}\*?$/.test(name)) throw new RangeError(`${JSON.stringify(name)} is no name of a link`);
  return `"${name}"`;
}

const printValue = (of: NftSelector, value: string): string => (of === 'iifname' || of === 'oifname' ? quotedLink(value) : value);

function printMatch(match: NftMatch): string {
  switch (match.match) {
    case 'ct-state':
      return `ct state ${match.states.join(',')}`;
    case 'ct-direction':
      return `ct direction ${match.direction}`;
    case 'is':
      return `${match.of} ${match.not ? '!= ' : ''}${oneOrSet(match.values.map((value) => printValue(match.of, value)))}`;
    case 'in':
      return `${joined(match.of)} ${match.not ? '!= ' : ''}@${named(match.set)}`;
    case 'mark':
      return `meta mark & ${bits(match.mask)} ${match.not ? '!=' : '=='} ${bits(match.value)}`;
    case 'port':
      return `${match.protocol} ${match.side} ${oneOrSet(match.ports.map(ports))}`;
  }
}

function printStatement(statement: NftStatement): string {
  switch (statement.do) {
    case 'set-mark-bits':
      return `meta mark set meta mark | ${bits(statement.bits)}`;
    case 'clear-mark-bits':
      return `meta mark set meta mark & ${bits(~statement.bits >>> 0)}`;
    case 'update':
      return `update @${named(statement.set)} { ${joined(statement.of)} }`;
  }
}

function printDecision(decision: NftDecision): string {
  switch (decision.verdict) {
    case 'vmap':
      return `${joined(decision.of)} vmap @${named(decision.map)}`;
    case 'spread':
      return `numgen random mod ${decision.chains.length} vmap { ${decision.chains.map((chain, index) => `${index} : goto ${named(chain)}`).join(', ')} }`;
    case 'reject':
      return decision.with === 'port-unreachable' ? 'reject' : `reject with ${decision.with}`;
    case 'masquerade':
      return decision.fullyRandom ? 'masquerade fully-random' : 'masquerade';
    case 'dnat': {
      const { to, family } = decision;
      if ('map' in to) return `dnat ${ip(family)} to ${joined(to.of)} map @${named(to.map)}`;
      return `dnat ${ip(family)} to ${to.port === undefined ? to.address : joinHostPort(to.address, to.port)}`;
    }
    default:
      return printVerdict(decision);
  }
}

/** The rule in nft's words. @throws RangeError for a rule that could not be read. */
export function printNftRule(rule: NftRule): string {
  if (rule.unknown !== undefined) throw new RangeError(`an unknown rule cannot be written: ${rule.unknown}`);
  const parts = rule.matches.map(printMatch);
  if (rule.counter !== undefined) parts.push(`counter name "${named(rule.counter)}"`);
  if (rule.count) parts.push('counter');
  for (const statement of rule.statements ?? []) parts.push(printStatement(statement));
  if (rule.verdict) parts.push(printDecision(rule.verdict));
  if (rule.comment !== undefined) parts.push(`comment "${printComment(rule.comment)}"`);
  return parts.join(' ');
}

/** nft knows no escape within quotes, and at most 128 bytes. */
const printComment = (comment: string): string => comment.replaceAll(/[^\x20-\x7e]|["\\]/g, '_').slice(0, 127);

const printHook = ({ type, hook, priority, policy }: NftHook): string =>
  ` { type ${type} hook ${hook} priority ${priority}; policy ${policy}; }`;

/** What stands for each type after `typeof`, which is how a key of a type without a name is declared. */
const typeofExample = (type: NftKeyType, protocol: NftProtocol): string =>
  ({
    ipv4_addr: 'ip daddr',
    ipv6_addr: 'ip6 daddr',
    // `th dport` would do here, but nft 1.0.6 then fails later transactions on the map.
    inet_service: `${protocol} dport`,
    inet_proto: 'meta l4proto',
    integer: 'numgen random mod 65536',
  })[type];

function printSetType({ key, interval, verdicts, data, timeout, protocol = 'tcp' }: Omit<NftSet, 'elements'>): string {
  const byExample = key.includes('integer');
  const types = (each: readonly NftKeyType[]): string => each.map((type) => (byExample ? typeofExample(type, protocol) : type)).join(' . ');
  const value = verdicts ? ' : verdict' : data ? ` : ${types(data)}` : '';
  const flags = timeout !== undefined ? ` flags dynamic,timeout; timeout ${timeout}s;` : interval ? ' flags interval;' : '';
  return ` { ${byExample ? 'typeof' : 'type'} ${types(key)}${value};${flags} }`;
}

const printElement = ([key, element]: readonly [string, NftElement]): string =>
  element === undefined ? key : `${key} : ${printElementValue(element)}`;

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
      return `add ${isMap(operation.of) ? 'map' : 'set'} ${table} ${named(operation.set)}${printSetType(operation.of)}`;
    case 'delete-set':
      return `delete ${operation.map ? 'map' : 'set'} ${table} ${named(operation.set)}`;
    case 'add-elements':
      return `add element ${table} ${named(operation.set)} { ${[...operation.elements].map(printElement).join(', ')} }`;
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

/** How nft is told which table is meant: `inet podwire`. @throws RangeError for what it would not take as a name */
export const tableText = (name: string, family: NftFamily = 'inet'): string => `${family} ${named(name)}`;

/** The input of `nft -f -` for the transaction. */
export const printNftTransaction = ({ family, table, operations }: NftTransaction): string =>
  operations.map((operation) => `${printOperation(tableText(table, family), operation)}\n`).join('');
