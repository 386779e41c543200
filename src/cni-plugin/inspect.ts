import { type AddressOwner, listReservations, type ReservationRecord } from '../ipam/index.ts';
import { compileAttachment } from './compile.ts';
import { asObject, type Fields, listField, textField } from './fields.ts';
import { readHostPorts } from './host-port-claims.ts';
import { invoke } from './invoke.ts';
import { parseOptions, type PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { pluginType } from './render/conflist.ts';
import { renderResult } from './render/result.ts';
import { isAtLeast, latestVersion } from './versions.ts';

/** Something that is not as it should be, and what mends it. */
export interface Finding {
  /** `installation`, or the pod and the container whose attachment it is about. */
  readonly subject: string;
  readonly problem: string;
  readonly repair: string;
}

/** A network configuration list as a runtime reads it. */
export interface Conflist {
  readonly name: string;
  readonly plugins: readonly Fields[];
  /** Ours, with the name and a version that knows every command. */
  readonly own: Fields;
  readonly options: PluginOptions;
}

/** @throws CniError or SyntaxError saying what is wrong with the text */
export function readConflist(text: string): Conflist {
  const list = asObject(JSON.parse(text), 'the network configuration list');
  const name = textField(list, 'name') ?? '';
  const plugins = listField(list, 'plugins').map((plugin, index) => asObject(plugin, `plugins[${index}]`));
  const declared = textField(list, 'cniVersion') ?? '';
  const ours = plugins.find((plugin) => plugin['type'] === pluginType);
  if (!ours) throw new RangeError(`no plugin of type ${pluginType}`);
  const options = parseOptions({ ...ours, name, cniVersion: declared });
  const cniVersion = isAtLeast(options.cniVersion, '1.1.0') ? options.cniVersion : latestVersion;
  return { name, plugins, own: { ...ours, name, cniVersion }, options };
}

/** What the runtime keeps of an attachment (libcni's cache): the last plugin's result, and what it was given besides the configuration. */
export interface CachedResult {
  readonly result: Fields;
  readonly capabilityArgs: Fields;
}

/**
 * Asks STATUS, and CHECK for each attachment of the network.
 * @param cached what the runtime keeps of an attachment; undefined when nothing
 * @param environment CNI_PATH and the like
 */
export async function inspectNetwork(
  { own, options }: Conflist,
  ports: CniPorts,
  cached: (owner: AddressOwner) => CachedResult | undefined,
  environment: Readonly<Record<string, string>>,
): Promise<Finding[]> {
  const ask = async (command: string, config: Fields, variables: Readonly<Record<string, string>>): Promise<ErrorObject | undefined> => {
    const request = { environment: { ...environment, ...variables, CNI_COMMAND: command }, stdin: JSON.stringify(config) };
    const { exitCode, stdout } = await invoke(request, () => ports);
    return exitCode === 0 ? undefined : (JSON.parse(stdout) as ErrorObject);
  };
  const status = await ask('STATUS', own, {});
  const findings: Finding[] = status ? [{ subject: 'installation', problem: status.msg, repair: repairOf(status) }] : [];
  const { reservations, unexplained } = listReservations(ports.openStore(options.ipam.dataDir, options.name));
  for (const record of reservations) {
    const subject = `${record.pod ?? record.containerId} ${record.ifname}`;
    if (record.state === 'releasing') {
      findings.push({ subject, problem: 'a DEL has begun and not ended', repair: `DEL again: container ${record.containerId}` });
      continue;
    }
    const error = await ask('CHECK', checkRequest(own, options, record, ports, cached(record)), {
      CNI_CONTAINERID: record.containerId,
      CNI_NETNS: record.netns,
      CNI_IFNAME: record.ifname,
      CNI_ARGS: record.pod ? `K8S_POD_NAMESPACE=${record.pod.split('/')[0]};K8S_POD_NAME=${record.pod.split('/')[1]}` : '',
    });
    if (error) findings.push({ subject, problem: error.msg, repair: repairOf(error) });
  }
  for (const name of unexplained)
    findings.push({
      subject: 'installation',
      problem: `${name} in ${options.ipam.dataDir}/${options.name} belongs to no reservation`,
      repair: 'GC',
    });
  return findings;
}

interface ErrorObject {
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

const repairOf = ({ details }: ErrorObject): string => details?.replace(/^repair: /, '') ?? '';

/** The configuration with what ADD was given and what it answered, as far as that is known. */
function checkRequest(
  own: Fields,
  options: PluginOptions,
  record: ReservationRecord,
  ports: CniPorts,
  cached: CachedResult | undefined,
): Fields {
  const capabilities = asObject(own['capabilities'] ?? {}, 'capabilities');
  const given = cached?.capabilityArgs ?? { portMappings: portMappingsOf(options, record, ports) };
  const runtimeConfig = Object.fromEntries(Object.entries(given).filter(([name]) => capabilities[name] === true));
  const prevResult = cached?.result ?? resultOf(options, record);
  return { ...own, ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}), prevResult };
}

/** What ADD must have answered. Addresses that are in no range any more it has not: CHECK tells of them. */
function resultOf(options: PluginOptions, record: ReservationRecord): object {
  const own = record.ipam === undefined ? record.addresses : [];
  try {
    return renderResult(compileAttachment(options, record, own), { ...options, cniVersion: latestVersion }, record.netns);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { cniVersion: latestVersion, interfaces: [], ips: [] };
  }
}

/** A port without an address of the node stands for both families; it is claimed once for each. */
function portMappingsOf({ ipam }: PluginOptions, owner: AddressOwner, ports: CniPorts): unknown[] {
  const { hostPorts } = readHostPorts(ports.openHostPorts(ipam.dataDir), owner) ?? { hostPorts: [] };
  const mappings = hostPorts.map(({ protocol, hostPort, containerPort, hostIP }) => ({
    protocol,
    hostPort,
    containerPort,
    ...(hostIP === undefined ? {} : { hostIP }),
  }));
  return [...new Map(mappings.map((mapping) => [JSON.stringify(mapping), mapping])).values()];
}
