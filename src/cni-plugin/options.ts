import type { LinkRoute } from '../dataplane/links.ts';
import { InvalidRangeError, parseRangeSets, type RangeConfig, type RangeSet } from '../ipam/index.ts';
import { type Address, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, flagField, invalid, listField, numberField, objectField, textField, textListField } from './fields.ts';
import { type CniVersion, isSupportedVersion, supportedVersions } from './versions.ts';

/** The network configuration, complete with defaults. Option names and defaults are those of the reference bridge and host-local plugins. */
export interface PluginOptions {
  readonly cniVersion: CniVersion;
  /** Name of the network. */
  readonly name: string;
  readonly bridge: string;
  /** The bridge holds the gateway addresses. */
  readonly isGateway: boolean;
  /** Pods get default routes by the gateways. Implies isGateway. */
  readonly isDefaultGateway: boolean;
  readonly hairpinMode: boolean;
  readonly mtu: number;
  readonly ipam: IpamOptions;
  readonly dns: Dns;
}

export interface IpamOptions {
  /** One address of each is given to a pod. */
  readonly ranges: readonly RangeSet[];
  /** Routes in the pod besides the default ones. Without gateway: by the gateway of the family. */
  readonly routes: readonly Omit<LinkRoute, 'device'>[];
  readonly dataDir: string;
}

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

const defaults = { bridge: 'podwire0', mtu: 1_500, dataDir: '/var/lib/cni/podwire' } as const;

/** Options of the reference plugins that change what a pod gets and are not offered here: silently ignoring them would be wrong. */
const unsupported = [
  'ipMasq',
  'promiscMode',
  'vlan',
  'vlanTrunk',
  'macspoofchk',
  'portIsolation',
  'enabledad',
  'forceAddress',
  'disableContainerInterface',
];

/**
 * Checks a network configuration. Unknown keys are ignored (CNI spec section 1).
 * @throws CniError 1 (version), 2 (a field that is not supported), 7 (anything wrong, naming key and value)
 */
export function parseOptions(fields: Fields): PluginOptions {
  const cniVersion = parseVersion(fields);
  const name = textField(fields, 'name');
  if (name === undefined) throw new CniError(cniErrorCodes.invalidConfig, 'name: the network needs a name');
  if (!/^[a-zA-Z0-9][\w.-]{0,199}$/.test(name))
    throw invalid('name', name, 'may hold letters, digits, dot, dash and underscore, and starts with a letter or digit');
  for (const key of unsupported) {
    if (fields[key])
      throw new CniError(cniErrorCodes.unsupportedField, `${key}: ${JSON.stringify(fields[key])} is not supported by this plugin`);
  }
  const bridge = textField(fields, 'bridge') ?? defaults.bridge;
  if (!isLinkName(bridge)) throw invalid('bridge', bridge, 'is not a link name (1 to 15 characters, no blank, no slash, no colon)');
  const isDefaultGateway = flagField(fields, 'isDefaultGateway');
  return {
    cniVersion,
    name,
    bridge,
    isGateway: flagField(fields, 'isGateway') || isDefaultGateway,
    isDefaultGateway,
    hairpinMode: flagField(fields, 'hairpinMode'),
    // 0 means the default, as in the reference. 1280 is the least that IPv6 works with.
    mtu: numberField(fields, 'mtu', { min: 0, max: 65_535 }) || defaults.mtu,
    ipam: parseIpam(objectField(fields, 'ipam')),
    dns: parseDns(objectField(fields, 'dns') ?? {}),
  };
}

/** @throws CniError 1 */
export function parseVersion(fields: Fields): CniVersion {
  const version = textField(fields, 'cniVersion') ?? '0.1.0';
  if (isSupportedVersion(version)) return version;
  throw new CniError(
    cniErrorCodes.incompatibleVersion,
    `cniVersion: ${JSON.stringify(version)} is not supported`,
    `supported: ${supportedVersions.join(', ')}`,
  );
}

