import type { NftChain, NftHook, NftMatch, NftPorts, NftRule, NftSet, NftTable, NftVerdict } from '../dataplane/nft.ts';
import { printNftRule } from '../dataplane/nft-print.ts';
import { type Address, parseAddress } from '../net/index.ts';
import { type Packet, WalkError, type WalkStep } from './packet.ts';

/** A packet at one hook. Defaults as for Packet; `direction` is its place in the connection, default `original`. */
export interface NftPacket extends Omit<Packet, 'hook' | 'mark' | 'in'> {
  readonly direction?: 'original' | 'reply';
}

export interface NftWalkResult {
  readonly verdict: 'accept' | 'drop';
  /** Every rule that matched, in order; a base chain's policy too, as a step without a rule number. */
  readonly path: readonly WalkStep[];
}

interface Traveller {
  readonly source: Address;
  readonly destination: Address;
  readonly packet: NftPacket;
  readonly hook: string;
  readonly path: WalkStep[];
}

/**
 * Walks a packet through the base chains of one hook, over all tables given. Accepting ends a base chain, and the next one is asked; dropping ends all.
 * @throws WalkError on a rule it does not know, a missing chain or set, or a jump in a circle: the answer would be a guess.
 */
export function walkNft(tables: readonly NftTable[], hook: NftHook['hook'], packet: NftPacket): NftWalkResult {
  const destination = parseAddress(packet.to);
  const source = parseAddress(packet.from ?? (destination.family === 4 ? '192.0.2.1' : '2001:db8::1'));
  if (source.family !== destination.family) throw new RangeError(`${source.text} and ${destination.text} are not of one family`);
  const traveller: Traveller = { source, destination, packet, hook, path: [] };
  const bases = tables
    .flatMap((table) =>
      [...table.chains].flatMap(([name, chain]) => (chain.hook?.hook === hook ? [{ table, name, chain, hook: chain.hook }] : [])),
    )
    .sort((a, b) => a.hook.priority - b.hook.priority);
  for (const base of bases) {
    const verdict = walkChain(base.table, base.name, traveller, []);
    if (verdict === 'drop') return { verdict, path: traveller.path };
    if (verdict === 'continue') {
      traveller.path.push({ table: base.table.name, hook, chain: base.name, text: `policy ${base.hook.policy}` });
      if (base.hook.policy === 'drop') return { verdict: 'drop', path: traveller.path };
    }
  }
  return { verdict: 'accept', path: traveller.path };
}

type Outcome = 'accept' | 'drop' | 'continue';
/** `end`: after a goto, the caller's chain is not gone on with. */
type RuleOutcome = Outcome | 'return' | 'end';

function walkChain(table: NftTable, name: string, traveller: Traveller, above: readonly string[]): Outcome {
  const chain: NftChain | undefined = table.chains.get(name);
  if (!chain) throw new WalkError(`there is no chain ${name}`);
  if (above.includes(name)) throw new WalkError(`chain ${name} leads back to itself`);
  for (const [index, rule] of chain.rules.entries()) {
    if (rule.unknown !== undefined) throw new WalkError(`rule ${index} of ${name} is not known: ${rule.unknown}`);
    if (!rule.matches.every((match) => isMatch(table, match, traveller))) continue;
    const verdict = verdictOf(table, rule, traveller);
    // A verdict map without the key lets the packet pass to the next rule.
    if (rule.verdict && !verdict) continue;
    traveller.path.push({ table: table.name, hook: traveller.hook, chain: name, rule: index, text: printNftRule(rule) });
    const outcome = follow(table, verdict, traveller, [...above, name]);
    if (outcome === 'return' || outcome === 'end') return 'continue';
    if (outcome !== 'continue') return outcome;
  }
  return 'continue';
}

function follow(table: NftTable, verdict: NftVerdict | undefined, traveller: Traveller, above: readonly string[]): RuleOutcome {
  if (!verdict) return 'continue';
  if (!('chain' in verdict)) return verdict.verdict;
  const outcome = walkChain(table, verdict.chain, traveller, above);
  return outcome === 'continue' && verdict.verdict === 'goto' ? 'end' : outcome;
}

function verdictOf(table: NftTable, { verdict }: NftRule, { source, destination }: Traveller): NftVerdict | undefined {
  if (verdict?.verdict !== 'map') return verdict;
  const address = verdict.side === 'saddr' ? source : destination;
  if (address.family !== verdict.family) return undefined;
  return setOf(table, verdict.map).elements.get(address.text);
}

function setOf(table: NftTable, name: string): NftSet {
  const set = table.sets.get(name);
  if (!set || set.key.length === 0) throw new WalkError(set ? `the set ${name} is of a kind not known` : `there is no set ${name}`);
  return set;
}

function isMatch(table: NftTable, match: NftMatch, { packet, source, destination }: Traveller): boolean {
  const protocol = packet.protocol.toLowerCase();
  switch (match.match) {
    case 'ct-state':
      return match.states.includes((packet.state ?? 'NEW').toLowerCase() as 'new');
    case 'ct-direction':
      return match.direction === (packet.direction ?? 'original');
    case 'protocol':
      return match.protocol === protocol;
    case 'port': {
      const port = match.side === 'sport' ? packet.sourcePort : packet.port;
      return (
        match.protocol === protocol && port !== undefined && match.ports.some(([first, last]: NftPorts) => port >= first && port <= last)
      );
    }
    case 'address': {
      const address = match.side === 'saddr' ? source : destination;
      if (address.family !== match.family) return false;
      return 'set' in match.in ? holds(setOf(table, match.in.set), address) : match.in.address === address.text;
    }
    case 'address-port': {
      const [address, port] = match.side === 'source' ? [source, packet.sourcePort] : [destination, packet.port];
      return (
        address.family === match.family &&
        match.protocol === protocol &&
        port !== undefined &&
        setOf(table, match.set).elements.has(`${address.text} . ${port}`)
      );
    }
  }
}

function holds({ interval, elements }: NftSet, address: Address): boolean {
  if (!interval) return elements.has(address.text);
  for (const key of elements.keys()) {
    const [first, last = first] = key.split('-');
    if (parseAddress(first!).value <= address.value && address.value <= parseAddress(last!).value) return true;
  }
  return false;
}
