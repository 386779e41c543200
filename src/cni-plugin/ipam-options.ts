import type { LinkRoute } from '../dataplane/links.ts';
import { type RangeSet, rangeOf } from '../ipam/index.ts';
import { type Address, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, defined, type Fields, invalid, listField, numberField, textField } from './fields.ts';
import { parseRangeConfigs, parseRanges, rangeConfig } from './ranges-field.ts';
import type { RuntimeOptions, Wish } from './runtime-options.ts';

/** The type by which our own address manager is asked for, also by other people's plugins. */
export const ipamType = 'podwire-ipam';

/** A route in the pod; by the gateway of its family when it names none. */
export type PodRoute = Omit<LinkRoute, 'device'>;

export interface IpamOptions {
  /** Who gives the addresses: this plugin, another one that `delegate` names, or nobody (the network is a mere layer 2). */
  readonly source: 'own' | 'delegated' | 'none';
  /** Own only: one address of each is given to a pod. */
  readonly ranges: readonly RangeSet[];
  /** Own only: the address that the runtime asks for out of the range set of the same place. */
  readonly requested: readonly (Address | undefined)[];
  /** Own only: routes in the pod besides the default ones. */
  readonly routes: readonly PodRoute[];
  /** Where this plugin keeps what it knows of attachments. */
  readonly dataDir: string;
  /** Own only: how long (ms) an address that was released is left alone while there are others. Default: that of the address manager. */
  readonly quarantine?: number;
  /** Own only: path of a resolv.conf(5) whose settings are handed on. */
  readonly resolvConf?: string;
  /** Delegated only. */
  readonly delegate?: Delegate;
}

/** What another IPAM plugin is run with: the same configuration and the same environment (CNI spec 1.1.0, section 4). */
export interface Delegate {
  readonly type: string;
  readonly config: Fields;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const defaultDataDir = '/var/lib/cni/podwire';

/**
 * The `ipam` object.
 * @param withRequests also read which addresses the runtime asks for; only ADD needs them
 * @throws CniError 7
 */
export function parseIpam(
  ipam: Fields | undefined,
  { ips, ipRanges }: RuntimeOptions,
  { config, environment }: Omit<Delegate, 'type'>,
  withRequests: boolean,
): IpamOptions {
  // The other plugin's ipam.dataDir is its own affair.
  const nothing = { ranges: [], requested: [], routes: [], dataDir: absolutePath(config, 'dataDir', 'dataDir') ?? defaultDataDir };
  const type = ipam && textField(ipam, 'type', 'ipam.type');
  if (ipam && type === undefined && Object.keys(ipam).some((key) => key !== 'type'))
    throw new CniError(cniErrorCodes.invalidConfig, `ipam.type: missing; use "${ipamType}", or the name of another IPAM plugin`);
  if (!ipam || type === undefined) return { source: 'none', ...nothing };
  if (type !== ipamType) {
    if (!/^[a-zA-Z0-9][\w.-]{0,100}$/.test(type)) throw invalid('ipam.type', type, 'is not the name of a plugin');
    return { source: 'delegated', ...nothing, delegate: { type, config, environment } };
  }
  const dataDir = absolutePath(ipam, 'dataDir', 'ipam.dataDir') ?? defaultDataDir;
  const resolvConf = absolutePath(ipam, 'resolvConf', 'ipam.resolvConf');
  const seconds = numberField(ipam, 'quarantine', { min: 0, max: 86_400 }, 'ipam.quarantine');
  const sets = [...ipRanges, ...parseRangeConfigs(ipam, 'ranges', 'ipam.ranges')];
  // host-local's older form: one range in the ipam object itself.
  if (textField(ipam, 'subnet', 'ipam.subnet') !== undefined) sets.splice(ipRanges.length, 0, [rangeConfig(ipam, 'ipam')]);
  if (sets.length === 0)
    throw new CniError(cniErrorCodes.invalidConfig, 'ipam.ranges: missing; give at least one, such as [[{"subnet": "10.244.1.0/24"}]]');
  const ranges = parseRanges(sets);
  return {
    source: 'own',
    ranges,
    requested: withRequests ? placeRequests(ranges, ips) : [],
    routes: parseRoutes(listField(ipam, 'routes', 'ipam.routes'), 'ipam.routes'),
    dataDir,
    ...defined({ quarantine: seconds === undefined ? undefined : seconds * 1_000 }),
    ...(resolvConf === undefined ? {} : { resolvConf }),
  };
}

function absolutePath(fields: Fields, key: string, name: string): string | undefined {
  const path = textField(fields, key, name);
  if (path !== undefined && !/^\/[^\0]*$/.test(path)) throw invalid(name, path, 'is not an absolute path');
  return path;
}

/** Gives each wish the first range set that holds the address and has no wish yet. */
function placeRequests(ranges: readonly RangeSet[], wishes: readonly Wish<Address>[]): (Address | undefined)[] {
  const placed: (Address | undefined)[] = ranges.map(() => undefined);
  for (const { value, from } of wishes) {
    const index = ranges.findIndex((set, at) => placed[at] === undefined && rangeOf(set, value) !== undefined);
    if (index < 0) {
      const taken = ranges.some((set) => rangeOf(set, value) !== undefined);
      throw invalid(from, value.text, taken ? 'is a second address out of one range set' : 'is no address for pods of any of the ranges');
    }
    placed[index] = value;
  }
  return placed;
}

/** Routes of a configuration or of a result (CNI spec 1.1.0, section 5). @throws CniError 7 */
export const parseRoutes = (routes: readonly unknown[], path: string): PodRoute[] =>
  routes.map((route, index) => parseRoute(asObject(route, `${path}[${index}]`), `${path}[${index}]`));

function parseRoute(route: Fields, path: string): PodRoute {
  const dst = textField(route, 'dst', `${path}.dst`);
  const destination = dst === undefined ? undefined : tryParsePrefix(dst);
  if (!destination) throw invalid(`${path}.dst`, dst, 'is not a CIDR');
  const gateway = addressField(route, 'gw', `${path}.gw`);
  if (gateway && gateway.family !== destination.family)
    throw invalid(`${path}.gw`, gateway.text, `is of another family than ${destination.text}`);
  const most = { min: 0, max: 2 ** 32 - 1 };
  const numbers = defined({
    // 0 means that nothing is said, as in the reference.
    mtu: numberField(route, 'mtu', { min: 0, max: 65_535 }, `${path}.mtu`) || undefined,
    advmss: numberField(route, 'advmss', { min: 0, max: 65_535 }, `${path}.advmss`) || undefined,
    metric: numberField(route, 'priority', most, `${path}.priority`),
    table: numberField(route, 'table', most, `${path}.table`),
    scope: numberField(route, 'scope', { min: 0, max: 255 }, `${path}.scope`),
  });
  return { destination, ...(gateway ? { gateway } : {}), ...numbers };
}

/** @throws CniError 7 */
export function addressField(fields: Fields, key: string, path: string): Address | undefined {
  const text = textField(fields, key, path);
  if (text === undefined) return undefined;
  const address = tryParseAddress(text);
  if (!address) throw invalid(path, text, 'is not an IP address');
  return address;
}
