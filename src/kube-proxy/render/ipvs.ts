import type { IpSet, IpSetElements } from '../../dataplane/ipset.ts';
import type { VirtualServer } from '../../dataplane/ipvs.ts';
import type { DirectorOwner, IpvsDirector, IpvsTimeouts } from '../../dataplane/ipvs-director.ts';
import type { IptablesRule, IptablesRuleset, IptablesTableName } from '../../dataplane/iptables.ts';
import { jumpOf } from '../../dataplane/iptables.ts';
import type { IptablesOwner } from '../../dataplane/iptables-diff.ts';
import type { ListEdit, ListEdits } from '../../dataplane/list-edits.ts';
import { PartedMap } from '../../dataplane/parted-map.ts';
import { type Address, type Family, parseAddress, prefixContains, tryParseAddress } from '../../net/index.ts';
import type { NodeFacts } from '../input.ts';
import { localTraffic } from '../local-traffic.ts';
import type { ProxyModel, ServicePortModel } from '../model.ts';
import { type ProxyOptions, prefixesOf } from '../options.ts';
import { chains } from './chains.ts';
import { proxyOwner } from './iptables.ts';
import { ipvsChains, ipvsTables } from './ipvs/rules.ts';
import { type IpvsContext, type IpvsPart, servicePart, takenKeys } from './ipvs/service.ts';
import { createPortParts } from './port-parts.ts';
import { isProxySet, kernelName, makeSets, type SetName, setNames, sharedSets } from './ipvs/sets.ts';

/** The dummy link that has the services' addresses. It stays down: the addresses are the node's own all the same. */
export const dummyLink = 'kube-ipvs0';

/** The model as virtual servers, and what they need around them. `ownAddresses` are those of the node's other links. */
export const renderIpvs = (model: ProxyModel, node: NodeFacts, options: ProxyOptions, ownAddresses: readonly string[]): IpvsDirector =>
  createIpvsRenderer(options)(model, node, ownAddresses);

/**
 * As {@link renderIpvs}, keeping what was rendered of a service port as long as the same model object comes again, and every set, the rules and
 * the virtual servers as long as nothing in them is another: what is the same object has not changed. `connReuse` is {@link connReuseMode} of the
 * kernel that it is for.
 */
export function createIpvsRenderer(
  options: ProxyOptions,
  connReuse = newestConnReuse,
): (model: ProxyModel, node: NodeFacts, ownAddresses: readonly string[]) => IpvsDirector {
  let context: IpvsContext | undefined;
  let last: IpvsDirector | undefined;
  let lastKey = '';
  const parts = createPortParts<IpvsPart>((port, before) => keepSame(servicePart(port, context!), before));
  const timeouts: IpvsTimeouts = [seconds(options.ipvsTCPTimeout), seconds(options.ipvsTCPFinTimeout), seconds(options.ipvsUDPTimeout)];
  return (model, node, ownAddresses) => {
    const { family, services } = model;
    const own = ownAddresses.filter((text) => isUsable(parseAddress(text), family));
    const now: IpvsContext = {
      family,
      scheduler: options.ipvsScheduler,
      schedulerFlags: schedulerFlags(options.ipvsScheduler),
      ownAddresses: own,
      nodePortAddresses: nodePortAddresses(own, node, options),
      taken: takenKeys(services, new Set(own)),
    };
    const rules = {
      family,
      local: localTraffic(options, node, family),
      masqueradeAll: options.masqueradeAll,
      mark: (1 << options.masqueradeBit) >>> 0,
    };
    const key = JSON.stringify([now, rules]);
    if (key !== lastKey) {
      context = now;
      last = undefined;
      lastKey = key;
      parts.forget();
    }
    const made = parts.of(services);
    if (last && made.edits && made.edits.removed.length + made.edits.added.length === 0) return last;
    const sets = last && made.edits ? patchSets(last.sets, made.edits, family) : makeSets(family, (name) => joinElements(name, made.parts));
    last = {
      family,
      iptables: last?.iptables ?? { family, tables: ipvsTables(rules) },
      sets,
      servers:
        last && made.edits
          ? patchMap(last.servers, made.edits, ({ servers }) => servers)
          : new PartedMap(made.parts.map(({ servers }) => servers)),
      draining: noDraining,
      hasLink: true,
      addresses: sets.get(kernelName('KUBE-IPVS-IPS', family))!.elements,
      sysctls: keptSysctls(options, connReuse, services, last?.sysctls),
      timeouts,
    };
    return last;
  };
}

