import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, invalid } from './fields.ts';
import type { Delegate } from './ipam-options.ts';
import { renderCniResult } from './render/result.ts';
import { type CniResult, parseResult } from './results.ts';
import { isAtLeast, isSupportedVersion, supportedVersions } from './versions.ts';

/** What running another plugin, and reading what others wrote, takes. */
export interface DelegationPorts {
  /** Path of the executable file of that name in the first of the folders that has one. */
  findPlugin(folders: readonly string[], name: string): string | undefined;
  /** Runs it with these variables on top of this process's. Resolves also when it fails. */
  runPlugin(
    path: string,
    stdin: string,
    environment: Readonly<Record<string, string>>,
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  /** Text of a file; undefined when it is not there. */
  readText(path: string): string | undefined;
}

/** Whose addresses a call is about. */
export interface DelegatedAttachment {
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
}

interface Answer {
  readonly exitCode: number;
  readonly fields: Fields;
}

/**
 * ADD of the other IPAM plugin (CNI spec 1.1.0, section 4). A plugin that is too old for the configuration's version is run once more with the
 * latest version that it has.
 * @throws CniError as the other plugin's error object says; 7 when it is not found; 107 when its answer is none
 */
export async function delegateAdd(delegate: Delegate, attachment: DelegatedAttachment, ports: DelegationPorts): Promise<CniResult> {
  const fields = await run(delegate, 'ADD', attachment, ports);
  const path = `result of ${delegate.type}`;
  const result = parseResult(fields, path);
  if (result.ips.length === 0) throw new CniError(cniErrorCodes.delegateFailed, `${path}: holds no address`);
  return result;
}

/** DEL or CHECK of the other IPAM plugin. @throws as {@link delegateAdd} */
export async function delegateFor(
  delegate: Delegate,
  command: 'DEL' | 'CHECK',
  attachment: DelegatedAttachment,
  ports: DelegationPorts,
): Promise<void> {
  await run(delegate, command, attachment, ports);
}

/** GC or STATUS of the other IPAM plugin, if it is new enough to have them. @throws as {@link delegateAdd} */
export async function delegateOverall(delegate: Delegate, command: 'GC' | 'STATUS', ports: DelegationPorts): Promise<void> {
  const path = findDelegate(delegate, ports);
  const versions = await versionsOf(path, delegate, ports);
  if (versions.some((version) => typeof version === 'string' && isSupportedVersion(version) && isAtLeast(version, '1.1.0')))
    await run(delegate, command, undefined, ports);
}

async function run(
  delegate: Delegate,
  command: string,
  attachment: DelegatedAttachment | undefined,
  ports: DelegationPorts,
): Promise<Fields> {
  const path = findDelegate(delegate, ports);
  const environment = environmentOf(delegate, command, attachment);
  const first = await runOnce(path, delegate, environment, delegate.config, ports);
  const tooOld = first.exitCode !== 0 && first.fields['code'] === cniErrorCodes.incompatibleVersion;
  const older = tooOld ? await olderConfig(path, delegate, ports) : undefined;
  const { exitCode, fields } = older ? await runOnce(path, delegate, environment, older, ports) : first;
  if (exitCode !== 0) throw passedOn(delegate, fields);
  return fields;
}

/** Path of the plugin. @throws CniError 7 when it is in none of the folders of CNI_PATH */
export function findDelegate({ type, environment }: Delegate, ports: DelegationPorts): string {
  const folders = (environment['CNI_PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  const path = ports.findPlugin(folders, type);
  if (path === undefined) throw invalid('ipam.type', type, `is not found in CNI_PATH=${environment['CNI_PATH'] ?? ''}`);
  return path;
}

/** Also empty values are said, so that nothing shines through from this process's own environment. */
function environmentOf({ environment }: Delegate, command: string, attachment: DelegatedAttachment | undefined): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: attachment?.containerId ?? '',
    CNI_NETNS: attachment?.netns ?? '',
    CNI_IFNAME: attachment?.ifname ?? '',
    CNI_ARGS: environment['CNI_ARGS'] ?? '',
    CNI_PATH: environment['CNI_PATH'] ?? '',
  };
}

async function runOnce(
  path: string,
  { type }: Delegate,
  environment: Readonly<Record<string, string>>,
  config: Fields,
  ports: DelegationPorts,
): Promise<Answer> {
  const { exitCode, stdout, stderr } = await ports.runPlugin(path, JSON.stringify(config), environment);
  if (stdout.trim() === '' && exitCode === 0) return { exitCode, fields: {} };
  try {
    return { exitCode, fields: asObject(JSON.parse(stdout), `answer of ${type}`) };
  } catch {
    const said = (stdout || stderr).trim().slice(0, 500);
    throw new CniError(
      cniErrorCodes.delegateFailed,
      `${path} ended with exit code ${exitCode} and no JSON object on standard output`,
      said,
    );
  }
}

/** The configuration in the latest version that both sides have; undefined when there is none. */
async function olderConfig(path: string, delegate: Delegate, ports: DelegationPorts): Promise<Fields | undefined> {
  const theirs = await versionsOf(path, delegate, ports);
  const version = supportedVersions.findLast((ours) => theirs.includes(ours));
  const { cniVersion, prevResult } = delegate.config;
  if (version === undefined || version === cniVersion) return undefined;
  const config = { ...delegate.config, cniVersion: version };
  if (typeof prevResult !== 'object' || prevResult === null) return config;
  return { ...config, prevResult: renderCniResult(parseResult(prevResult as Fields, 'prevResult'), version) };
}

async function versionsOf(path: string, delegate: Delegate, ports: DelegationPorts): Promise<readonly unknown[]> {
  const { fields } = await runOnce(path, delegate, environmentOf(delegate, 'VERSION', undefined), { cniVersion: '1.0.0' }, ports);
  const versions = fields['supportedVersions'];
  return Array.isArray(versions) ? versions : [];
}

/** The other plugin's error object as our own, with its name before the message. */
function passedOn({ type }: Delegate, { code, msg, details }: Fields): CniError {
  const known = typeof code === 'number' && Number.isInteger(code) && code > 0;
  return new CniError(
    known ? code : cniErrorCodes.delegateFailed,
    `${type}: ${typeof msg === 'string' && msg !== '' ? msg : 'failed without a message'}`,
    typeof details === 'string' ? details : '',
  );
}
