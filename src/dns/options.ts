import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { isPort, joinHostPort, tryParseAddress } from '../net/index.ts';
import { DnsError } from './errors.ts';
import { FormatError, nameFromText } from './wire/index.ts';

const closed = { additionalProperties: false };

/** Options of the DNS server. Times are milliseconds unless the name says seconds. */
export const dnsOptionsSchema = Type.Object(
  {
    /** The cluster domain Z: all that ends in it is answered from the cluster. */
    clusterDomain: Type.String({ default: 'cluster.local' }),
    /** Addresses to listen on, UDP and TCP. A wildcard answers from the wrong address on a host with several: name them. */
    listenAddresses: Type.Array(Type.String(), { minItems: 1, default: ['0.0.0.0', '::'] }),
    port: Type.Integer({ minimum: 0, maximum: 65_535, default: 53 }),
    /** Seconds that answers may be kept; negative ones too. */
    ttlSeconds: Type.Integer({ minimum: 0, maximum: 3_600, default: 5 }),
    /** Names such as 10-244-1-7.default.pod.Z: none, any address in an existing namespace, or only addresses of pods that exist. */
    pods: Type.Union([Type.Literal('disabled'), Type.Literal('insecure'), Type.Literal('verified')], { default: 'insecure' }),
    /** Upstreams for all other names, `address` or `address:port` or `[address]:port`, tried in this order. */
    forward: Type.Array(Type.String(), { maxItems: 15, default: [] }),
    /** The Service that this server stands behind, `namespace/name`; its cluster IPs are the zone's glue. */
    serviceName: Type.String({ default: 'kube-system/kube-dns' }),
    /** The UDP payload offered and used with EDNS (RFC 9715 advises at most 1400). */
    udpPayloadSize: Type.Integer({ minimum: 512, maximum: 4_096, default: 1_232 }),
    maxTcpConnections: Type.Integer({ minimum: 1, maximum: 65_535, default: 1_000 }),
    tcpIdleTimeout: Type.Integer({ minimum: 100, maximum: 600_000, default: 10_000 }),
    maxConcurrentForwards: Type.Integer({ minimum: 1, maximum: 20_000, default: 1_000 }),
    forwardTimeout: Type.Integer({ minimum: 10, maximum: 60_000, default: 2_000 }),
  },
  closed,
);

export type DnsOptions = Readonly<Static<typeof dnsOptionsSchema>>;

/** An upstream server. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/**
 * Fills in defaults and freezes.
 * @throws DnsError (bad-option) naming the option, its value and the reason.
 */
export function dnsOptions(given: Partial<DnsOptions> = {}): DnsOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options = Value.Default(dnsOptionsSchema, structuredClone(defined)) as Record<string, unknown>;
  const [first] = Value.Errors(dnsOptionsSchema, options);
  if (first) throw bad(first.instancePath.slice(1) || 'options', first.message);
  const checked = options as unknown as DnsOptions;
  try {
    if (nameFromText(checked.clusterDomain).length < 2) throw bad('clusterDomain', 'the root cannot be the cluster domain');
  } catch (error) {
    throw error instanceof FormatError ? bad('clusterDomain', error.message) : error;
  }
  for (const address of checked.listenAddresses) {
    if (!tryParseAddress(address)) throw bad('listenAddresses', `${JSON.stringify(address)} is not an IP address`);
  }
  if (!/^[^/]+\/[^/]+$/.test(checked.serviceName)) throw bad('serviceName', `${JSON.stringify(checked.serviceName)} is not namespace/name`);
  for (const upstream of checked.forward.map(parseUpstream)) {
    if (checked.listenAddresses.includes(upstream.address) && upstream.port === checked.port) {
      throw new DnsError('forward-loop', `forward: ${joinHostPort(upstream.address, upstream.port)} is this server itself`);
    }
  }
  return Object.freeze(checked);
}

const bad = (option: string, reason: string): DnsError => new DnsError('bad-option', `DNS option ${option}: ${reason}`);

/** Reads `address`, `address:port` or `[address]:port`; the port is 53 when left out. @throws DnsError (bad-option) */
export function parseUpstream(text: string): Upstream {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]+):(\d{1,5})$/.exec(text) ?? [text, text, undefined];
  const address = tryParseAddress(match[1]!);
  const port = match[2] === undefined ? 53 : Number(match[2]);
  if (!address || !isPort(port)) throw bad('forward', `${JSON.stringify(text)} is not an address such as 192.0.2.53 or [2001:db8::53]:53`);
  return { address: address.text, port };
}

/** The nameserver addresses of a resolv.conf's text, at most three as resolvers read it; others (zones, names) are skipped. */
export function nameserversOf(resolvConf: string): string[] {
  const found: string[] = [];
  for (const line of resolvConf.split('\n')) {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    const parsed = address === undefined ? undefined : tryParseAddress(address);
    if (parsed && found.length < 3) found.push(parsed.text);
  }
  return found;
}