const noDraining: IpvsDirector['draining'] = new Map();
const seconds = (milliseconds: number): number => Math.ceil(milliseconds / 1_000);

/** kube-proxy sets this for Maglev hashing, which otherwise takes all connections of a client for one. */
const schedulerFlags = (scheduler: string): readonly string[] => (scheduler === 'mh' ? ['mh-port'] : []);

/** Every set keeps a place for every service, so that places move together. */
const joinElements = (name: SetName, parts: readonly IpvsPart[]): IpSetElements =>
  new PartedMap(
    parts.map(({ elements }) => elements.get(name)),
    sharedSets.has(name),
  );

/** The part, with the maps taken from the one before that hold the same. */
function keepSame(part: IpvsPart, before: IpvsPart | undefined): IpvsPart {
  if (!before) return part;
  const elements = new Map(part.elements);
  for (const [name, own] of elements) {
    const had = before.elements.get(name);
    if (had && had.size === own.size && [...own.keys()].every((key) => had.has(key))) elements.set(name, had);
  }
  return { servers: part.servers, elements };
}

function patchSets(sets: IpvsDirector['sets'], edits: ListEdits<IpvsPart>, family: Family): Map<string, IpSet> {
  const patched = new Map(sets);
  for (const name of setNames) {
    const set = sets.get(kernelName(name, family))!;
    const elements = patchMap(set.elements, edits, (part) => part.elements.get(name));
    if (elements !== set.elements) patched.set(kernelName(name, family), { ...set, elements });
  }
  return patched;
}

/** The map of all parts with some of them replaced; the same map when they add the same. */
function patchMap<V>(
  map: ReadonlyMap<string, V>,
  { removed, added }: ListEdits<IpvsPart>,
  of: (part: IpvsPart) => ReadonlyMap<string, V> | undefined,
): ReadonlyMap<string, V> {
  const isSame =
    removed.length === added.length &&
    removed.every(({ index, value }, at) => index === added[at]!.index && of(value) === of(added[at]!.value));
  if (isSame) return map;
  const ownOf = ({ index, value }: ListEdit<IpvsPart>): ListEdit<ReadonlyMap<string, V> | undefined> => ({ index, value: of(value) });
  return (map as PartedMap<string, V>).edited({ removed: removed.map(ownOf), added: added.map(ownOf) });
}

/** An address that a virtual server can have: not a loopback one, from which nothing gets out, nor one of a single link. */
const isUsable = ({ family, value, text }: Address, of: Family): boolean =>
  family === of && (family === 4 ? value >> 24n !== 127n : text !== '::1' && value >> 118n !== 0x3fan);

function nodePortAddresses(own: readonly string[], { internalIP }: NodeFacts, { nodePortAddresses: wanted }: ProxyOptions): string[] {
  if (wanted.length === 0) return [...own];
  if (wanted[0] === 'primary') return internalIP ? own.filter((text) => text === internalIP.text) : [];
  return own.filter((text) => {
    const address = parseAddress(text);
    return prefixesOf(wanted, address.family).some((prefix) => prefixContains(prefix, address));
  });
}

type ConnReuse = '0' | '1';
const newestConnReuse: ConnReuse = '1';

/**
 * What the kernel shall do with a connection that comes from a port used just before: 1, find it a real server anew, which before Linux 5.9 cost it a
 * second (k/k#81775); 0, leave it to the old one, though that may be draining. `release` is as `uname -r` tells it.
 */
