import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import type { NetworkConfigList } from '../cni/conflist.ts';
import { loadConflist } from '../cni-invoker.ts';
import { networkNotReady } from '../render/node.ts';

/** For folders that cannot be watched (ms). */
const lookInterval = 5_000;

export interface NetworkConfig {
  readonly list: NetworkConfigList | undefined;
  /** Why there is none, in kubelet's words. */
  readonly problem: string | undefined;
  stop(): void;
}

/** Follows the first network configuration of a net.d folder, which is made when it is not there. `onChange` tells of changes after the first look. */
export function watchNetworkConfig(folder: string, { clock, log }: { clock: Clock; log: Logger }, onChange: () => void): NetworkConfig {
  let list: NetworkConfigList | undefined;
  let problem: string | undefined = networkNotReady;
  let watcher: FSWatcher | undefined;
  let cancelTimer: (() => void) | undefined;
  let opened = false;

  function look(): void {
    const before = JSON.stringify([list, problem]);
    try {
      list = loadConflist(folder);
      problem = list ? undefined : networkNotReady;
    } catch (error) {
      list = undefined;
      problem = `${networkNotReady}: ${error instanceof Error ? error.message : String(error)}`;
    }
    cancelTimer?.();
    cancelTimer = clock.setTimer(lookInterval, look);
    if (JSON.stringify([list, problem]) === before) return;
    if (list) log.info({ network: list.name, folder }, 'the pod network is configured');
    if (opened) onChange();
  }

  mkdirSync(folder, { recursive: true, mode: 0o755 });
  try {
    watcher = watch(folder, look);
    watcher.on('error', () => watcher?.close());
  } catch (error) {
    log.warn({ err: error, folder }, 'the folder of network configurations cannot be watched; it is looked at every 5 s');
  }
  look();
  opened = true;
  return {
    get list() {
      return list;
    },
    get problem() {
      return problem;
    },
    stop() {
      cancelTimer?.();
      watcher?.close();
    },
  };
}
