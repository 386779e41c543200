import { type Bandwidth, parseBandwidth } from './bandwidth.ts';
import { type CniArgs, parseCniArgs } from './cni-args.ts';
import { type Dns, mergeDns, parseDns } from './dns-options.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, flagField, invalid, numberField, objectField, textField } from './fields.ts';
import { type IpamOptions, ipamType, parseIpam } from './ipam-options.ts';
import { type NatOptions, parseNatOptions } from './nat-options.ts';
import { type CniResult, parseResult } from './results.ts';
import { parseRuntimeOptions, type RuntimeOptions } from './runtime-options.ts';
import { type CniVersion, isSupportedVersion, supportedVersions } from './versions.ts';

/** The network configuration, complete with defaults. Option names and defaults are those of the reference bridge and host-local plugins. */
export interface PluginOptions extends NatOptions {
  readonly cniVersion: CniVersion;
  /** Name of the network. */
  readonly name: string;
  /** `bridge`: pods are ports of a bridge. `ptp`: each pod has a routed link of its own to the node. */
  readonly mode: 'bridge' | 'ptp';
  /** Empty in mode `ptp`. */
  readonly bridge: string;
  /** The bridge holds the gateway addresses. */
  readonly isGateway: boolean;
  /** Pods get default routes by the gateways. Implies isGateway. */
  readonly isDefaultGateway: boolean;
  /** Addresses of the bridge that contradict the gateway addresses are removed, instead of being an error. */
  readonly forceAddress: boolean;
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  /** Pods of the bridge do not reach each other, only the node. */
  readonly portIsolation: boolean;
  /** Frames of a pod with another source MAC than its own are dropped. */
  readonly macspoofchk: boolean;
  /** IPv6 addresses are used only after nobody else turned out to have them; ADD waits for that. */
  readonly enabledad: boolean;
  /** The pod's link stays down and without addresses. */
  readonly disableContainerInterface: boolean;
  readonly mtu: number;
  readonly bandwidth: Bandwidth;
  /** MAC of the pod's link, when somebody asks for one. */
  readonly mac?: string;
  readonly ipam: IpamOptions;
  /** What the runtime or the configuration says; it stands above what IPAM says. */
  readonly dns: Dns;
  /** ADD only: the result of the plugins before this one in the chain. */
  readonly prevResult?: CniResult;
}

const defaults = { bridge: 'podwire0', mtu: 1_500 } as const;

/** Options of the reference plugins that change what a pod gets and are not offered here: silently ignoring them would be wrong. */
const unsupported = ['vlan', 'vlanTrunk'];

/** Options that say how a bridge is. */
const bridgeOnly = [
  'bridge',
  'isGateway',
  'isDefaultGateway',
  'forceAddress',
  'hairpinMode',
  'promiscMode',
  'portIsolation',
  'macspoofchk',
  'disableContainerInterface',
];

/** What an invocation brings besides the configuration. */
export interface OptionsContext {
  /** An IPAM plugin that is run gets the same. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly args: CniArgs;
  /** Also read what only ADD needs: the addresses asked for, and the result of the plugins before. */
  readonly forAdd: boolean;
}

const noContext: OptionsContext = { environment: {}, args: parseCniArgs(''), forAdd: false };

/**
 * Checks a network configuration. Unknown keys are ignored (CNI spec section 1).
 * @throws CniError 1 (version), 2 (a field that is not supported), 4 (CNI_ARGS), 7 (anything wrong, naming key and value)
 */
