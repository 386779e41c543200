import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { parsePrefix, type Prefix, tryParseAddress } from '../net/index.ts';
import { BgpError } from './errors.ts';
import { bgpPort } from './wire/constants.ts';

const seconds = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ minimum: 0, maximum, default: defaultValue, description });
const asn = Type.Integer({ minimum: 1, maximum: 0xffff_fffe });
const port = Type.Integer({ minimum: 1, maximum: 65_535, default: bgpPort });
const policy = Type.Union([Type.Literal('all'), Type.Literal('none')]);

/** A router outside the cluster's mesh. */
const staticPeerSchema = Type.Object(
  {
    address: Type.String({ description: 'IP address' }),
    asn,
    port: Type.Optional(port),
    /** RFC 8212: `all` for a peer in our own AS, `none` for any other, unless said. */
    import: Type.Optional(policy),
    export: Type.Optional(policy),
    nextHopSelf: Type.Optional(Type.Boolean()),
    password: Type.Optional(Type.String({ description: 'TCP-MD5 (RFC 2385); not supported' })),
  },
  { additionalProperties: false },
);

const bgpOptionsSchema = Type.Object(
  {
    nodeName: Type.Optional(Type.String({ description: 'the Node that this is; undefined runs without a cluster' })),
    asn: Type.Integer({ minimum: 1, maximum: 0xffff_fffe, default: 64_512, description: 'AS number of all nodes' }),
    holdTime: seconds(90, 65_535, 'hold time to propose, in seconds: 0 (never) or at least 3'),
    restartTime: seconds(120, 4_095, 'how long peers keep our routes after a lost connection, in seconds; 0 turns graceful restart off'),
    deferralTime: Type.Optional(
      seconds(120, 4_095, 'how long found kernel routes wait for the peers after a restart; as restartTime unless said'),
    ),
    stalePathTime: seconds(360, 65_535, 'how long stale routes of a peer that is back wait for its End-of-RIB'),
    listenPort: Type.Integer({ minimum: 1, maximum: 65_535, default: bgpPort }),
    resyncInterval: Type.Integer({
      minimum: 100,
      maximum: 3_600_000,
      default: 3_000,
      description: 'how often the kernel routes are checked, in milliseconds',
    }),
    routerId: Type.Optional(Type.String({ description: 'BGP identifier; the IPv4 address unless said' })),
    localAddresses: Type.Array(Type.String(), { default: [], description: 'our addresses, without a cluster' }),
    advertise: Type.Array(Type.String(), { default: [], description: "prefixes to advertise besides the node's pod CIDRs" }),
    peers: Type.Array(staticPeerSchema, { default: [], description: 'peers besides the nodes' }),
    ceaseOnStop: Type.Boolean({ default: false, description: 'tell peers on stop, so that they drop our routes at once' }),
    protocol: Type.Integer({ minimum: 1, maximum: 255, default: 176, description: 'protocol number of our routes in the kernel' }),
  },
  { additionalProperties: false },
);

export type StaticPeer = Static<typeof staticPeerSchema>;
export type BgpOptions = Readonly<Static<typeof bgpOptionsSchema>>;

/**
 * Fills in the defaults, checks everything and freezes the result. @throws BgpError `bad-option` naming the option and the reason,
 * `md5-unsupported` for a peer with a password.
 */
export function resolveBgpOptions(given: Partial<BgpOptions>): BgpOptions {
  const options = Value.Default(bgpOptionsSchema, structuredClone(given)) as BgpOptions;
  const first = [...Value.Errors(bgpOptionsSchema, options)][0];
  if (first) throw bad(first.instancePath.slice(1).replaceAll('/', '.') || 'options', first.message);
  if (options.holdTime === 1 || options.holdTime === 2)
    throw bad('holdTime', `is ${options.holdTime}, but must be 0 or at least 3 seconds (RFC 4271 section 4.2)`);
  for (const [index, peer] of options.peers.entries()) checkPeer(peer, `peers[${index}]`);
  for (const [index, text] of options.localAddresses.entries()) {
    if (!tryParseAddress(text)) throw bad(`localAddresses[${index}]`, `${JSON.stringify(text)} is not an IP address`);
  }
  for (const [index, text] of options.advertise.entries()) checkPrefix(text, `advertise[${index}]`);
  if (options.routerId !== undefined && !(tryParseAddress(options.routerId)?.family === 4 && options.routerId !== '0.0.0.0')) {
    throw bad('routerId', `${JSON.stringify(options.routerId)} is not an IPv4 address other than 0.0.0.0`);
  }
  if (options.nodeName === undefined && options.localAddresses.length === 0)
    throw bad('localAddresses', 'is needed when there is no cluster to ask');
  return Object.freeze(options);
}

function checkPeer(peer: StaticPeer, field: string): void {
  if (!tryParseAddress(peer.address)) throw bad(`${field}.address`, `${JSON.stringify(peer.address)} is not an IP address`);
  if (peer.password !== undefined) {
    throw new BgpError(
      'md5-unsupported',
      `peer ${peer.address} has a password, but TCP-MD5 (RFC 2385) needs a socket option that Node.js cannot set; take the password away on both ends, ` +
        'or protect the session with a packet filter',
    );
  }
}

function checkPrefix(text: string, field: string): Prefix {
  try {
    return parsePrefix(text, { strict: true });
  } catch (error) {
    throw bad(field, (error as Error).message);
  }
}

const bad = (field: string, reason: string): BgpError => new BgpError('bad-option', `BGP option ${field}: ${reason}`);
