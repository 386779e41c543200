import { mkdirSync, rmSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Clock, sleep } from '../../../runtime/clock.ts';
import type { Logger } from '../../../runtime/log.ts';
import { PodRunnerError } from '../../errors.ts';
import type { ContainerRun } from '../../machine/types.ts';
import { largestLog, removeLogFiles, setLogAside } from '../log-file.ts';
import { podFiles, podUids, removePodFiles, writeNameFiles } from '../pod-files.ts';
import type { ContainerAccess, FoundPod, PodRef, Runtime, StartRequest } from '../runtime.ts';
import { createCriAccess } from './access.ts';
import { type CriClient, isNotFound, isTimeout } from './client.ts';
import { createImageStore } from './image-store.ts';
import { createInventory } from './inventory.ts';
import type { CriMethods } from './messages.ts';
import { failedStart, labelNames } from './observed.ts';
import { containerConfig, sandboxConfig } from './requests.ts';
import { createCriSandboxes } from './sandboxes.ts';

export interface CriRuntimeParts {
  readonly client: CriClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Folder for logs, volumes and the pods' own files. */
  readonly root: string;
  /** Whether the runtime can be used has changed. */
  readonly onProblem: () => void;
}

/** A runtime behind CRI, which may not be usable at times. */
export interface CriRuntime extends Runtime, ContainerAccess {
  /** Why no pod can be started now, in kubelet's words; undefined when one can. */
  readonly problem: string | undefined;
  /** `containerd://1.6.20`. */
  readonly version: string;
}

/** A runtime that is started beside the pod runner is given so long (ms). */
const startPatience = 10_000;
/** kubelet's exit code for a probe that took too long is none; shells' timeout(1) has this. */
const timedOut = 124;
/** Added to a container's grace: what the runtime may take to end it (ms). */
const stopPatience = 120_000;

/**
 * Pods and containers of a container runtime that speaks CRI (containerd, CRI-O). All that is known lies in the runtime; the pod runner adds
 * logs, volumes and name files below its own folder.
 * @throws CriError when the runtime does not answer within 10 s
 */
