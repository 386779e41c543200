import { existsSync, type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Pod } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { staticPod } from '../render/static-pod.ts';

/** Changes are heard at once; this is for folders that cannot be watched (ms): kubelet's fileCheckFrequency. */
const lookInterval = 20_000;
/** A manifest is written in pieces; it is read this long after the last change (ms). */
const settleTime = 20;
const longestManifest = 1024 * 1024;

/** Reads the manifests of a folder, and tells all of its pods by uid after each change. A broken manifest is logged and left out. */
export function watchManifests(
  folder: string,
  nodeName: string,
  { clock, log }: { clock: Clock; log: Logger },
  onPods: (pods: ReadonlyMap<string, Pod>) => void,
): { stop(): void } {
  let watcher: FSWatcher | undefined;
  let cancelTimer: (() => void) | undefined;
  let told: string | undefined;
  const problems = new Map<string, string>();

  function read(): void {
    const pods = new Map<string, Pod>();
    const names = existsSync(folder)
      ? readdirSync(folder).filter((name) => !name.startsWith('.') && !name.endsWith('~') && !name.endsWith('.tmp'))
      : [];
    for (const name of names.sort()) {
      const file = join(folder, name);
      try {
        const text = readFileSync(file, 'utf8');
        if (text.length > longestManifest) throw new RangeError(`${file} is longer than ${longestManifest} characters`);
        const pod = staticPod(parse(text, { maxAliasCount: 100 }), file, nodeName);
        pods.set(pod.metadata.uid!, pod);
        problems.delete(file);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (problems.get(file) !== message) log.error({ file }, `a static pod manifest cannot be used: ${message}`);
        problems.set(file, message);
      }
    }
    const now = [...pods.keys()].join();
    if (now === told) return;
    told = now;
    onPods(pods);
  }

  function look(): void {
    try {
      if (!watcher && existsSync(folder)) {
        watcher = watch(folder, () => later(settleTime));
        watcher.on('error', () => {
          watcher?.close();
          watcher = undefined;
        });
      }
      read();
    } catch (error) {
      log.error({ err: error, folder }, 'the folder of static pod manifests cannot be read');
    }
    later(lookInterval);
  }

  function later(delay: number): void {
    cancelTimer?.();
    cancelTimer = clock.setTimer(delay, look);
  }

  look();
  return {
    stop() {
      cancelTimer?.();
      watcher?.close();
    },
  };
}
