import {
  builtInChains,
  type IptablesMatch,
  type IptablesRuleset,
  type IptablesTableName,
  isKnownRule,
  type KnownRule,
} from '../dataplane/iptables.ts';
import { printRule } from '../dataplane/iptables-print.ts';
import { type Address, type Family, joinHostPort, type Prefix, parseAddress, parsePrefix, prefixContains } from '../net/index.ts';
import { setHolds } from './ipset.ts';
import { localAddresses, type Packet, WalkError, type WalkResult, type WalkStep, type WalkWorld } from './packet.ts';

/** The packet on its way. */
export interface Traveller {
  readonly packet: Packet;
  readonly world: WalkWorld;
  readonly isLocal: (address: Address) => boolean;
  readonly path: WalkStep[];
  readonly source: Address;
  destination: Address;
  port: number | undefined;
  mark: number;
  dnat: boolean;
  masquerade: boolean;
  in: string;
  rejectWith?: string;
}

export type Verdict = 'accept' | 'drop' | 'reject';
export type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
/** `continue`: the chain ended without a verdict. */
type ChainVerdict = Verdict | 'continue';

/** The order in which the kernel asks the tables at one hook (include/uapi/linux/netfilter_ipv4.h). Source NAT at INPUT comes after the filter. */
const order: Readonly<Record<Hook, readonly IptablesTableName[]>> = {
  PREROUTING: ['raw', 'mangle', 'nat'],
  INPUT: ['mangle', 'filter', 'security', 'nat'],
  FORWARD: ['mangle', 'filter', 'security'],
  OUTPUT: ['raw', 'mangle', 'nat', 'filter', 'security'],
  POSTROUTING: ['mangle', 'nat'],
};

/**
 * Walks the first packet of a flow (or, with `state`, a later one) through a machine's rules, from its hook to where it is delivered.
 * Routing is only: to an address of the machine, or out. @throws WalkError on a rule it does not know, a missing chain, a loop.
 */
export function walkPacket(rules: IptablesRuleset, packet: Packet, world: WalkWorld = { addresses: [] }): WalkResult {
  const traveller = setOut(rules.family, packet, world);
  const isLocal = (): boolean => traveller.isLocal(traveller.destination);
  const hooks: (() => Hook | undefined)[] =
    packet.hook === 'prerouting'
      ? [() => 'PREROUTING', () => (isLocal() ? 'INPUT' : 'FORWARD'), () => (isLocal() ? undefined : 'POSTROUTING')]
      : // To itself a machine sends over the loopback link; NAT has been decided by then.
        [() => 'OUTPUT', () => 'POSTROUTING', () => (isLocal() ? 'INPUT' : undefined)];
  for (const next of hooks) {
    const hook = next();
    if (hook === 'INPUT' && packet.hook === 'output') traveller.in = 'lo';
    const verdict = hook ? walkHook(rules, hook, traveller) : 'accept';
    if (verdict !== 'accept') return result(traveller, verdict, isLocal());
  }
  return result(traveller, traveller.dnat ? 'dnat' : 'accept', isLocal());
}

export function setOut(family: Family, packet: Packet, world: WalkWorld): Traveller {
  const destination = parseAddress(packet.to);
  if (destination.family !== family) throw new RangeError(`${packet.to} is not an IPv${family} address`);
  return {
    packet,
    world,
    isLocal: localAddresses(world),
    path: [],
    source: parseAddress(packet.from ?? (family === 4 ? '192.0.2.1' : '2001:db8::1')),
    destination,
    port: packet.port,
    mark: packet.mark ?? 0,
    dnat: false,
    masquerade: false,
    in: packet.hook === 'output' ? '' : (packet.in ?? ''),
  };
}

export function result(traveller: Traveller, verdict: WalkResult['verdict'], local: boolean): WalkResult {
  const { destination, port, masquerade, mark, path, rejectWith } = traveller;
  const to = port === undefined ? destination.text : joinHostPort(destination.text, port);
  return { verdict, to, masquerade, delivered: local ? 'local' : 'out', mark, path, ...(rejectWith === undefined ? {} : { rejectWith }) };
}

/** Asks the tables at one hook, or those of them that `tables` names. */
export function walkHook(rules: IptablesRuleset, hook: Hook, traveller: Traveller, tables = order[hook]): Verdict {
  for (const table of tables) {
    const chain = rules.tables.get(table)?.get(hook);
    if (!chain) continue;
    if (table === 'nat' && (traveller.packet.state ?? 'NEW') !== 'NEW') continue;
    let verdict = walkChain(rules, table, hook, hook, traveller, 0);
    if (verdict === 'continue') {
      verdict = chain.policy === 'DROP' ? 'drop' : 'accept';
      if (verdict === 'drop') traveller.path.push({ table, hook, chain: hook, text: 'policy DROP' });
    }
    if (verdict !== 'accept') return verdict;
  }
  return 'accept';
}