export async function openCriRuntime({ client, clock, log, root, onProblem }: CriRuntimeParts): Promise<CriRuntime> {
  const { runtimeName, runtimeVersion } = await firstAnswer(client, clock);
  const listeners = new Set<(uid: string) => void>();
  const tell = (uid: string): void => {
    for (const listener of listeners) listener(uid);
  };
  const sandboxes = createCriSandboxes(client, root);
  const images = createImageStore({ client, clock, onChange: tell });
  const inventory = createInventory({ client, clock, log, runtimeName, onChange: tell, onProblem, onLook: turnLogs });
  const turns = new Map<string, number>();
  const access = createCriAccess({
    client,
    clock,
    log,
    root,
    sandboxes,
    inventory,
    onChange,
    turns: (file) => turns.get(file) ?? 0,
  });

  function onChange(listener: (uid: string) => void): () => void {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Logs that have grown are set aside, as kubelet does: the runtime goes on in a new file. */
  function turnLogs(): void {
    for (const { uid } of inventory.pods()) {
      for (const [container, { id, run }] of inventory.containers(uid)) {
        if (id === undefined || run.phase !== 'running') continue;
        const file = podFiles(root, uid).log(container, run.attempt);
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= largestLog) continue;
        setLogAside(file);
        turns.set(file, (turns.get(file) ?? 0) + 1);
        client
          .call('ReopenContainerLog', { containerId: id })
          .catch((error: unknown) => log.warn({ err: error, container }, 'a log could not be opened again'));
      }
    }
  }

  async function remove(id: string): Promise<void> {
    await client.call('RemoveContainer', { containerId: id }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  /** The run before stays to be read, as with kubelet; older ones go, and what a runner that was killed has left of this one. */
  async function removeOlder({ sandbox, attempt, launch }: StartRequest): Promise<void> {
    const labelSelector = { [labelNames.podUid]: sandbox.pod.uid, [labelNames.container]: launch.container };
    const { containers } = await client.call('ListContainers', { filter: { labelSelector } });
    const old = containers.filter(({ metadata }) => metadata?.attempt !== attempt - 1);
    await Promise.all(old.map(({ id }) => remove(id)));
    if (attempt > 1) removeLogFiles(podFiles(root, sandbox.pod.uid).log(launch.container, attempt - 2));
  }

  async function start(request: StartRequest, starting: ContainerRun): Promise<void> {
    const { attempt, launch } = request;
    const { uid } = request.sandbox.pod;
    const files = podFiles(root, uid);
    const sandbox = await sandboxes.ready(request.sandbox);
    await removeOlder(request);
    const logFile = files.log(launch.container, attempt);
    mkdirSync(files.logsDir, { recursive: true, mode: 0o700 });
    rmSync(logFile, { force: true });
    const { containerId } = await client.call('CreateContainer', {
      podSandboxId: sandbox.id,
      config: containerConfig(request, writeNameFiles(files, request.files), basename(logFile)),
      sandboxConfig: sandboxConfig(request.sandbox, sandbox.attempt, files.logsDir),
    });
    inventory.put(uid, launch.container, { run: starting, id: containerId });
    await client.call('StartContainer', { containerId });
    await inventory.refresh(containerId);
  }

  return {
    images,
    ...access,
    version: `${runtimeName}://${runtimeVersion}`,
    get problem() {
      return inventory.problem;
    },
    async listPods() {
      await inventory.relist();
      const found: FoundPod[] = [];
      const known = new Map(podUids(root).map((uid): [string, PodRef] => [uid, { namespace: '', name: '', uid }]));
      for (const pod of inventory.pods()) known.set(pod.uid, pod);
      for (const ref of known.values()) {
        for (const [name, { id, run }] of inventory.containers(ref.uid)) {
          // A runner before this one was killed between making and starting it: it is made anew.
          if (run.phase !== 'starting' || id === undefined) continue;
          await remove(id);
          inventory.forgetRun(ref.uid, name);
        }
        found.push({
          ref,
          addresses: await sandboxes.addresses(ref.uid),
          runs: new Map([...inventory.containers(ref.uid)].map(([name, { run }]) => [name, run])),
          lasts: inventory.lasts(ref.uid),
        });
      }
      return found;
    },
    createSandbox: (request) => sandboxes.create(request),
    removeSandbox: ({ uid }) => sandboxes.stop(uid),
    async startContainer(request) {
      const { attempt, launch } = request;
      const { uid } = request.sandbox.pod;
      const starting: ContainerRun = { attempt, phase: 'starting', imageID: '' };
      inventory.put(uid, launch.container, { run: starting, id: undefined });
      try {
        await start(request, starting);
      } catch (error) {
        // It may have been removed since it was looked for.
        if (isNotFound(error)) images.forget(launch.image);
        const id = inventory.containers(uid).get(launch.container)?.id;
        const message = error instanceof Error ? error.message : String(error);
        const run = id === undefined ? starting : { ...starting, id: `${runtimeName}://${id}` };
        inventory.put(uid, launch.container, { id, run: failedStart(run, message, clock.now()) });
      }
    },
    stopContainer({ uid }, container, grace) {
      const known = inventory.containers(uid).get(container);
      if (!known?.id || known.run.phase === 'exited') return;
      const { id } = known;
      client
        .call('StopContainer', { containerId: id, timeout: Math.ceil(grace / 1_000) }, grace + stopPatience)
        .then(() => inventory.refresh(id))
        .catch((error: unknown) => {
          if (!isNotFound(error)) log.warn({ err: error, container }, 'a container could not be stopped');
        });
    },
    runs: (uid) => new Map([...inventory.containers(uid)].map(([name, { run }]) => [name, run])),
    async exec({ uid }, container, cmd, timeout) {
      const containerId = inventory.containers(uid).get(container)?.id;
      if (containerId === undefined) throw new PodRunnerError(`container ${container}`, 'is not there');
      try {
        const seconds = Math.max(1, Math.ceil(timeout / 1_000));
        const answer = await client.call('ExecSync', { containerId, cmd, timeout: seconds }, timeout + stopPatience);
        return { exitCode: answer.exitCode, output: Buffer.concat([answer.stdout, answer.stderr]).toString('utf8').slice(0, 10_000) };
      } catch (error) {
        // containerd gives the code DeadlineExceeded; older ones have it in the text alone.
        if (isTimeout(error) || (error instanceof Error && /timeout .* exceeded/.test(error.message)))
          return { exitCode: timedOut, output: `command timed out after ${timeout / 1_000}s` };
        throw error;
      }
    },
    async removePod({ uid }) {
      await sandboxes.remove(uid);
      inventory.forget(uid);
      const files = podFiles(root, uid);
      for (const file of turns.keys()) if (file.startsWith(`${files.dir}/`)) turns.delete(file);
      removePodFiles(files);
    },
    // What the runtime has of pods that are not known has been listed, and is removed as theirs.
    removeStrays: () => Promise.resolve(),
    onChange,
    close() {
      inventory.close();
      images.close();
      access.close();
      client.close();
      listeners.clear();
    },
  };
}

/** Name and version of the runtime, once it answers. */
async function firstAnswer(client: CriClient, clock: Clock): Promise<CriMethods['Version'][1]> {
  for (const end = clock.monotonic() + startPatience; ; await sleep(clock, 100)) {
    try {
      return await client.call('Version', {}, 2_000);
    } catch (error) {
      if (!(error instanceof PodRunnerError) && clock.monotonic() < end) continue;
      client.close();
      throw error;
    }
  }
}
