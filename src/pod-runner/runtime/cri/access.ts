import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../../../runtime/clock.ts';
import type { Logger } from '../../../runtime/log.ts';
import { PodRunnerError } from '../../errors.ts';
import type { Interaction } from '../interaction.ts';
import { podFiles } from '../pod-files.ts';
import { createPortConnector } from '../port-connector.ts';
import type { ContainerAccess, PodRef } from '../runtime.ts';
import type { CriClient } from './client.ts';
import type { Inventory } from './inventory.ts';
import type { CriSandboxes } from './sandboxes.ts';
import { openStreams } from './streams.ts';

export interface CriAccessParts {
  readonly client: CriClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly root: string;
  readonly sandboxes: CriSandboxes;
  readonly inventory: Inventory;
  readonly onChange: (listener: (uid: string) => void) => () => void;
  /** How often a log was set aside. */
  readonly turns: (file: string) => number;
}

/** exec, attach, logs and port-forward of a container runtime's containers. */
export function createCriAccess(parts: CriAccessParts): ContainerAccess & { close(): void } {
  const { client, clock, log, root, sandboxes, inventory, onChange } = parts;
  const connector = createPortConnector({ clock, log });

  function running({ uid }: PodRef, container: string): string {
    const known = inventory.containers(uid).get(container);
    if (known?.id === undefined || known.run.phase !== 'running') throw new PodRunnerError(`container ${container}`, 'is not running');
    return known.id;
  }

  return {
    async interact(pod, container, { command, stdin, tty, size }): Promise<Interaction> {
      const containerId = running(pod, container);
      const { url } = await client.call('Exec', { containerId, cmd: command, stdin, tty, stdout: true, stderr: !tty });
      const interaction = await openStreams(url, { stdin, tty }, clock);
      if (size) interaction.resize(size);
      return interaction;
    },
    async attach(pod, container) {
      const containerId = running(pod, container);
      const { tty, stdin } = await inputOf(client, containerId);
      const { url } = await client.call('Attach', { containerId, stdin, tty, stdout: true, stderr: !tty });
      return openStreams(url, { stdin, tty }, clock);
    },
    log({ uid }, container, attempt) {
      const file = podFiles(root, uid).log(container, attempt);
      const isRunning = (): boolean => {
        const run = inventory.containers(uid).get(container)?.run;
        return run?.attempt === attempt && run.phase !== 'exited';
      };
      return {
        file,
        turns: () => parts.turns(file),
        running: isRunning,
        // The runtime tells of an end when it has written all output.
        open: isRunning,
        subscribe(listener) {
          const unsubscribe = onChange((changed) => void (changed === uid && listener()));
          const watcher = watchFolder(podFiles(root, uid).logsDir, listener);
          return () => {
            unsubscribe();
            watcher?.close();
          };
        },
      };
    },
    connect: async (pod, hostNetwork, port) => connector.connect(hostNetwork ? undefined : await sandboxes.netns(pod), port),
    close: () => connector.close(),
  };
}

/** Whether a container was made with input and a terminal, which is nowhere but in what the runtime tells when it is asked for everything. */
async function inputOf(client: CriClient, containerId: string): Promise<{ readonly stdin: boolean; readonly tty: boolean }> {
  const { info } = await client.call('ContainerStatus', { containerId, verbose: true });
  try {
    const { config } = JSON.parse(info['info'] ?? '') as { readonly config?: { readonly stdin?: boolean; readonly tty?: boolean } };
    return { stdin: Boolean(config?.stdin), tty: Boolean(config?.tty) };
  } catch {
    return { stdin: false, tty: false };
  }
}

/** A log is looked at when something in its folder changes; one that cannot be watched, when its run does. */
function watchFolder(folder: string, listener: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, listener);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
