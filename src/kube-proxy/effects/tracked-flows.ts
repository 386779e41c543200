import type { CommandRunner } from '../../kernel/command-runner.ts';
import { createConntrack, isMissingTool } from '../../kernel/conntrack.ts';
import type { Logger } from '../../runtime/log.ts';
import type { UdpFlows } from '../family-loop.ts';

/** Connection tracking by the conntrack tool; without it a warning, once. */
export function trackedFlows(runner: CommandRunner, log: Logger): UdpFlows {
  const conntrack = createConntrack(runner);
  let isMissing = false;
  return {
    async list(family) {
      if (isMissing) return undefined;
      try {
        return await conntrack.listUdp(family);
      } catch (error) {
        if (!isMissingTool(error)) throw error;
        isMissing = true;
        log.warn('the conntrack tool is not installed: UDP clients may keep sending to endpoints that are gone');
        return undefined;
      }
    },
    delete: (family, groups) => conntrack.deleteUdp(family, groups),
  };
}
