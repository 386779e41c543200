import { parseAddress, tryParsePrefix } from '../../net/index.ts';
import { CniError } from '../errors.ts';
import type { NetworkConfigList, PluginConfig } from './conflist.ts';

/** One attachment of a container to a network (CNI spec 1.1.0, section 2). */
export interface Attachment {
  readonly containerID: string;
  /** Path of the network namespace; undefined when it is gone. */
  readonly netns: string | undefined;
  readonly ifName: string;
  /** CNI_ARGS. */
  readonly args: readonly (readonly [key: string, value: string])[];
  /** What the runtime offers to plugins that declare the capability. */
  readonly capabilityArgs?: Readonly<Record<string, unknown>>;
}

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'VERSION' | 'GC' | 'STATUS';

/** A plugin's success answer; the runtime looks only at the addresses of the container's own interfaces. */
export interface CniResult {
  readonly cniVersion?: string;
  readonly interfaces?: readonly { readonly name?: string; readonly mac?: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address?: string; readonly gateway?: string; readonly interface?: number }[];
  readonly [key: string]: unknown;
}

/** What is given to one run of one plugin. */
export interface PluginRequest {
  readonly plugin: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** The plugins of a list in the order of the command: DEL goes backwards (CNI spec, section 3, "Deleting an attachment"). */
export const pluginOrder = (list: NetworkConfigList, command: CniCommand): readonly PluginConfig[] =>
  command === 'DEL' ? list.plugins.toReversed() : list.plugins;

/**
 * The request for one plugin of the chain (CNI spec, section 3, "Deriving request configuration from network configuration"). `prevResult` is the
 * result of the plugin before for ADD, and the stored final result for CHECK and DEL.
 */
export function pluginRequest(
  command: CniCommand,
  list: NetworkConfigList,
  plugin: PluginConfig,
  attachment: Attachment,
  prevResult: CniResult | undefined,
  path: readonly string[],
): PluginRequest {
  const { capabilities = {}, ...rest } = plugin;
  const own = Object.entries(rest).filter(([key]) => !key.startsWith('cni.dev/'));
  const runtimeConfig = Object.entries(attachment.capabilityArgs ?? {}).filter(([name]) => capabilities[name] === true);
  const config = {
    ...Object.fromEntries(own),
    cniVersion: list.cniVersion,
    name: list.name,
    ...(runtimeConfig.length > 0 ? { runtimeConfig: Object.fromEntries(runtimeConfig) } : {}),
    ...(prevResult === undefined ? {} : { prevResult }),
  };
  return {
    plugin: plugin.type,
    stdin: JSON.stringify(config),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: attachment.containerID,
      CNI_NETNS: attachment.netns ?? '',
      CNI_IFNAME: attachment.ifName,
      CNI_ARGS: attachment.args.map(([key, value]) => `${key}=${value}`).join(';'),
      CNI_PATH: path.join(':'),
    },
  };
}

/** Reads a plugin's answer to ADD. @throws CniError quoting the plugin's own error, or what is wrong with its answer. */
export function parseAnswer(command: CniCommand, plugin: string, exitCode: number, stdout: string, stderr: string): CniResult | undefined {
  const answer = parseObject(stdout);
  if (exitCode !== 0) {
    const { code, msg, details } = (answer ?? {}) as { code?: number; msg?: string; details?: string };
    if (typeof msg === 'string' && msg !== '') throw new CniError(plugin, command, code, details ? `${msg}; ${details}` : msg);
    throw new CniError(plugin, command, undefined, `exit code ${exitCode}: ${(stderr || stdout).trim().slice(0, 500) || 'no message'}`);
  }
  if (command !== 'ADD') return undefined;
  if (!answer) throw new CniError(plugin, command, undefined, `its answer is not a JSON object: ${JSON.stringify(stdout.slice(0, 200))}`);
  return answer as CniResult;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The pod's addresses out of a final result: of the interfaces that lie in the container, one of each family, IPv4 first unless the result
 * names IPv6 first. @throws CniError when there is none.
 */
export function resultAddresses(result: CniResult, ifName: string): string[] {
  const inContainer = (index: number | undefined): boolean => {
    const found = index === undefined ? undefined : result.interfaces?.[index];
    return found === undefined || (Boolean(found.sandbox) && (found.name === undefined || found.name === ifName));
  };
  const found = new Map<4 | 6, string>();
  for (const { address = '', interface: index } of result.ips ?? []) {
    const prefix = tryParsePrefix(address);
    if (prefix && inContainer(index) && !found.has(prefix.family))
      found.set(prefix.family, parseAddress(address.slice(0, address.indexOf('/'))).text);
  }
  if (found.size === 0) throw new CniError('', 'ADD', undefined, 'the network configuration list gave the pod no address');
  return [...found.values()];
}
