import {
  type LinkAddress,
  type LinkFailure,
  type LinkFailureReason,
  type LinkNeighbour,
  type LinkOperation,
  type LinkRoute,
  type LinkState,
  linkAddressText,
} from '../../dataplane/links.ts';
import { addressBits, parseAddress, prefixContains, prefixOf } from '../../net/index.ts';
import { isTolerated, type Netlink } from './netlink.ts';

/** The links of several network namespaces in memory, refusing what the kernel refuses. Namespaces are known by their path. */
export interface FakeLinks {
  addNamespace(path: string): void;
  /** As when its last process leaves: its links and their peers are gone. */
  removeNamespace(path: string): void;
  netlink(path: string): Netlink;
  /** What was learnt of neighbours, `address dev link` -> MAC. */
  neighbours(path: string): ReadonlyMap<string, string>;
  /** Called before each operation, for faults: a returned text makes it fail with that text. */
  onOperation: ((path: string, operation: LinkOperation) => string | undefined) | undefined;
}

interface FakeLink {
  state: LinkState;
  peer?: { readonly namespace: FakeNamespace; readonly link: FakeLink };
}

interface FakeNamespace {
  readonly links: Map<string, FakeLink>;
  routes: LinkRoute[];
  readonly neighbours: Map<string, string>;
  /** Keys of those that are permanent. */
  readonly permanent: Set<string>;
}

