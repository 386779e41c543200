import type { LinkAddress, LinkNeighbour, LinkRoute, LinkState } from '../../dataplane/links.ts';
import { parseAddress, parsePrefix, tryParseAddress } from '../../net/index.ts';

/** An entry of `ip -json -details addr show`: the fields read here. */
export interface IpLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  readonly address?: string;
  readonly ifalias?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_slave_data?: { readonly hairpin?: boolean; readonly isolated?: boolean };
  };
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly tentative?: boolean;
    readonly dadfailed?: boolean;
  }[];
}

/** An entry of `ip -json -details route show table all`: the fields read here. */
export interface IpRoute {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly table?: string;
  readonly metric?: number;
  readonly scope?: string;
  readonly metrics?: readonly { readonly mtu?: number; readonly advmss?: number }[];
}

/** An entry of `ip -json neigh show dev DEVICE`, which does not repeat the device: the fields read here. */
export interface IpNeighbour {
  readonly dst: string;
  readonly lladdr?: string;
}

/** Those that have a MAC. */
export const parseNeighbours = (device: string, neighbours: readonly IpNeighbour[]): LinkNeighbour[] =>
  neighbours.flatMap(({ dst, lladdr }) =>
    lladdr === undefined ? [] : [{ device, address: parseAddress(dst), mac: lladdr.toLowerCase() }],
  );

/** fe80::/10: the kernel's own, which it also detects duplicates of. */
const isLinkLocal = (text: string): boolean => /^fe[89ab]/i.test(text);

export function parseLink(link: IpLink): LinkState {
  const { info_kind: kind = '', info_slave_data: port } = link.linkinfo ?? {};
  const unusable = (link.addr_info ?? []).flatMap(({ local, tentative, dadfailed }) =>
    local === undefined || !(tentative || dadfailed) || isLinkLocal(local)
      ? []
      : [{ address: parseAddress(local), reason: dadfailed ? ('duplicate' as const) : ('tentative' as const) }],
  );
  return {
    name: link.ifname,
    kind,
    mac: link.address ?? '',
    mtu: link.mtu,
    up: link.flags.includes('UP'),
    ...(link.master === undefined ? {} : { master: link.master }),
    ...(link.ifalias === undefined ? {} : { alias: link.ifalias }),
    ...(port?.hairpin === undefined ? {} : { hairpin: port.hairpin }),
    ...(port?.isolated === undefined ? {} : { isolated: port.isolated }),
    promisc: link.flags.includes('PROMISC'),
    addresses: (link.addr_info ?? []).flatMap(({ local, prefixlen }): LinkAddress[] =>
      local === undefined || prefixlen === undefined ? [] : [{ address: parseAddress(local), length: prefixlen }],
    ),
    ...(unusable.length === 0 ? {} : { unusable }),
  };
}

const tables: Readonly<Record<string, number>> = { default: 253, local: 255 };
const scopes: Readonly<Record<string, number>> = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 };

/** The unicast routes, without what the kernel keeps in its local table. */
export function parseRoutes(routes: readonly IpRoute[]): LinkRoute[] {
  return routes.filter(({ type = 'unicast', table }) => type === 'unicast' && table !== 'local').map(parseRoute);
}

function parseRoute(route: IpRoute): LinkRoute {
  const gateway = route.gateway === undefined ? undefined : tryParseAddress(route.gateway);
  const { mtu, advmss } = Object.assign({}, ...(route.metrics ?? [])) as { mtu?: number; advmss?: number };
  return {
    destination: destinationOf(route.dst, gateway?.family),
    ...(gateway ? { gateway } : {}),
    ...(route.dev === undefined ? {} : { device: route.dev }),
    ...(route.table === undefined || route.table === 'main' ? {} : { table: tables[route.table] ?? Number(route.table) }),
    ...(route.metric === undefined ? {} : { metric: route.metric }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    ...(route.scope === undefined ? {} : { scope: scopes[route.scope] ?? Number(route.scope) }),
  };
}

/** `default` tells no family; its gateway does. A host route has no length. */
function destinationOf(text: string, family: 4 | 6 = 4) {
  if (text === 'default') return parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0');
  return parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
}
