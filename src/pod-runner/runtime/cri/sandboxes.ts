import { mkdirSync } from 'node:fs';
import { PodRunnerError } from '../../errors.ts';
import { podFiles } from '../pod-files.ts';
import type { PodRef, SandboxRequest } from '../runtime.ts';
import { type CriClient, isNotFound } from './client.ts';
import type { SandboxItem, SandboxStatus } from './messages.ts';
import { addressesOf, labelNames } from './observed.ts';
import { sandboxConfig } from './requests.ts';

/** Pod sandboxes of a container runtime: what the containers of one pod have in common, its network above all. */
export interface CriSandboxes {
  /** Replaces what there is of the pod. Gives the addresses. @throws CriError, PodRunnerError */
  create(request: SandboxRequest): Promise<readonly string[]>;
  /** The sandbox in which containers can be made; one with the host's network is made when there is none. @throws PodRunnerError */
  ready(request: SandboxRequest): Promise<{ readonly id: string; readonly attempt: number }>;
  /** The addresses of a finished network. */
  addresses(uid: string): Promise<readonly string[] | undefined>;
  /** Path of the pod's network namespace. @throws PodRunnerError when it has none */
  netns(pod: PodRef): Promise<string>;
  /** Ends the network and the processes of the pod's sandboxes; what is known of its containers stays. */
  stop(uid: string): Promise<void>;
  /** Removes the pod's sandboxes with their containers. */
  remove(uid: string): Promise<void>;
}

/** kubelet gives RunPodSandbox twice the usual time (ms). */
const runTimeout = 240_000;

export function createCriSandboxes(client: CriClient, root: string): CriSandboxes {
  const making = new Map<string, Promise<unknown>>();

  /** The newest first. */
  async function list(uid: string): Promise<SandboxItem[]> {
    const { items } = await client.call('ListPodSandbox', { filter: { labelSelector: { [labelNames.podUid]: uid } } });
    return items.toSorted((a, b) => (b.metadata?.attempt ?? 0) - (a.metadata?.attempt ?? 0));
  }

  async function statusOf(id: string): Promise<SandboxStatus | null> {
    return (await client.call('PodSandboxStatus', { podSandboxId: id })).status;
  }

  async function readyOne(uid: string): Promise<SandboxItem | undefined> {
    return (await list(uid)).find(({ state }) => state === 'SANDBOX_READY');
  }

  async function drop(sandboxes: readonly SandboxItem[], methods: readonly ('StopPodSandbox' | 'RemovePodSandbox')[]): Promise<void> {
    for (const { id } of sandboxes) {
      for (const method of methods) {
        await client.call(method, { podSandboxId: id }).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
      }
    }
  }

  async function run(request: SandboxRequest): Promise<string> {
    const { uid } = request.pod;
    const before = await list(uid);
    await drop(before, ['StopPodSandbox', 'RemovePodSandbox']);
    const { logsDir } = podFiles(root, uid);
    mkdirSync(logsDir, { recursive: true, mode: 0o700 });
    const attempt = (before[0]?.metadata?.attempt ?? -1) + 1;
    try {
      const { podSandboxId } = await client.call('RunPodSandbox', { config: sandboxConfig(request, attempt, logsDir) }, runTimeout);
      return podSandboxId;
    } catch (error) {
      // The first failure is the one to tell. What cannot be undone now is undone before the next try.
      await list(uid)
        .then((left) => drop(left, ['StopPodSandbox', 'RemovePodSandbox']))
        .catch(() => undefined);
      throw error;
    }
  }

  /** One sandbox is made at a time for a pod. */
  async function inTurn<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const turn = (making.get(uid) ?? Promise.resolve()).then(work, work);
    making.set(uid, turn);
    try {
      return await turn;
    } finally {
      if (making.get(uid) === turn) making.delete(uid);
    }
  }

  return {
    create: (request) =>
      inTurn(request.pod.uid, async () => {
        const status = await statusOf(await run(request));
        const addresses = status && addressesOf(status);
        if (!addresses)
          throw new PodRunnerError(`pod ${request.pod.namespace}/${request.pod.name}`, 'the container runtime gave its sandbox no address');
        return addresses;
      }),
    ready: (request) =>
      inTurn(request.pod.uid, async () => {
        const found = await readyOne(request.pod.uid);
        if (found) return { id: found.id, attempt: found.metadata?.attempt ?? 0 };
        if (!request.sharing.hostNetwork)
          throw new PodRunnerError(`pod ${request.pod.namespace}/${request.pod.name}`, 'has no sandbox that is ready');
        const status = await statusOf(await run(request));
        if (!status) throw new PodRunnerError(`pod ${request.pod.namespace}/${request.pod.name}`, 'its sandbox is gone');
        return { id: status.id, attempt: status.metadata?.attempt ?? 0 };
      }),
    async addresses(uid) {
      const found = await readyOne(uid);
      const status = found && (await statusOf(found.id));
      return status ? addressesOf(status) : undefined;
    },
    async netns(pod) {
      const found = await readyOne(pod.uid);
      const answer = found && (await client.call('PodSandboxStatus', { podSandboxId: found.id, verbose: true }));
      const pid = answer && pidOf(answer.info['info']);
      if (pid === undefined) throw new PodRunnerError(`pod ${pod.namespace}/${pod.name}`, 'has no network');
      // Not by the runtime's own path, which may be in a mount namespace of its own.
      return `/proc/${pid}/ns/net`;
    },
    stop: async (uid) => drop(await list(uid), ['StopPodSandbox']),
    remove: async (uid) => drop(await list(uid), ['StopPodSandbox', 'RemovePodSandbox']),
  };
}

/** The process of a sandbox, out of what containerd and CRI-O tell when they are asked for everything. */
function pidOf(info: string | undefined): number | undefined {
  try {
    const { pid } = JSON.parse(info ?? '') as { readonly pid?: unknown };
    return typeof pid === 'number' && Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