export function connReuseMode(release: string): ConnReuse {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 9) ? newestConnReuse : '0';
}

/** Kernel parameters that kube-proxy sets in this mode. Both families share them. */
function sysctlsOf({ ipvsStrictARP }: ProxyOptions, connReuse: ConnReuse): ReadonlyMap<string, string> {
  return new Map([
    // Masquerading needs to know the connections.
    ['net/ipv4/vs/conntrack', '1'],
    ['net/ipv4/vs/conn_reuse_mode', connReuse],
    // Flows to a real server that is gone find another with their next packet; a client that persists too.
    ['net/ipv4/vs/expire_nodest_conn', '1'],
    ['net/ipv4/vs/expire_quiescent_template', '1'],
    ['net/ipv4/ip_forward', '1'],
    ...(ipvsStrictARP
      ? ([
          ['net/ipv4/conf/all/arp_ignore', '1'],
          ['net/ipv4/conf/all/arp_announce', '2'],
        ] as const)
      : []),
  ]);
}

/** Lets answers of endpoints to whom a service address was forwarded pass, though their source is an address of this node too. */
const acceptLocal = ['net/ipv4/conf/all/accept_local', '1'] as const;

function keptSysctls(
  options: ProxyOptions,
  connReuse: ConnReuse,
  services: readonly ServicePortModel[],
  before: ReadonlyMap<string, string> | undefined,
): ReadonlyMap<string, string> {
  const returns = services.some(({ directReturn }) => directReturn !== undefined);
  return before?.has(acceptLocal[0]) === returns ? before : new Map([...sysctlsOf(options, connReuse), ...(returns ? [acceptLocal] : [])]);
}

/** Every parameter that {@link renderIpvs} may want, for reading them. */
export const ipvsSysctls = (options: ProxyOptions): string[] => [...sysctlsOf(options, newestConnReuse).keys(), acceptLocal[0]];

/**
 * What of a machine is the proxy's in this mode. Some chains it has in common with mode iptables: they are claimed here too, with all that that
 * mode has, unless `keepsIptables`, because that is the mode which stays.
 */
export function ipvsOwner(family: Family, options: ProxyOptions, keepsIptables: boolean): DirectorOwner {
  const excluded = prefixesOf(options.ipvsExcludeCIDRs, family);
  return {
    iptables: iptablesOwner(keepsIptables ? undefined : proxyOwner(family, options)),
    ownsSet: (name) => isProxySet(name, family),
    ownsServer({ address: text }: VirtualServer) {
      const address = tryParseAddress(text);
      return address?.family === family && !excluded.some((prefix) => prefixContains(prefix, address));
    },
  };
}

function iptablesOwner(common: IptablesOwner | undefined): IptablesOwner {
  const own = new Set<string>(Object.values(ipvsChains));
  const ownsChain = (table: IptablesTableName, chain: string): boolean =>
    own.has(chain) || (table === 'mangle' && chain === chains.proxyFirewall) || common?.ownsChain(table, chain) === true;
  return {
    ownsChain,
    ownsRule(table, chain, candidate: IptablesRule) {
      const target = jumpOf(candidate);
      if (common?.ownsRule(table, chain, candidate)) return true;
      if (target === undefined || !ownsChain(table, target) || !('matches' in candidate)) return false;
      return candidate.matches.some((match) => match.match === 'comment' && /^kube(rnetes|-proxy) /.test(match.text));
    },
  };
}

const noRules = (family: Family): IptablesRuleset => ({ family, tables: new Map() });

/** The state in which nothing of the proxy is left. */
export const emptyIpvs = (family: Family): IpvsDirector => ({
  family,
  iptables: noRules(family),
  sets: new Map(),
  servers: new Map(),
  draining: noDraining,
  hasLink: false,
  addresses: new Map(),
  sysctls: new Map(),
  timeouts: [0, 0, 0],
});
