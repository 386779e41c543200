import type { NftChain, NftHook, NftTable } from '../dataplane/nft.ts';
import { joinHostPort, parseAddress } from '../net/index.ts';
import { type NftOutcome, type NftTraveller, walkBaseChain } from './nft-rules.ts';
import { localAddresses, type Packet, type WalkResult, type WalkStep, type WalkWorld } from './packet.ts';

/** A packet at one hook. Defaults as for Packet; `direction` is its place in the connection, default `original`. */
export interface NftPacket extends Omit<Packet, 'hook' | 'mark' | 'in'> {
  readonly direction?: 'original' | 'reply';
}

export interface NftWalkResult {
  readonly verdict: 'accept' | 'drop' | 'reject';
  /** Every rule that matched, in order; a base chain's policy too, as a step without a rule number. */
  readonly path: readonly WalkStep[];
}

/**
 * Walks a packet through the base chains of one hook, over all tables given. Accepting ends a base chain, and the next one is asked; dropping ends all.
 * @throws WalkError on a rule it does not know, a missing chain or set, or a jump in a circle: the answer would be a guess.
 */
export function walkNft(tables: readonly NftTable[], hook: NftHook['hook'], packet: NftPacket): NftWalkResult {
  const traveller = setOut({ ...packet, hook: 'prerouting' }, { addresses: [] }, packet.direction ?? 'original');
  const verdict = walkHook(tables, hook, traveller);
  return { verdict: verdict === 'done' ? 'accept' : verdict, path: traveller.path };
}

/**
 * Walks the first packet of a flow (or, with `state`, a later one) through a machine's nftables rules, from its hook to where it is delivered.
 * Routing is only: to an address of the machine, or out. `remembered` holds what rules put into sets (table and set -> keys); the walk changes it.
 * @throws WalkError as {@link walkNft}
 */
export function walkNftPacket(
  tables: readonly NftTable[],
  packet: Packet,
  world: WalkWorld = { addresses: [] },
  remembered: Map<string, Set<string>> = new Map(),
): WalkResult {
  const traveller = setOut(packet, world, 'original', remembered);
  const isLocal = (): boolean => traveller.isLocal(traveller.destination);
  const hooks: (() => NftHook['hook'] | undefined)[] =
    packet.hook === 'prerouting'
      ? [() => 'prerouting', () => (isLocal() ? 'input' : 'forward'), () => (isLocal() ? undefined : 'postrouting')]
      : // To itself a machine sends over the loopback link; NAT has been decided by then.
        [() => 'output', () => 'postrouting', () => (isLocal() ? 'input' : undefined)];
  let verdict: WalkResult['verdict'] | undefined;
  for (const next of hooks) {
    const hook = next();
    if (hook === 'input' && packet.hook === 'output') traveller.in = 'lo';
    const outcome = hook ? walkHook(tables, hook, traveller) : 'done';
    if (outcome === 'done') continue;
    verdict = outcome;
    break;
  }
  const { destination, port, masquerade, mark, path, rejectWith } = traveller;
  return {
    verdict: verdict ?? (traveller.dnat ? 'dnat' : 'accept'),
    to: port === undefined ? destination.text : joinHostPort(destination.text, port),
    masquerade,
    delivered: isLocal() ? 'local' : 'out',
    mark,
    path,
    ...(rejectWith === undefined ? {} : { rejectWith }),
  };
}

function setOut(
  packet: Packet,
  world: WalkWorld,
  direction: 'original' | 'reply',
  remembered = new Map<string, Set<string>>(),
): NftTraveller {
  const destination = parseAddress(packet.to);
  const source = parseAddress(packet.from ?? (destination.family === 4 ? '192.0.2.1' : '2001:db8::1'));
  if (source.family !== destination.family) throw new RangeError(`${source.text} and ${destination.text} are not of one family`);
  return {
    source,
    destination,
    protocol: packet.protocol.toLowerCase(),
    sourcePort: packet.sourcePort,
    port: packet.port,
    originalPort: packet.port,
    in: packet.hook === 'output' ? '' : (packet.in ?? ''),
    state: packet.state ?? 'NEW',
    direction,
    mark: packet.mark ?? 0,
    dnat: false,
    masquerade: false,
    path: [],
    remembered,
    isLocal: localAddresses(world),
    choose: (odds) => odds >= 1 || (world.choose?.(odds) ?? true),
  };
}

interface Base {
  readonly table: NftTable;
  readonly name: string;
  readonly chain: NftChain;
  readonly hook: NftHook;
}

function walkHook(tables: readonly NftTable[], hook: NftHook['hook'], traveller: NftTraveller): Exclude<NftOutcome, 'continue'> {
  const isOfFamily = ({ family = 'inet' }: NftTable): boolean => family === 'inet' || (family === 'ip') === (traveller.source.family === 4);
  const bases = tables
    .filter(isOfFamily)
    .flatMap((table) =>
      [...table.chains].flatMap(([name, chain]): Base[] => (chain.hook?.hook === hook ? [{ table, name, chain, hook: chain.hook }] : [])),
    )
    .sort((a, b) => a.hook.priority - b.hook.priority);
  let translated = false;
  for (const base of bases) {
    // NAT is asked only about the first packet of a connection, and after one has answered no more.
    if (base.hook.type === 'nat' && (traveller.state !== 'NEW' || translated)) continue;
    const [hadDnat, hadMasquerade] = [traveller.dnat, traveller.masquerade];
    const outcome = walkBaseChain(base.table, base.name, base.hook, traveller);
    if (outcome === 'drop' || outcome === 'reject') return outcome;
    if (traveller.dnat !== hadDnat || traveller.masquerade !== hadMasquerade) translated = true;
    if (outcome === 'continue') {
      traveller.path.push({ table: base.table.name, hook, chain: base.name, text: `policy ${base.hook.policy}` });
      if (base.hook.policy === 'drop') return 'drop';
    }
  }
  return 'done';
}
