import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import type { KubeClient } from '../../kube/client.ts';
import { isNotFound } from '../../kube/errors.ts';
import { type KubeObject, type Pod, type Resource, resources } from '../../objects/client.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import type { Volumes } from '../machine/types.ts';
import { volumeFolder } from '../volumes/mounts.ts';
import { referencedNames } from '../volumes/references.ts';
import { renderVolume } from '../volumes/render.ts';
import type { NodeResources } from '../volumes/resource-value.ts';
import { type ConfigMapObject, type References, type SecretObject, type TokenSource, type Volume, volumesOf } from '../volumes/types.ts';
import { writeVolume } from './volume-writer.ts';

export interface PodVolumesParts {
  readonly client: Pick<KubeClient, 'get' | 'createSubresource'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Folder of the pod's volumes. */
  readonly dir: string;
  readonly resources: NodeResources;
  /** A static pod is not the API's: nothing of it is read from there. */
  readonly isStatic: boolean;
  /** The state, or what the pod refers to, has changed. */
  readonly onChange: () => void;
}

export interface PodVolumes {
  readonly state: Volumes;
  readonly references: References;
  /** The pod changed. */
  update(pod: Pod): void;
  stop(): void;
}

interface Token {
  readonly text: string;
  /** When another is to be asked for (ms since the epoch). */
  readonly renewAt: number;
}

/** How often ConfigMaps and Secrets are read again (ms). */
const refreshInterval = 10_000;
const usualLifetime = 3_600;
const longestWait = 24 * 60 * 60 * 1_000;

/**
 * Makes the volumes of one pod and keeps them up to date: ConfigMaps and Secrets that change, tokens before they expire (at 80% of their
 * life, or after a day, as kubelet). A failure is tried again, and what has been written once stays.
 */