class Refusal extends Error {
  readonly reason: LinkFailureReason;
  constructor(reason: LinkFailureReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

export function createFakeLinks(): FakeLinks {
  const namespaces = new Map<string, FakeNamespace>();
  const namespaceOf = (path: string): FakeNamespace => {
    const namespace = namespaces.get(path);
    if (!namespace) throw new Refusal('missing', `no network namespace ${path}`);
    return namespace;
  };
  const fake: FakeLinks = {
    onOperation: undefined,
    addNamespace(path) {
      const lo: FakeLink = {
        state: { name: 'lo', kind: '', mac: '00:00:00:00:00:00', mtu: 65_536, up: false, promisc: false, addresses: [] },
      };
      namespaces.set(path, { links: new Map([['lo', lo]]), routes: [], neighbours: new Map(), permanent: new Set() });
    },
    removeNamespace(path) {
      const namespace = namespaceOf(path);
      for (const name of namespace.links.keys()) removeLink(namespace, name);
      namespaces.delete(path);
    },
    neighbours: (path) => namespaceOf(path).neighbours,
    netlink: (path) => ({
      apply(operations, show = []) {
        const refused = operations.flatMap((operation): LinkFailure[] => {
          try {
            const fault = fake.onOperation?.(path, operation);
            if (fault !== undefined) throw new Refusal('failed', fault);
            applyOne(namespaceOf(path), operation, namespaceOf);
            return [];
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return [{ operation, reason: error.reason, detail: error.message }];
          }
        });
        return Promise.resolve({
          failures: refused.filter((failure) => !isTolerated(failure)),
          tolerated: refused.filter(isTolerated),
          shown: { links: readLinks(namespaceOf(path), show), routes: [] },
        });
      },
      read(links) {
        const namespace = namespaceOf(path);
        return Promise.resolve({
          links: readLinks(namespace, links),
          routes: [...namespace.routes],
          neighbours: readPermanentNeighbours(namespace, links),
        });
      },
      readPorts: (bridge) =>
        Promise.resolve(
          [...namespaceOf(path).links.values()].filter(({ state }) => state.master === bridge).map(({ state }) => state.name),
        ),
    }),
  };
  return fake;
}

const readLinks = ({ links }: FakeNamespace, names: readonly string[]): ReadonlyMap<string, LinkState> =>
  new Map(names.flatMap((name) => (links.has(name) ? [[name, links.get(name)!.state] as const] : [])));

const readPermanentNeighbours = ({ neighbours, permanent }: FakeNamespace, names: readonly string[]): LinkNeighbour[] =>
  [...permanent].flatMap((key) => {
    const [address = '', , device = ''] = key.split(' ');
    const mac = neighbours.get(key);
    return names.includes(device) && mac !== undefined ? [{ device, address: parseAddress(address), mac }] : [];
  });

function linkOf(namespace: FakeNamespace, name: string): FakeLink {
  const link = namespace.links.get(name);
  if (!link) throw new Refusal('missing', `Cannot find device "${name}"`);
  return link;
}

function addLink(
  namespace: FakeNamespace,
  state: Pick<LinkState, 'name' | 'kind' | 'mac' | 'mtu'> & { master?: string | undefined },
): FakeLink {
  const { master, ...rest } = state;
  const link: FakeLink = {
    state: {
      ...rest,
      up: false,
      promisc: false,
      addresses: [],
      ...(master === undefined ? {} : { master, hairpin: false, isolated: false }),
    },
  };
  namespace.links.set(state.name, link);
  return link;
}

function removeLink(namespace: FakeNamespace, name: string): void {
  const link = namespace.links.get(name);
  if (!link) return;
  namespace.links.delete(name);
  namespace.routes = namespace.routes.filter((route) => route.device !== name);
  for (const key of namespace.neighbours.keys()) if (key.endsWith(` dev ${name}`)) namespace.neighbours.delete(key);
  for (const other of namespace.links.values()) {
    if (other.state.master !== name) continue;
    const { master: _, hairpin: __, isolated: ___, ...rest } = other.state;
    other.state = rest;
  }
  if (link.state.master !== undefined) adjustBridgeMtu(namespace, link.state.master);
  if (link.peer) removeLink(link.peer.namespace, link.peer.link.state.name);
}

/** A bridge takes the least MTU of its ports, and 1500 again when it has lost all of them. */
function adjustBridgeMtu(namespace: FakeNamespace, name: string): void {
  const bridge = namespace.links.get(name);
  if (!bridge) return;
  const ports = [...namespace.links.values()].filter(({ state }) => state.master === name);
  bridge.state = { ...bridge.state, mtu: ports.length === 0 ? 1_500 : Math.min(...ports.map(({ state }) => state.mtu)) };
}

function applyOne(namespace: FakeNamespace, operation: LinkOperation, namespaceOf: (path: string) => FakeNamespace): void {
  switch (operation.op) {
    case 'ensure-bridge':
      if (namespace.links.has(operation.name)) throw new Refusal('exists', 'RTNETLINK answers: File exists');
      addLink(namespace, { name: operation.name, mac: operation.mac, mtu: operation.mtu, kind: 'bridge' });
      return;
    case 'add-veth': {
      const { name, mac, mtu, master, peer } = operation;
      const other = namespaceOf(peer.namespace);
      if (namespace.links.has(name) || other.links.has(peer.name)) throw new Refusal('exists', 'RTNETLINK answers: File exists');
      if (master !== undefined && linkOf(namespace, master).state.kind !== 'bridge')
        throw new Refusal('failed', 'RTNETLINK answers: Operation not supported');
      const link = addLink(namespace, { name, kind: 'veth', mac, mtu, master });
      const peerLink = addLink(other, { name: peer.name, kind: 'veth', mac: peer.mac, mtu: peer.mtu });
      link.peer = { namespace: other, link: peerLink };
      peerLink.peer = { namespace, link };
      if (master !== undefined) adjustBridgeMtu(namespace, master);
      return;
    }
    case 'set-link': {
      const { name, up, mtu, alias, promisc } = operation;
      const link = linkOf(namespace, name);
      link.state = {
        ...link.state,
        ...(up === undefined ? {} : { up }),
        ...(mtu === undefined ? {} : { mtu }),
        ...(alias === undefined ? {} : { alias }),
        ...(promisc === undefined ? {} : { promisc }),
      };
      if (mtu !== undefined && link.state.master !== undefined) adjustBridgeMtu(namespace, link.state.master);
      if (up === false) namespace.routes = namespace.routes.filter((route) => route.device !== name);
      return;
    }
    case 'set-bridge-port': {
      const link = linkOf(namespace, operation.name);
      if (link.state.master === undefined) throw new Refusal('failed', 'RTNETLINK answers: Operation not supported');
      const { hairpin, isolated } = operation;
      link.state = { ...link.state, hairpin, ...(isolated === undefined ? {} : { isolated }) };
      return;
    }
    case 'delete-link':
      linkOf(namespace, operation.name);
      return removeLink(namespace, operation.name);
    case 'ensure-address':
      return setAddresses(namespace, operation.device, (addresses) => [...without(addresses, operation.address), operation.address]);
    case 'delete-address':
      return setAddresses(namespace, operation.device, (addresses) => {
        const rest = without(addresses, operation.address);
        if (rest.length === addresses.length) throw new Refusal('missing', 'Error: ipv4: Address not found.');
        return rest;
      });
    case 'ensure-route':
      checkRoute(namespace, operation.route);
      namespace.routes = [
        ...namespace.routes.filter((route) => routeKey(route) !== routeKey(operation.route)),
        withMetric(operation.route),
      ];
      return;
    case 'delete-route':
      if (!namespace.routes.some((route) => routeKey(route) === routeKey(operation.route)))
        throw new Refusal('missing', 'RTNETLINK answers: No such process');
      namespace.routes = namespace.routes.filter((route) => routeKey(route) !== routeKey(operation.route));
      return;
    case 'ensure-neighbour':
      linkOf(namespace, operation.device);
      namespace.neighbours.set(`${operation.address.text} dev ${operation.device}`, operation.mac);
      if (operation.permanent) namespace.permanent.add(`${operation.address.text} dev ${operation.device}`);
      else namespace.permanent.delete(`${operation.address.text} dev ${operation.device}`);
      return;
    case 'forget-neighbour':
      linkOf(namespace, operation.device);
      namespace.neighbours.delete(`${operation.address.text} dev ${operation.device}`);
  }
}

const without = (addresses: readonly LinkAddress[], address: LinkAddress): LinkAddress[] =>
  addresses.filter((other) => linkAddressText(other) !== linkAddressText(address));

function setAddresses(namespace: FakeNamespace, device: string, change: (addresses: readonly LinkAddress[]) => LinkAddress[]): void {
  const link = linkOf(namespace, device);
  link.state = { ...link.state, addresses: change(link.state.addresses) };
}

/** An IPv6 route without a metric gets 1024 (IP6_RT_PRIO_USER). */
const withMetric = (route: LinkRoute): LinkRoute =>
  route.destination.family === 6 && route.metric === undefined ? { ...route, metric: 1_024 } : route;

const routeKey = (route: LinkRoute): string => `${route.destination.text} ${route.table ?? 254} ${withMetric(route).metric ?? 0}`;

function checkRoute(namespace: FakeNamespace, { device, gateway }: LinkRoute): void {
  const candidates = device === undefined ? [...namespace.links.values()] : [linkOf(namespace, device)];
  if (!candidates.some(({ state }) => state.up)) throw new Refusal('failed', 'RTNETLINK answers: Network is down');
  if (!gateway) return;
  const onLink = candidates.some(({ state }) =>
    state.addresses.some(
      ({ address, length }) =>
        address.family === gateway.family && length < addressBits(address.family) && prefixContains(prefixOf(address, length), gateway),
    ),
  );
  // A link-local next hop needs its link only; another may be reached by a host route of that link.
  if (onLink || (device !== undefined && gateway.text.startsWith('fe80:'))) return;
  const byRoute = namespace.routes.some(
    (route) => !route.gateway && route.destination.family === gateway.family && prefixContains(route.destination, gateway),
  );
  if (!byRoute) throw new Refusal('failed', 'Error: Nexthop has invalid gateway.');
}
