import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressOwner } from '../../ipam/index.ts';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { readFileIfThere } from '../../storage/install-file.ts';
import { type Fields, textField } from '../fields.ts';
import { type CachedResult, type Conflist, type Finding, inspectNetwork, readConflist } from '../inspect.ts';
import type { InstallerOptions } from '../installer-options.ts';
import { agentLinkName, queueFolder } from './agent-folder.ts';
import { openInstaller } from './install.ts';
import { agentProblem, systemPorts } from './system-ports.ts';

export interface InspectOptions extends Pick<InstallerOptions, 'confDir' | 'confFile' | 'binDir'> {
  /** The plugin that is to be installed. Default: the one that the build made. */
  readonly executable?: string;
  /** libcni's folder of results. */
  readonly cacheDir: string;
  /** Pod CIDRs of the Node; undefined when nobody was asked. */
  readonly podCIDRs?: readonly string[] | undefined;
}

/** Everything that is wrong with the plugin's installation on this node, with its network and with the attachments. Changes nothing. */
export async function inspectNode(options: InspectOptions, runner: CommandRunner): Promise<Finding[]> {
  const install = 'podwire cni install, or start the node agent';
  const wrong = (problem: string, repair: string): Finding => ({ subject: 'installation', problem, repair });
  const findings: Finding[] = [];
  try {
    findings.push(
      ...openInstaller(options, options.executable)
        .problems()
        .map((problem) => wrong(problem, install)),
    );
  } catch (error) {
    findings.push(wrong((error as Error).message, 'npm run build'));
  }
  const file = configuredFile(options.confDir);
  if (file === undefined) return [...findings, wrong(`${options.confDir} holds no network configuration`, install)];
  const path = join(options.confDir, file);
  let conflist: Conflist;
  try {
    conflist = readConflist(readFileIfThere(path) ?? '');
  } catch (error) {
    const isFirst = file === options.confFile;
    const repair = isFirst ? install : `remove ${path} if ${options.confFile} is to be used: a runtime takes the first file in order`;
    return [...findings, wrong(`${path}: ${(error as Error).message}`, repair)];
  }
  findings.push(
    ...missingPlugins(conflist, options.binDir).map((name) =>
      wrong(`${join(options.binDir, name)} is missing`, `install the plugin ${name}`),
    ),
  );
  if (options.podCIDRs) findings.push(...staleRanges(conflist, options.podCIDRs, path).map((problem) => wrong(problem, install)));
  const link = join(options.binDir, agentLinkName);
  const agent = agentProblem(join(options.binDir, 'podwire-cni'));
  if (agent !== undefined) findings.push(wrong(agent, 'start the node agent, or remove the link to its folder if there is to be none'));
  const queued = filesOf(queueFolder(link));
  if (queued.length > 0) findings.push(wrong(`${queued.length} DELs wait in ${queueFolder(link)}`, 'start the node agent; it does them'));
  const cached = (owner: AddressOwner): CachedResult | undefined => readCached(options.cacheDir, conflist.name, owner);
  findings.push(...(await inspectNetwork(conflist, systemPorts(runner), cached, { CNI_PATH: options.binDir })));
  return findings;
}

/** The file that a runtime takes: the first in order. */
const configuredFile = (confDir: string): string | undefined =>
  filesOf(confDir).find((name) => /^[^.].*\.(conflist|conf|json)$/.test(name));

const filesOf = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

/** Programs that the configuration names and the folder does not have. */
function missingPlugins({ plugins }: Conflist, binDir: string): string[] {
  const names = plugins.flatMap((plugin) => {
    const ipam = plugin['ipam'] as Fields | undefined;
    return [textField(plugin, 'type'), ipam === undefined ? undefined : textField(ipam, 'type')];
  });
  return [...new Set(names)].filter((name) => name !== undefined).filter((name) => !isExecutable(join(binDir, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function staleRanges({ options: { ipam } }: Conflist, podCIDRs: readonly string[], path: string): string[] {
  const ranges = ipam.ranges.flatMap((set) => set.map(({ subnet }) => subnet.text));
  const same = ranges.length === podCIDRs.length && ranges.every((range) => podCIDRs.includes(range));
  return same
    ? []
    : [`${path} gives addresses of ${ranges.join(', ') || 'nothing'}, and the Node has ${podCIDRs.join(', ') || 'no pod CIDRs'}`];
}

/** libcni keeps `{kind: cniCacheV1, result, capabilityArgs, ...}` in FOLDER/results/NETWORK-CONTAINER-IFNAME. */
function readCached(cacheDir: string, network: string, { containerId, ifname }: AddressOwner): CachedResult | undefined {
  const text = readFileIfThere(join(cacheDir, 'results', `${network}-${containerId}-${ifname}`));
  if (text === undefined) return undefined;
  try {
    const { kind, result, capabilityArgs } = JSON.parse(text) as Record<string, unknown>;
    if (kind !== 'cniCacheV1' || !isFields(result)) return undefined;
    return { result, capabilityArgs: isFields(capabilityArgs) ? capabilityArgs : {} };
  } catch {
    return undefined;
  }
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
