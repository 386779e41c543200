import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, invalid, listField, textField } from './fields.ts';
import { isLinkName, type PluginOptions, parseOptions, parseVersion } from './options.ts';
import { isAtLeast } from './versions.ts';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** What an invocation brings: its environment and the bytes of its standard input. */
export interface Invocation {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
}

/** One container's place on the network. */
export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
  /** Path of the pod's network namespace; empty when DEL is told it is gone. */
  readonly netns: string;
  /** `namespace/name`, when CNI_ARGS tells. */
  readonly pod?: string;
}

export type CniRequest =
  | { readonly command: 'ADD' | 'DEL'; readonly options: PluginOptions; readonly attachment: Attachment }
  | { readonly command: 'CHECK'; readonly options: PluginOptions; readonly attachment: Attachment; readonly prevResult: Fields }
  | { readonly command: 'GC'; readonly options: PluginOptions; readonly valid: readonly Pick<Attachment, 'containerId' | 'ifname'>[] }
  | { readonly command: 'STATUS'; readonly options: PluginOptions }
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
export function parseRequest({ environment, stdin }: Invocation): CniRequest {
  const command = parseCommand(environment['CNI_COMMAND']);
  const fields = parseStdin(stdin);
  if (command === 'VERSION') return { command, cniVersion: textField(fields, 'cniVersion') };
  const missing = required[command].filter((name) => !environment[name]);
  if (missing.length > 0) throw new CniError(cniErrorCodes.invalidEnvironment, `${command} needs ${missing.join(', ')} in the environment`);
  const version = parseVersion(fields);
  if (command === 'CHECK' && !isAtLeast(version, '0.4.0')) throw tooOld(command, version, '0.4.0');
  if ((command === 'GC' || command === 'STATUS') && !isAtLeast(version, '1.1.0')) throw tooOld(command, version, '1.1.0');
  const options = parseOptions(fields);
  if (command === 'STATUS') return { command, options };
  if (command === 'GC') return { command, options, valid: parseValidAttachments(fields) };
  const attachment = parseAttachment(environment);
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
  return value as Fields;
}

function parseAttachment(environment: Invocation['environment']): Attachment {
  const { CNI_CONTAINERID: containerId = '', CNI_IFNAME: ifname = '', CNI_NETNS: netns = '' } = environment;
  if (!/^[a-zA-Z0-9][\w.-]{0,199}$/.test(containerId))
    throw badVariable('CNI_CONTAINERID', containerId, 'may hold letters, digits, dot, dash and underscore, at most 200');
  if (!isLinkName(ifname) || ifname.includes('@'))
    throw badVariable('CNI_IFNAME', ifname, 'is not a link name (1 to 15 characters, no blank, no slash, no colon)');
  if (netns !== '' && !/^\/[^\0\n\r"\\]{1,1000}$/.test(netns)) throw badVariable('CNI_NETNS', netns, 'is not an absolute path');
  const pod = parsePod(environment['CNI_ARGS'] ?? '');
  return { containerId, ifname, netns, ...(pod === undefined ? {} : { pod }) };
}

const badVariable = (name: string, value: string, reason: string): CniError =>
  new CniError(cniErrorCodes.invalidEnvironment, `${name}=${value.slice(0, 120)} ${reason}`);

const knownArgs = ['IgnoreUnknown', 'K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_INFRA_CONTAINER_ID', 'K8S_POD_UID'];

/** `namespace/name` out of CNI_ARGS (`KEY=VALUE;KEY=VALUE`). An unknown key is an error unless IgnoreUnknown is true, as in libcni. */
function parsePod(args: string): string | undefined {
  const pairs = args.split(';').filter((pair) => pair !== '');
  const values = new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw badVariable('CNI_ARGS', args, `holds ${JSON.stringify(pair)}, which is not KEY=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
  const ignoreUnknown = /^(1|t|true)$/i.test(values.get('IgnoreUnknown') ?? '');
  const unknown = [...values.keys()].filter((key) => !knownArgs.includes(key));
  if (unknown.length > 0 && !ignoreUnknown)
    throw badVariable('CNI_ARGS', args, `holds ${unknown.join(', ')}, which this plugin does not know; IgnoreUnknown=true lets it pass`);
  const [namespace, name] = [values.get('K8S_POD_NAMESPACE'), values.get('K8S_POD_NAME')];
  if (!namespace || !name) return undefined;
  const pod = `${namespace}/${name}`;
  if (!/^[\w.-]+\/[\w.-]+$/.test(pod)) throw badVariable('CNI_ARGS', args, 'holds a pod name that is none');
  return pod;
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