export function startPodVolumes(first: Pod, parts: PodVolumesParts): PodVolumes {
  const { client, clock, log, dir } = parts;
  let pod = first;
  let state: Volumes = { phase: 'pending' };
  let failures = 0;
  let stopped = false;
  let running = false;
  let again = false;
  let cancel = (): void => {};
  const configMaps = new Map<string, ConfigMapObject>();
  const secrets = new Map<string, SecretObject>();
  const tokens = new Map<string, Token>();
  const references: References = {
    configMap: (name) => configMaps.get(name),
    secret: (name) => secrets.get(name),
    token: (volume, path) => tokens.get(`${volume}/${path}`)?.text,
  };
  const namespace = pod.metadata.namespace ?? 'default';
  const folderOf = (volume: string): string => volumeFolder(dir, volume);

  async function read<T extends KubeObject>(resource: Resource<T>, names: ReadonlySet<string>, known: Map<string, T>): Promise<boolean> {
    let changed = false;
    for (const name of names) {
      const found = await client.get(resource, name, namespace).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      changed ||= found?.metadata.resourceVersion !== known.get(name)?.metadata.resourceVersion;
      if (found) known.set(name, found);
      else known.delete(name);
    }
    return changed;
  }

  async function renewToken(volume: string, source: TokenSource): Promise<void> {
    const key = `${volume}/${source.path}`;
    if ((tokens.get(key)?.renewAt ?? 0) > clock.now()) return;
    const { name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName ?? 'default';
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: source.audience ? [source.audience] : [],
        expirationSeconds: source.expirationSeconds ?? usualLifetime,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
      },
    };
    const asked = clock.now();
    const answer = (await client.createSubresource(resources.serviceAccounts, account, namespace, 'token', request)) as {
      status?: { token?: string; expirationTimestamp?: string };
    };
    const { token, expirationTimestamp } = answer.status ?? {};
    if (!token || !expirationTimestamp) throw new Error(`the API server gave no token for service account ${account}`);
    const lifetime = Date.parse(expirationTimestamp) - asked;
    tokens.set(key, { text: token, renewAt: asked + Math.min(lifetime * 0.8, longestWait) });
  }

  /** One look at everything; whether it is to be looked at again, and when (ms). */
  async function turn(): Promise<number | undefined> {
    const volumes = volumesOf(pod);
    const names = referencedNames(pod);
    const reads = names.configMaps.size + names.secrets.size > 0 && !parts.isStatic;
    let changed = false;
    if (reads) {
      changed = await read(resources.configMaps as Resource<ConfigMapObject>, names.configMaps, configMaps);
      changed = (await read(resources.secrets as Resource<SecretObject>, names.secrets, secrets)) || changed;
    }
    let problem: string | undefined;
    for (const { volume, source } of parts.isStatic ? [] : names.tokens) {
      await renewToken(volume, source).catch((error: unknown) => {
        problem ??= `MountVolume.SetUp failed for volume "${volume}" : failed to fetch token: ${messageOf(error)}`;
      });
    }
    for (const volume of volumes) {
      if (stopped) return undefined;
      try {
        makeVolume(volume);
      } catch (error) {
        problem ??= `MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`;
      }
    }
    // Volumes that were there once stay as they are; what is wrong now is told, and mended when it can be.
    const next: Volumes = problem === undefined || state.phase === 'ready' ? { phase: 'ready' } : { phase: 'failed', message: problem };
    if (problem !== undefined && state.phase === 'ready')
      log.warn({ pod: pod.metadata.name, problem }, 'a volume could not be brought up to date');
    failures = problem === undefined ? 0 : failures + 1;
    settle(next, changed);
    if (problem !== undefined) return retryDelay(failures);
    const renewals = [...tokens.values()].map(({ renewAt }) => Math.max(0, renewAt - clock.now()));
    const waits = [...(reads ? [refreshInterval] : []), ...renewals];
    return waits.length > 0 ? Math.min(...waits) : undefined;
  }

  function makeVolume(volume: Volume): void {
    const files = renderVolume(volume, pod, references, parts.resources);
    if (files) writeVolume(folderOf(volume.name), files, new Date(clock.now()));
    else if (volume.hostPath) checkHostPath(volume.hostPath);
    else if (!existsSync(folderOf(volume.name))) {
      mkdirSync(folderOf(volume.name), { recursive: true });
      // Whoever runs in the pod may write.
      chmodSync(folderOf(volume.name), 0o777);
    }
  }

  function settle(next: Volumes, changed: boolean): void {
    const before = state;
    state = next;
    if (stopped) return;
    const same = before.phase === next.phase && (before.phase !== 'failed' || next.phase !== 'failed' || before.message === next.message);
    if (!same || changed) parts.onChange();
  }

  function look(): void {
    cancel();
    again = running;
    if (running || stopped) return;
    running = true;
    turn()
      .catch((error: unknown) => {
        failures++;
        if (state.phase !== 'ready') settle({ phase: 'failed', message: messageOf(error) }, false);
        return retryDelay(failures);
      })
      .then((wait) => {
        running = false;
        if (stopped) return;
        if (again) look();
        else if (wait !== undefined) cancel = clock.setTimer(wait, look);
      })
      .catch((error: unknown) => log.error({ err: error, pod: pod.metadata.name }, 'the volumes of a pod are no longer kept'));
  }

  if (volumesOf(pod).length === 0 && referencedNames(pod).configMaps.size + referencedNames(pod).secrets.size === 0)
    state = { phase: 'ready' };
  else look();
  return {
    get state() {
      return state;
    },
    references,
    update(next) {
      const { labels, annotations } = pod.metadata;
      pod = next;
      // Volumes show labels and annotations; nothing else of a pod in them can change.
      if (JSON.stringify([labels, annotations]) !== JSON.stringify([next.metadata.labels, next.metadata.annotations])) look();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const retryDelay = (failures: number): number => backoffDelay(failures, { base: 200, cap: 5_000, random: Math.random });

/** @throws Error when the path is not what the volume's type says (core/v1 HostPathVolumeSource). */
function checkHostPath({ path, type = '' }: NonNullable<Volume['hostPath']>): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (type === 'DirectoryOrCreate' && !stat) mkdirSync(path, { recursive: true, mode: 0o755 });
  else if (!stat) throw new Error(`hostPath ${path} is not there`);
  else if (type.startsWith('Directory') && !stat.isDirectory()) throw new Error(`hostPath type check failed: ${path} is not a directory`);
  else if (type.startsWith('File') && !stat.isFile()) throw new Error(`hostPath type check failed: ${path} is not a file`);
}
