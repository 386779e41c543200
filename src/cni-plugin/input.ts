import { withCapabilityNames } from './capability-names.ts';
import { badVariable, type CniArgs, parseCniArgs, podOfArgs } from './cni-args.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, invalid, listField, textField } from './fields.ts';
import { ipamType } from './ipam-options.ts';
import { isContainerId } from '../ipam/index.ts';
import { type IpamPluginOptions, isLinkName, type PluginOptions, parseIpamPluginOptions, parseOptions, parseVersion } from './options.ts';
import { pluginType } from './render/conflist.ts';
import { isAtLeast } from './versions.ts';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** What an invocation brings: its environment and the bytes of its standard input. */
export interface Invocation {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
  /** Name that the program was run by, as far as known: the last part of argv[0]. */
  readonly program?: string;
}

/** One container's place on the network. */
export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
  /** Path of the pod's network namespace; empty when DEL is told it is gone. */
  readonly netns: string;
  /** `namespace/name`, when CNI_ARGS tells. */
  readonly pod?: string;
  /** CNI_NETNS_OVERRIDE: `netns` may be the node's own namespace (CNI spec 1.1.0). */
  readonly anyNamespace?: true;
}

/** A request with options of one kind. */
type OptionsRequest<O> =
  | { readonly command: 'ADD' | 'DEL'; readonly options: O; readonly attachment: Attachment }
  | { readonly command: 'CHECK'; readonly options: O; readonly attachment: Attachment; readonly prevResult: Fields }
  | { readonly command: 'GC'; readonly options: O; readonly valid: readonly Pick<Attachment, 'containerId' | 'ifname'>[] }
  | { readonly command: 'STATUS'; readonly options: O };

/** A request to our address manager alone, by another interface plugin. */
export type IpamRequest = OptionsRequest<IpamPluginOptions>;

export type CniRequest =
  | OptionsRequest<PluginOptions>
  | { readonly command: 'IPAM'; readonly request: IpamRequest }
  | { readonly command: 'VERSION'; readonly cniVersion: string | undefined };

/** More than any runtime sends; a result of 1000 interfaces is under 200 kB. */
export const maxStdinBytes = 1024 * 1024;

/** Which variables a command needs (CNI spec 1.1.0, section 2 "Parameters"). */
const required: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
};

/**
 * Reads an invocation.
 * @throws CniError 1, 2 or 7 (configuration), 4 (environment, naming the variables), 6 (standard input is no JSON object)
 */
export function parseRequest({ environment, stdin, program }: Invocation): CniRequest {
  const command = parseCommand(environment['CNI_COMMAND']);
  const fields = parseStdin(stdin);
  if (command === 'VERSION') return { command, cniVersion: textField(fields, 'cniVersion') };
  const missing = required[command].filter((name) => !environment[name]);
  if (missing.length > 0) throw new CniError(cniErrorCodes.invalidEnvironment, `${command} needs ${missing.join(', ')} in the environment`);
  const version = parseVersion(fields);
  if (command === 'CHECK' && !isAtLeast(version, '0.4.0')) throw tooOld(command, version, '0.4.0');
  if ((command === 'GC' || command === 'STATUS') && !isAtLeast(version, '1.1.0')) throw tooOld(command, version, '1.1.0');
  const args = parseCniArgs(environment['CNI_ARGS'] ?? '');
  const context = { environment, args, forAdd: command === 'ADD' };
  if (servesAnother(fields, program)) {
    const options = parseIpamPluginOptions(fields, context);
    return { command: 'IPAM', request: requestOf(command, options, fields, environment, args) };
  }
  return requestOf(command, parseOptions(fields, context), fields, environment, args);
}

/**
 * Is this a request to the address manager alone? An interface plugin runs its IPAM plugin with its own configuration, so `type` is the
 * interface plugin's (CNI spec 1.1.0, section 4 "Plugin Delegation"). An executable that was given another name is asked for by that name.
 */
