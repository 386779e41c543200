import { type Family, joinHostPort } from '../net/index.ts';
import type { NodeFacts } from './input.ts';
import type { ProxyModel, ServicePortModel } from './model.ts';
import type { ProxyOptions } from './options.ts';
import { type Flow, resolveTraffic, type TrafficDecision } from './resolve-traffic.ts';

/** A flow that another mode treats otherwise. */
export interface ModeDifference {
  readonly flow: Flow;
  /** Who sends it, and to what. */
  readonly about: string;
  /** By mode, in words. */
  readonly outcomes: Readonly<Record<string, string>>;
}

const variants: readonly (Pick<ProxyOptions, 'mode' | 'nftablesLayout'> & { readonly name: string })[] = [
  { name: 'iptables', mode: 'iptables', nftablesLayout: 'fast' },
  { name: 'ipvs', mode: 'ipvs', nftablesLayout: 'fast' },
  { name: 'nftables (fast)', mode: 'nftables', nftablesLayout: 'fast' },
  { name: 'nftables (compat)', mode: 'nftables', nftablesLayout: 'compat' },
];

/**
 * Sends one flow of each kind of sender to every address and port of every Service, to a port that it has not, and to node ports by every
 * address of the node, and tells which of them end otherwise in some mode. Pure: the model decides, not a kernel.
 */
export function compareModes(model: ProxyModel, node: NodeFacts, options: ProxyOptions, addresses: readonly string[]): ModeDifference[] {
  return model.services.flatMap((service) =>
    flowsTo(service, model.family, addresses).flatMap(({ flow, about }): ModeDifference[] => {
      const outcomes = Object.fromEntries(
        variants.map(({ name, ...variant }) => [
          name,
          inWords(resolveTraffic(model, flow, { node, options: { ...options, ...variant }, addresses })),
        ]),
      );
      return new Set(Object.values(outcomes)).size > 1 ? [{ flow, about: `${service.name} ${service.protocol}: ${about}`, outcomes }] : [];
    }),
  );
}

const inWords = ({ outcome, backends }: TrafficDecision): string =>
  outcome === 'balanced'
    ? `balanced over ${backends.map(({ text, masquerade }) => text + (masquerade ? ' masqueraded' : '')).join(', ')}`
    : outcome;

/** Addresses that no cluster uses: RFC 5737 and RFC 3849. */
const outsider: Readonly<Record<Family, string>> = { 4: '192.0.2.1', 6: '2001:db8::1' };

function flowsTo(service: ServicePortModel, family: Family, addresses: readonly string[]): { flow: Flow; about: string }[] {
  const own = addresses.filter((text) => text.includes(':') === (family === 6));
  const loopback = family === 4 ? '127.0.0.1' : '::1';
  const senders: readonly (readonly [string, string])[] = [
    ['an outsider', outsider[family]],
    ...own.slice(0, 1).map((address) => ['the node', address] as const),
    ...service.endpoints.slice(0, 1).map(({ address }) => [`the endpoint ${address}`, address] as const),
  ];
  const { protocol, port, nodePort } = service;
  const free = port === 65_535 ? 1 : port + 1;
  const destinations: readonly (readonly [string, string, number])[] = [
    ['the cluster IP', service.clusterIP, port],
    ['a port that the cluster IP has not', service.clusterIP, free],
    ...[...service.externalIPs, ...service.loadBalancerIPs].map((address) => [`the outer address ${address}`, address, port] as const),
    ...(nodePort === undefined
      ? []
      : own.map((address) => [`the node port by ${joinHostPort(address, nodePort)}`, address, nodePort] as const)),
  ];
  const flows = senders.flatMap(([who, from]) =>
    destinations.map(([what, to, at]) => ({ flow: { from, to, port: at, protocol }, about: `${who} to ${what}` })),
  );
  if (nodePort === undefined) return flows;
  // Only the node itself reaches its loopback addresses.
  return [
    ...flows,
    { flow: { from: loopback, to: loopback, port: nodePort, protocol }, about: `the node to the node port by ${loopback}` },
  ];
}

/** For a person. Lines without an end. */
export const differenceLines = (differences: readonly ModeDifference[]): string[] =>
  differences.length === 0
    ? ['All modes do the same for these Services.']
    : differences.flatMap(({ about, outcomes }) => [
        about,
        ...Object.entries(outcomes).map(([mode, outcome]) => `  ${mode.padEnd(18)} ${outcome}`),
      ]);