export function parseOptions(fields: Fields, context: OptionsContext = noContext): PluginOptions {
  const { cniVersion, name } = parseNetwork(fields);
  for (const key of unsupported) {
    const value = fields[key];
    if (value && !(Array.isArray(value) && value.length === 0))
      throw new CniError(cniErrorCodes.unsupportedField, `${key}: ${JSON.stringify(value)} is not supported by this plugin`);
  }
  const mode = parseMode(fields);
  const flag = (key: string): boolean => flagField(fields, key);
  const runtime = parseRuntimeOptions(fields, context.args);
  const isDefaultGateway = flag('isDefaultGateway');
  const options: PluginOptions = {
    cniVersion,
    name,
    mode,
    bridge: mode === 'ptp' ? '' : parseBridge(fields),
    isGateway: flag('isGateway') || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag('forceAddress'),
    hairpinMode: flag('hairpinMode'),
    promiscMode: flag('promiscMode'),
    portIsolation: flag('portIsolation'),
    macspoofchk: flag('macspoofchk'),
    enabledad: flag('enabledad'),
    disableContainerInterface: flag('disableContainerInterface'),
    // 0 means the default, as in the reference. 1280 is the least that IPv6 works with.
    mtu: numberField(fields, 'mtu', { min: 0, max: 65_535 }) || defaults.mtu,
    ...parseNatOptions(fields),
    bandwidth: parseBandwidth(fields),
    ...(runtime.mac === undefined ? {} : { mac: runtime.mac }),
    ipam: parseIpam(objectField(fields, 'ipam'), runtime, { config: fields, environment: context.environment }, context.forAdd),
    dns: mergeDns(parseDns(objectField(fields, 'dns') ?? {}), runtime.dns),
    ...(context.forAdd && fields['prevResult'] !== undefined && fields['prevResult'] !== null
      ? { prevResult: parseResult(asObject(fields['prevResult'], 'prevResult'), 'prevResult') }
      : {}),
  };
  checkConsistent(options, fields);
  return options;
}

/** The options of our address manager when it serves another plugin: all that is said of links is the other's affair. */
export interface IpamPluginOptions {
  readonly cniVersion: CniVersion;
  readonly name: string;
  readonly ipam: IpamOptions;
  readonly runtime: RuntimeOptions;
}

/** @throws as {@link parseOptions} */
export function parseIpamPluginOptions(fields: Fields, context: OptionsContext): IpamPluginOptions {
  const network = parseNetwork(fields);
  const runtime = parseRuntimeOptions(fields, context.args);
  const ipam = parseIpam(objectField(fields, 'ipam'), runtime, { config: fields, environment: context.environment }, context.forAdd);
  if (ipam.source !== 'own')
    throw new CniError(
      cniErrorCodes.invalidConfig,
      `ipam.type: this plugin was run as ${ipamType}, but ipam names ${ipam.delegate?.type ?? 'none'}`,
    );
  return { ...network, ipam, runtime };
}

function parseNetwork(fields: Fields): { cniVersion: CniVersion; name: string } {
  const cniVersion = parseVersion(fields);
  const name = textField(fields, 'name');
  if (name === undefined) throw new CniError(cniErrorCodes.invalidConfig, 'name: the network needs a name');
  if (!/^[a-zA-Z0-9][\w.-]{0,199}$/.test(name))
    throw invalid('name', name, 'may hold letters, digits, dot, dash and underscore, and starts with a letter or digit');
  return { cniVersion, name };
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

function parseMode(fields: Fields): 'bridge' | 'ptp' {
  const mode = textField(fields, 'mode') ?? 'bridge';
  if (mode !== 'bridge' && mode !== 'ptp') throw invalid('mode', mode, 'is neither "bridge" nor "ptp"');
  if (mode === 'bridge') return mode;
  const key = bridgeOnly.find((name) => fields[name]);
  if (key) throw invalid(key, fields[key], 'contradicts mode "ptp": there is no bridge, and the node is always the gateway');
  return mode;
}

function parseBridge(fields: Fields): string {
  const bridge = textField(fields, 'bridge') ?? defaults.bridge;
  if (!isLinkName(bridge)) throw invalid('bridge', bridge, 'is not a link name (1 to 15 characters, no blank, no slash, no colon)');
  return bridge;
}

/** As the kernel's dev_valid_name. */
export const isLinkName = (name: string): boolean =>
  /^[^\s/:"\\\0]{1,15}$/.test(name) && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 15;

/** @throws CniError 7 for options of which one makes the other meaningless */
function checkConsistent({ mode, ipam, promiscMode, hairpinMode, disableContainerInterface }: PluginOptions, fields: Fields): void {
  // A frame would come back to its pod twice.
  if (promiscMode && hairpinMode) throw invalid('promiscMode', true, 'contradicts hairpinMode: true');
  if (disableContainerInterface && ipam.source !== 'none')
    throw invalid('disableContainerInterface', true, 'contradicts ipam: a link that is down has no address');
  if (ipam.source !== 'none') return;
  if (mode === 'ptp') throw new CniError(cniErrorCodes.invalidConfig, 'ipam: missing; mode "ptp" routes to the addresses of pods');
  const layer3 = ['isDefaultGateway', 'isGateway', 'ipMasq'].find((key) => fields[key]);
  if (layer3) throw new CniError(cniErrorCodes.invalidConfig, `ipam: missing; ${layer3} needs pods with addresses`);
}