function servesAnother(fields: Fields, program: string | undefined): boolean {
  if (program === ipamType) return true;
  const type = fields['type'];
  const ipam = fields['ipam'];
  const ours = typeof ipam === 'object' && ipam !== null && (ipam as Fields)['type'] === ipamType;
  return ours && typeof type === 'string' && type !== '' && type !== pluginType && type !== program;
}

function requestOf<O>(
  command: Exclude<CniCommand, 'VERSION'>,
  options: O,
  fields: Fields,
  environment: Invocation['environment'],
  args: CniArgs,
): OptionsRequest<O> {
  if (command === 'STATUS') return { command, options };
  if (command === 'GC') return { command, options, valid: parseValidAttachments(fields) };
  const attachment = parseAttachment(environment, args);
  if (command !== 'CHECK') return { command, options, attachment };
  if (fields['prevResult'] === undefined) throw new CniError(cniErrorCodes.invalidConfig, 'prevResult: missing; CHECK compares with it');
  return { command, options, attachment, prevResult: asObject(fields['prevResult'], 'prevResult') };
}

const tooOld = (command: string, version: string, since: string): CniError =>
  new CniError(cniErrorCodes.incompatibleVersion, `cniVersion: ${version} has no ${command}; it came with ${since}`);

function parseCommand(command: string | undefined): CniCommand {
  if (command !== undefined && Object.hasOwn(required, command)) return command as CniCommand;
  throw new CniError(
    cniErrorCodes.invalidEnvironment,
    command ? `CNI_COMMAND=${command} is unknown` : 'CNI_COMMAND is not set',
    `one of ${Object.keys(required).join(', ')}; this program is run by a container runtime, see the CNI specification`,
  );
}

function parseStdin(stdin: string): Fields {
  if (Buffer.byteLength(stdin) > maxStdinBytes)
    throw new CniError(cniErrorCodes.decoding, `the configuration on standard input is longer than ${maxStdinBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(stdin);
  } catch (error) {
    throw new CniError(cniErrorCodes.decoding, `the configuration on standard input is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CniError(cniErrorCodes.decoding, 'the configuration on standard input is not a JSON object');
  return withCapabilityNames(value as Fields);
}

function parseAttachment(environment: Invocation['environment'], args: CniArgs): Attachment {
  const { CNI_CONTAINERID: containerId = '', CNI_IFNAME: ifname = '', CNI_NETNS: netns = '' } = environment;
  if (!isContainerId(containerId))
    throw badVariable('CNI_CONTAINERID', containerId, 'may hold letters, digits, dot, dash and underscore, at most 200');
  if (!isLinkName(ifname) || ifname.includes('@'))
    throw badVariable('CNI_IFNAME', ifname, 'is not a link name (1 to 15 characters, no blank, no slash, no colon)');
  if (netns !== '' && !/^\/[^\0\n\r"\\]{1,1000}$/.test(netns)) throw badVariable('CNI_NETNS', netns, 'is not an absolute path');
  const pod = podOfArgs(args);
  const anyNamespace = /^(1|t|true)$/i.test(environment['CNI_NETNS_OVERRIDE'] ?? '');
  return { containerId, ifname, netns, ...(pod === undefined ? {} : { pod }), ...(anyNamespace ? { anyNamespace } : {}) };
}

/** `cni.dev/valid-attachments` (CNI spec 1.1.0, section 2 "GC"). It must be there: an absent list must not mean that nothing is valid. */
function parseValidAttachments(fields: Fields): Pick<Attachment, 'containerId' | 'ifname'>[] {
  const key = 'cni.dev/valid-attachments';
  if (fields[key] === undefined)
    throw new CniError(cniErrorCodes.invalidConfig, `${key}: missing; GC removes every attachment that is not in it`);
  return listField(fields, key, key, 100_000).map((entry, index) => {
    const attachment = asObject(entry, `${key}[${index}]`);
    const containerId = textField(attachment, 'containerID', `${key}[${index}].containerID`);
    const ifname = textField(attachment, 'ifname', `${key}[${index}].ifname`);
    if (containerId === undefined || ifname === undefined) throw invalid(`${key}[${index}]`, entry, 'needs containerID and ifname');
    return { containerId, ifname };
  });
}
