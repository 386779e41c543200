import { ipvsSchedulers, type RealServer, type VirtualServer, virtualServerKey, type VirtualServers } from '../dataplane/ipvs.ts';
import type { IpvsProtocol } from '../dataplane/ipvs.ts';
import type { IptablesRuleset } from '../dataplane/iptables.ts';
import type { IpSetElements } from '../dataplane/ipset.ts';
import { type Address, joinHostPort, parseAddress } from '../net/index.ts';
import { type Hook, result, setOut, type Traveller, type Verdict, walkHook } from './iptables.ts';
import { type Packet, WalkError, type WalkResult, type WalkWorld } from './packet.ts';

/** What of a director decides over a packet. */
export interface IpvsRules {
  readonly iptables: IptablesRuleset;
  readonly sets: NonNullable<WalkWorld['sets']>;
  readonly servers: VirtualServers;
  /** On the dummy link, and so the machine's own. */
  readonly addresses: IpSetElements;
}

/**
 * Walks the first packet of a flow through iptables and the virtual servers. IPVS looks at what comes in at the end of INPUT (behind the filter
 * table), and at what the machine sends itself right after the nat table of OUTPUT (before the filter table). What it forwards goes through OUTPUT
 * with its new destination, past nat, which has decided by then, and through POSTROUTING (Linux 6.1, net/netfilter/ipvs/ip_vs_core.c: ip_vs_ops4).
 * @throws WalkError on a rule, set or scheduler that it does not know
 */
export function walkIpvsPacket(rules: IpvsRules, packet: Packet, world: WalkWorld = { addresses: [] }): WalkResult {
  const { iptables, sets, addresses } = rules;
  const traveller = setOut(iptables.family, packet, { ...world, sets, addresses: [...world.addresses, ...addresses.keys()] });
  const isLocal = (): boolean => traveller.isLocal(traveller.destination);
  const ask = (hook: Hook, tables?: Parameters<typeof walkHook>[3]): Verdict => walkHook(iptables, hook, traveller, tables);
  const end = (verdict: Verdict): WalkResult => result(traveller, verdict === 'accept' && traveller.dnat ? 'dnat' : verdict, isLocal());

  if (packet.hook === 'prerouting') {
    let verdict = ask('PREROUTING');
    if (verdict === 'accept') verdict = isLocal() ? ask('INPUT', ['mangle', 'filter', 'security']) : ask('FORWARD');
    if (verdict !== 'accept') return end(verdict);
    if (!isLocal()) return end(ask('POSTROUTING'));
    const server = serverFor(rules, traveller);
    return server ? schedule(server, traveller, ask, end) : end(ask('INPUT', ['nat']));
  }
  const verdict = ask('OUTPUT', ['raw', 'mangle', 'nat']);
  if (verdict !== 'accept') return end(verdict);
  const server = serverFor(rules, traveller);
  if (server) return schedule(server, traveller, ask, end);
  for (const tables of [() => ask('OUTPUT', ['filter', 'security']), () => ask('POSTROUTING')]) {
    const outcome = tables();
    if (outcome !== 'accept') return end(outcome);
  }
  if (!isLocal()) return end('accept');
  traveller.in = 'lo';
  return end(ask('INPUT'));
}

function serverFor({ servers }: IpvsRules, { packet, destination, port }: Traveller): VirtualServer | undefined {
  const { protocol } = packet;
  if (port === undefined || !['tcp', 'udp', 'sctp'].includes(protocol)) return undefined;
  return servers.get(virtualServerKey({ protocol: protocol as IpvsProtocol, address: destination.text, port }));
}

function schedule(
  server: VirtualServer,
  traveller: Traveller,
  ask: (hook: Hook, tables?: Parameters<typeof walkHook>[3]) => Verdict,
  end: (verdict: Verdict) => WalkResult,
): WalkResult {
  const step = (text: string): void =>
    void traveller.path.push({
      table: 'ipvs',
      hook: traveller.packet.hook === 'output' ? 'OUTPUT' : 'INPUT',
      chain: virtualServerKey(server),
      text,
    });
  const real = choose(server, traveller);
  if (!real) {
    step(`${server.scheduler}: no real server takes new connections`);
    traveller.rejectWith = traveller.destination.family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
    return end('reject');
  }
  step(`${server.scheduler} -> ${joinHostPort(real.address, real.port)} ${real.method}`);
  const to = parseAddress(real.address);
  const staysHere = traveller.isLocal(to);
  if (isLoopback(traveller.source) && !staysHere) {
    step('dropped: nothing from a loopback address goes to a real server elsewhere');
    return end('drop');
  }
  const arrive = (): void => {
    traveller.destination = to;
    traveller.port = real.port;
  };
  traveller.dnat = true;
  // By the other methods the packet keeps its destination until it is there.
  if (real.method === 'masq') arrive();
  let verdict: Verdict = 'accept';
  if (!staysHere || traveller.packet.hook === 'output') {
    verdict = ask('OUTPUT', staysHere ? ['filter', 'security'] : ['raw', 'mangle', 'filter', 'security']);
    if (verdict === 'accept') verdict = ask('POSTROUTING');
  }
  arrive();
  return end(verdict);
}

/** Schedulers that look at weights take a real server of weight 2 twice as often; the others ask only that it is not 0. */
const weighted = new Set(['wrr', 'wlc', 'sh', 'dh', 'mh', 'sed', 'nq', 'lblc', 'lblcr']);

function choose({ scheduler, reals }: VirtualServer, { world }: Traveller): RealServer | undefined {
  if (!(ipvsSchedulers as readonly string[]).includes(scheduler)) throw new WalkError(`cannot tell how the scheduler ${scheduler} chooses`);
  const open = [...reals.values()].filter(({ weight }) => weight > 0);
  const weightOf = ({ weight }: RealServer): number => (weighted.has(scheduler) ? weight : 1);
  let left = open.reduce((sum, real) => sum + weightOf(real), 0);
  for (const real of open) {
    if (weightOf(real) === left || (world.choose?.(weightOf(real) / left) ?? true)) return real;
    left -= weightOf(real);
  }
  return undefined;
}

const isLoopback = ({ family, value, text }: Address): boolean => (family === 4 ? value >> 24n === 127n : text === '::1');
