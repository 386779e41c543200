import type { CommandRunner } from '../../kernel/command-runner.ts';
import { readSysctl, writeSysctls } from '../../kernel/sysctl.ts';
import type { Logger } from '../../runtime/log.ts';
import type { ConntrackSettings } from '../conntrack-settings.ts';

const limit = 'net/netfilter/nf_conntrack_max';

/** Sets up connection tracking of the node. What the kernel refuses is told in the log and keeps nothing from starting. */
export async function configureConntrack({ most, sysctls }: ConntrackSettings, runner: CommandRunner, log: Logger): Promise<void> {
  const attempt = async (work: () => Promise<void>, what: string): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn({ err: error }, `${what} could not be set; set it on the machine, or say 0 to leave it alone`);
    }
  };
  await attempt(() => writeSysctls(runner, sysctls), 'timeouts of connection tracking');
  if (most === 0) return;
  await attempt(async () => {
    const current = Number(await readSysctl(runner, limit));
    // A limit of 0 is none at all.
    if (current !== 0 && current < most) await writeSysctls(runner, [[limit, String(most)]]);
  }, `a limit of ${most} tracked connections (conntrack.maxPerCore, conntrack.min)`);
}