function walkChain(
  rules: IptablesRuleset,
  table: IptablesTableName,
  hook: Hook,
  name: string,
  traveller: Traveller,
  depth: number,
): ChainVerdict {
  const chain = rules.tables.get(table)?.get(name);
  if (!chain) throw new WalkError(`table ${table} has no chain ${name}`);
  if (depth > 64) throw new WalkError(`the chains of table ${table} run in a circle at ${name}`);
  for (const [index, rule] of chain.rules.entries()) {
    if (!isKnownRule(rule)) throw new WalkError(`table ${table}, chain ${name}, rule ${index}: cannot tell what it does: ${rule.text}`);
    if (!matches(rule, traveller)) continue;
    traveller.path.push({ table, hook, chain: name, rule: index, text: printRule(rule) });
    const { target } = rule;
    switch (target?.target) {
      case undefined:
        break;
      case 'accept':
      case 'drop':
        return target.target;
      case 'return':
        return 'continue';
      case 'reject':
        if (table !== 'filter') throw new WalkError(`REJECT is not possible in table ${table}`);
        traveller.rejectWith = target.with;
        return 'reject';
      case 'mark':
        traveller.mark = ((traveller.mark & ~target.mask) ^ target.value) >>> 0;
        break;
      case 'dnat':
        if (table !== 'nat' || (hook !== 'PREROUTING' && hook !== 'OUTPUT'))
          throw new WalkError(`DNAT is not possible at ${hook} of table ${table}`);
        redirect(traveller, target.to);
        return 'accept';
      case 'masquerade':
      case 'snat':
        if (table !== 'nat' || (hook !== 'POSTROUTING' && (target.target === 'masquerade' || hook !== 'INPUT'))) {
          throw new WalkError(`source NAT is not possible at ${hook} of table ${table}`);
        }
        traveller.masquerade = true;
        return 'accept';
      case 'jump':
      case 'goto': {
        if (builtInChains[table].includes(target.chain)) throw new WalkError(`chain ${target.chain} is built in and cannot be jumped to`);
        const verdict = walkChain(rules, table, hook, target.chain, traveller, depth + 1);
        if (verdict !== 'continue' || target.target === 'goto') return verdict;
      }
    }
  }
  return 'continue';
}

function redirect(traveller: Traveller, to: string): void {
  const match = /^(?:\[([^\]]+)\]|([\d.]+)|([\da-f:]+))(?::(\d+))?$/i.exec(to);
  if (!match) throw new WalkError(`cannot read the destination ${to}`);
  traveller.destination = parseAddress(match[1] ?? match[2] ?? match[3]!);
  if (match[4] !== undefined) traveller.port = Number(match[4]);
  traveller.dnat = true;
}

const matches = (rule: KnownRule, traveller: Traveller): boolean =>
  rule.matches.every((match) => matchesOne(match, traveller) !== ('not' in match && match.not === true));

/** Without the negation. */
function matchesOne(match: IptablesMatch, traveller: Traveller): boolean {
  const { packet, world } = traveller;
  switch (match.match) {
    case 'comment':
      return true;
    case 'source':
      return prefixContains(prefixOfText(match.prefix), traveller.source);
    case 'destination':
      return prefixContains(prefixOfText(match.prefix), traveller.destination);
    case 'in':
      return matchesLink(match.interface, traveller.in);
    case 'out':
      throw new WalkError('the link a packet leaves by is not known to the walk (-o)');
    case 'protocol':
    case 'transport':
      return packet.protocol === match.protocol;
    case 'dport':
      return (
        packet.protocol === match.protocol && traveller.port !== undefined && traveller.port >= match.first && traveller.port <= match.last
      );
    case 'sport':
      return (
        packet.protocol === match.protocol &&
        packet.sourcePort !== undefined &&
        packet.sourcePort >= match.first &&
        packet.sourcePort <= match.last
      );
    case 'addrtype':
      return traveller.isLocal(match.side === 'source' ? traveller.source : traveller.destination);
    case 'mark':
      return (traveller.mark & match.mask) >>> 0 === match.value;
    case 'ctstate':
      return match.states.some((state) => state === (packet.state ?? 'NEW') || (state === 'DNAT' && traveller.dnat));
    case 'statistic':
      return world.choose?.(match.odds / 2 ** 31) ?? true;
    case 'set':
      return matchesSet(match, traveller);
    case 'recent':
      return matchesRecent(match.operation, match.name, match.seconds, traveller);
  }
}

function matchesSet(
  { set: name, sides }: Extract<IptablesMatch, { match: 'set' }>,
  { world, packet, source, destination, port }: Traveller,
) {
  const set = world.sets?.get(name);
  if (!set) throw new WalkError(`there is no set ${name}`);
  const { protocol, sourcePort } = packet;
  return setHolds(set, sides, { protocol, src: { address: source, port: sourcePort }, dst: { address: destination, port } });
}

function matchesRecent(operation: 'set' | 'rcheck', name: string, seconds: number | undefined, { world, source }: Traveller): boolean {
  const now = world.now ?? 0;
  if (operation === 'set') {
    const list = world.recent?.get(name) ?? new Map<string, number>();
    world.recent?.set(name, list.set(source.text, now));
    return true;
  }
  const seen = world.recent?.get(name)?.get(source.text);
  return seen !== undefined && (seconds === undefined || now - seen <= seconds);
}

const matchesLink = (pattern: string, name: string): boolean =>
  pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

const prefixes = new Map<string, Prefix>();

function prefixOfText(text: string): Prefix {
  const known = prefixes.get(text);
  if (known) return known;
  if (prefixes.size > 10_000) prefixes.clear();
  const prefix = parsePrefix(text);
  prefixes.set(text, prefix);
  return prefix;
}
