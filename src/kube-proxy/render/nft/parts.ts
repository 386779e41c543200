import type {
  NftChain,
  NftDecision,
  NftElement,
  NftMatch,
  NftRule,
  NftSelector,
  NftStatement,
  NftVerdict,
} from '../../../dataplane/nft.ts';
import { addressSelector } from '../../../dataplane/nft.ts';
import { type Family, parsePrefix, prefixSize, type Protocol } from '../../../net/index.ts';
import { type LocalTraffic } from '../../local-traffic.ts';
import type { Backend } from '../../model.ts';

/** What one service port adds to a table: elements of shared sets and maps, chains of its own, and the shared chains that it leads to. */
export interface ServicePart {
  readonly elements: ReadonlyMap<SharedSet, ReadonlyMap<string, NftElement>>;
  readonly ownChains: ReadonlyMap<string, NftChain>;
  /** Sets with a timeout: by name, seconds. */
  readonly affinitySets: ReadonlyMap<string, number>;
  /** Chains that services share, which exist as long as one service leads to them. */
  readonly sharedChains: ReadonlyMap<string, NftChain>;
}

/** Sets and maps that hold elements of all services. Names and keys are kube-proxy's, where it has them. */
export type SharedSet =
  | 'cluster-ips'
  | 'service-ips'
  | 'service-nodeports'
  | 'no-endpoint-services'
  | 'no-endpoint-nodeports'
  | 'firewall-ips'
  | 'hairpin'
  | `${'' | 'local-'}${'backends' | 'nodeport-backends'}-${Lowercase<Protocol>}`;

/** What rendering a service needs to know besides the service. */
export interface NftRenderContext {
  readonly family: Family;
  readonly local: LocalTraffic;
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that asks for masquerading. */
  readonly mark: number;
  /** Shared chains as they were made for the first service that leads to each; filled while rendering. */
  readonly known: Map<string, NftChain>;
}

export const lower = (protocol: Protocol): Lowercase<Protocol> => protocol.toLowerCase() as Lowercase<Protocol>;

export const rule = (matches: readonly NftMatch[], verdict?: NftDecision, statements: readonly NftStatement[] = []): NftRule => ({
  matches,
  ...(statements.length > 0 ? { statements } : {}),
  ...(verdict ? { verdict } : {}),
});

export const goto = (chain: string): NftVerdict => ({ verdict: 'goto', chain });
export const jump = (chain: string): NftVerdict => ({ verdict: 'jump', chain });

/** `address . tcp . 80`, the key of a service. */
export const serviceKey = (address: string, protocol: Protocol, port: number): string => `${address} . ${lower(protocol)} . ${port}`;

/** The selectors of {@link serviceKey}. */
export const serviceSelectors = (family: Family): NftSelector[] => [addressSelector(family, 'daddr'), 'meta l4proto', 'th dport'];

/** A whole prefix of one address is compared as an address, as nft lists it. */
const addressOrPrefix = (text: string): string => {
  const prefix = parsePrefix(text);
  return prefixSize(prefix) === 1n ? prefix.address.text : prefix.text;
};

export const fromPrefix = (family: Family, text: string): NftMatch => ({
  match: 'is',
  of: addressSelector(family, 'saddr'),
  values: [addressOrPrefix(text)],
});

/** Traffic of pods; with `not`, of everybody else. */
export function localTrafficMatch(family: Family, local: NonNullable<LocalTraffic>, not: boolean): NftMatch {
  const negation = not ? ({ not: true } as const) : {};
  if (local.by === 'source') return { ...(fromPrefix(family, local.prefix) as Extract<NftMatch, { match: 'is' }>), ...negation };
  return { match: 'is', of: 'iifname', values: [local.interface.replace(/\+$/, '*')], ...negation };
}

export const fromNode: NftMatch = { match: 'is', of: 'fib saddr type', values: ['local'] };

/** DNAT to one endpoint; nft wants the transport protocol named before a port. */
export const toBackend = (
  family: Family,
  protocol: Protocol,
  { address, port }: Backend,
  statements: readonly NftStatement[] = [],
): NftRule =>
  rule([{ match: 'is', of: 'meta l4proto', values: [lower(protocol)] }], { verdict: 'dnat', family, to: { address, port } }, statements);

/** One of the chains, each as likely as the others. */
export const spreadOver = (chains: readonly string[]): NftRule =>
  rule([], chains.length === 1 ? goto(chains[0]!) : { verdict: 'spread', chains });

/** Gathers what a service adds. */
export class PartBuilder implements ServicePart {
  readonly elements = new Map<SharedSet, Map<string, NftElement>>();
  readonly ownChains = new Map<string, NftChain>();
  readonly affinitySets = new Map<string, number>();
  readonly sharedChains = new Map<string, NftChain>();
  readonly #known: Map<string, NftChain>;

  constructor({ known }: Pick<NftRenderContext, 'known'>) {
    this.#known = known;
  }

  element(set: SharedSet, key: string, element?: NftElement): void {
    const elements = this.elements.get(set);
    if (elements) elements.set(key, element);
    else this.elements.set(set, new Map([[key, element]]));
  }

  own(name: string, rules: readonly NftRule[]): string {
    this.ownChains.set(name, { rules });
    return name;
  }

  /** `rules` must depend on the name and the context alone. */
  shared(name: string, rules: () => readonly NftRule[]): string {
    let chain = this.#known.get(name);
    if (!chain) this.#known.set(name, (chain = { rules: rules() }));
    this.sharedChains.set(name, chain);
    return name;
  }
}