/** As the kernel's dev_valid_name. */
export const isLinkName = (name: string): boolean =>
  /^[^\s/:"\\\0]{1,15}$/.test(name) && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 15;

function parseIpam(ipam: Fields | undefined): IpamOptions {
  if (!ipam) throw new CniError(cniErrorCodes.invalidConfig, 'ipam: missing; pods need addresses');
  const type = textField(ipam, 'type', 'ipam.type');
  if (type !== 'podwire-ipam' && type !== 'host-local')
    throw invalid('ipam.type', type, 'is not supported; use "podwire-ipam" (or its other name "host-local")');
  if (ipam['resolvConf'])
    throw new CniError(
      cniErrorCodes.unsupportedField,
      `ipam.resolvConf: ${JSON.stringify(ipam['resolvConf'])} is not supported by this plugin`,
    );
  const dataDir = textField(ipam, 'dataDir', 'ipam.dataDir') ?? defaults.dataDir;
  if (!dataDir.startsWith('/')) throw invalid('ipam.dataDir', dataDir, 'is not an absolute path');
  const sets = listField(ipam, 'ranges', 'ipam.ranges', 16).map((set, index) => {
    if (!Array.isArray(set)) throw invalid(`ipam.ranges[${index}]`, set, 'is not a list of ranges');
    if (set.length > 256) throw invalid(`ipam.ranges[${index}]`, set.length, 'ranges are more than 256');
    return set.map((range, place) => rangeConfig(asObject(range, `ipam.ranges[${index}][${place}]`), `ipam.ranges[${index}][${place}]`));
  });
  // host-local's older form: one range in the ipam object itself.
  if (textField(ipam, 'subnet', 'ipam.subnet') !== undefined) sets.unshift([rangeConfig(ipam, 'ipam')]);
  if (sets.length === 0)
    throw new CniError(cniErrorCodes.invalidConfig, 'ipam.ranges: missing; give at least one, such as [[{"subnet": "10.244.1.0/24"}]]');
  return {
    ranges: parseRanges(sets),
    routes: listField(ipam, 'routes', 'ipam.routes').map((route, index) =>
      parseRoute(asObject(route, `ipam.routes[${index}]`), `ipam.routes[${index}]`),
    ),
    dataDir,
  };
}

function rangeConfig(range: Fields, path: string): RangeConfig {
  const subnet = textField(range, 'subnet', `${path}.subnet`);
  if (subnet === undefined) throw new CniError(cniErrorCodes.invalidConfig, `${path}.subnet: missing`);
  return {
    subnet,
    rangeStart: textField(range, 'rangeStart', `${path}.rangeStart`),
    rangeEnd: textField(range, 'rangeEnd', `${path}.rangeEnd`),
    gateway: textField(range, 'gateway', `${path}.gateway`),
  };
}

function parseRanges(sets: readonly (readonly RangeConfig[])[]): RangeSet[] {
  try {
    return parseRangeSets(sets);
  } catch (error) {
    if (error instanceof InvalidRangeError) throw new CniError(cniErrorCodes.invalidConfig, `ipam.ranges${error.field}: ${error.message}`);
    throw error;
  }
}

function parseRoute(route: Fields, path: string): Omit<LinkRoute, 'device'> {
  const dst = textField(route, 'dst', `${path}.dst`);
  const destination = dst === undefined ? undefined : tryParsePrefix(dst);
  if (!destination) throw invalid(`${path}.dst`, dst, 'is not a CIDR');
  const gateway = addressField(route, 'gw', `${path}.gw`);
  if (gateway && gateway.family !== destination.family)
    throw invalid(`${path}.gw`, gateway.text, `is of another family than ${destination.text}`);
  const most = { min: 0, max: 2 ** 32 - 1 };
  const numbers = {
    mtu: numberField(route, 'mtu', { min: 68, max: 65_535 }, `${path}.mtu`),
    advmss: numberField(route, 'advmss', { min: 1, max: 65_535 }, `${path}.advmss`),
    metric: numberField(route, 'priority', most, `${path}.priority`),
    table: numberField(route, 'table', most, `${path}.table`),
    scope: numberField(route, 'scope', { min: 0, max: 255 }, `${path}.scope`),
  };
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  return { destination, ...(gateway ? { gateway } : {}), ...given };
}

function addressField(fields: Fields, key: string, path: string): Address | undefined {
  const text = textField(fields, key, path);
  if (text === undefined) return undefined;
  const address = tryParseAddress(text);
  if (!address) throw invalid(path, text, 'is not an IP address');
  return address;
}

function parseDns(dns: Fields): Dns {
  const nameservers = textListField(dns, 'nameservers', 'dns.nameservers');
  const domain = textField(dns, 'domain', 'dns.domain');
  const search = textListField(dns, 'search', 'dns.search');
  const options = textListField(dns, 'options', 'dns.options');
  return {
    ...(nameservers.length ? { nameservers } : {}),
    ...(domain === undefined ? {} : { domain }),
    ...(search.length ? { search } : {}),
    ...(options.length ? { options } : {}),
  };
}
