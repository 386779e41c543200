import type { Pod } from '../../objects/client.ts';
import { metadataField } from './pod-field.ts';
import { type NodeResources, resourceValue } from './resource-value.ts';
import { containersOf, type DownwardFile, type KeyToPath, type References, type Volume } from './types.ts';

/** One file of a volume. */
export interface VolumeFile {
  readonly content: Buffer;
  readonly mode: number;
}

/** A volume that cannot be made; the message is what kubelet would tell. */
class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

/** Mode of files when neither the volume nor the item says (core/v1: defaultMode 0644). */
const usualMode = 0o644;

/**
 * The files of a volume whose content comes from the API, by path; undefined for volumes that are folders (emptyDir, hostPath).
 * @throws VolumeError for what is missing, and for kinds of volumes that are not supported.
 */
export function renderVolume(
  volume: Volume,
  pod: Pod,
  references: References,
  node: NodeResources,
): ReadonlyMap<string, VolumeFile> | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (volume.emptyDir || volume.hostPath) return undefined;
  const files = new Map<string, VolumeFile>();
  if (configMap) addConfigMap(files, configMap, configMap.defaultMode, references);
  else if (secret) addSecret(files, { ...secret, name: secret.secretName }, secret.defaultMode, references);
  else if (downwardAPI) addDownward(files, downwardAPI.items ?? [], downwardAPI.defaultMode, pod, node);
  else if (projected) {
    for (const source of projected.sources ?? []) {
      if (source.configMap) addConfigMap(files, source.configMap, projected.defaultMode, references);
      else if (source.secret) addSecret(files, source.secret, projected.defaultMode, references);
      else if (source.downwardAPI) addDownward(files, source.downwardAPI.items ?? [], projected.defaultMode, pod, node);
      else if (source.serviceAccountToken) {
        const { path } = source.serviceAccountToken;
        const token = references.token(volume.name, path);
        if (token === undefined) throw new VolumeError('failed to fetch token');
        add(files, path, Buffer.from(token), tokenMode(pod, projected.defaultMode));
      } else throw new VolumeError(`projected source ${Object.keys(source)[0]} is not supported by the pod runner`);
    }
  } else throw new VolumeError(`${Object.keys(volume).find((field) => field !== 'name')} volumes are not supported by the pod runner`);
  return files;
}

/** A token is for the pod's own user alone, where it has one. */
function tokenMode({ spec }: Pod, mode = usualMode): number {
  const { fsGroup, runAsUser } = (spec as { securityContext?: { fsGroup?: number; runAsUser?: number } }).securityContext ?? {};
  return fsGroup !== undefined || runAsUser !== undefined ? 0o600 : mode;
}

interface Selection {
  readonly name: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

function addConfigMap(files: Map<string, VolumeFile>, selection: Selection, mode: number | undefined, references: References): void {
  const found = references.configMap(selection.name);
  if (!found && !selection.optional) throw new VolumeError(`configmap "${selection.name}" not found`);
  const text = Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(found?.binaryData ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
  addItems(files, selection, new Map([...text, ...binary]), mode, 'config key');
}

function addSecret(files: Map<string, VolumeFile>, selection: Selection, mode: number | undefined, references: References): void {
  const found = references.secret(selection.name);
  if (!found && !selection.optional) throw new VolumeError(`secret "${selection.name}" not found`);
  const data = Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
  addItems(files, selection, new Map(data), mode, 'secret key');
}

/** All keys under their own names, or those that are asked for under the paths that are. */
function addItems(
  files: Map<string, VolumeFile>,
  { items, optional }: Selection,
  data: ReadonlyMap<string, Buffer>,
  mode: number | undefined,
  what: string,
): void {
  if (!items?.length) for (const [key, content] of data) add(files, key, content, mode);
  for (const { key, path, mode: own } of items ?? []) {
    const content = data.get(key);
    if (content) add(files, path, content, own ?? mode);
    else if (!optional) throw new VolumeError(`references non-existent ${what}: ${key}`);
  }
}

function addDownward(
  files: Map<string, VolumeFile>,
  items: readonly DownwardFile[],
  mode: number | undefined,
  pod: Pod,
  node: NodeResources,
): void {
  for (const { path, fieldRef, resourceFieldRef, mode: own } of items) {
    const container = containersOf(pod).find(({ name }) => name === resourceFieldRef?.containerName);
    const value = fieldRef
      ? metadataField(pod, fieldRef.fieldPath)
      : container && resourceFieldRef && resourceValue(container, resourceFieldRef, node);
    if (value === undefined) {
      throw new VolumeError(`downward API item ${path}: ${fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? 'nothing'} has no value`);
    }
    add(files, path, Buffer.from(value), own ?? mode);
  }
}

/** Paths stay inside the volume, and beside the writer's own names, which begin with two dots. */
function add(files: Map<string, VolumeFile>, path: string, content: Buffer, mode = usualMode): void {
  const parts = path.split('/');
  if (path.startsWith('/') || path.startsWith('..') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new VolumeError(`path ${JSON.stringify(path)} must be relative, and must not contain or begin with '..'`);
  }
  files.set(path, { content, mode });
}
