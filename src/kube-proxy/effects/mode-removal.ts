import type { CommandRunner } from '../../kernel/command-runner.ts';
import type { Logger } from '../../runtime/log.ts';
import { type ProxyOptions, type ProxyOptionsInput, resolveProxyOptions } from '../options.ts';
import { type Mode, programmersOf } from './programmers.ts';

/** Removes all that the proxy ever programs, in every mode and family; rules of others stay. Returns how many rules went. */
export async function cleanupProxy(input: ProxyOptionsInput, runner: CommandRunner, log: Logger): Promise<number> {
  const options = resolveProxyOptions(input);
  let removed = 0;
  for (const mode of modes) removed += await removeMode(mode, undefined, options, runner, log);
  return removed;
}

/** Mode ipvs first: it takes the chains that it has in common with iptables with it. */
const modes: readonly Mode[] = ['ipvs', 'iptables', 'nftables'];

/** Removes what other modes than that of the options have left; what cannot be removed is told in the log. */
export async function removeOtherModes(options: ProxyOptions, runner: CommandRunner, log: Logger): Promise<void> {
  // In mode ipvs each sync claims what mode iptables left, because some chains belong to both.
  for (const mode of modes.filter((each) => each !== options.mode && !(each === 'iptables' && options.mode === 'ipvs'))) {
    try {
      const removed = await removeMode(mode, options.mode, options, runner, log);
      if (removed > 0) log.info({ mode, rules: removed }, 'removed the rules of another mode');
    } catch (error) {
      log.warn({ err: error, mode }, 'cannot remove the rules of another mode; run podwire proxy --cleanup');
    }
  }
}

/** A tool that is not installed has programmed nothing. `stays` is the mode that is not removed. */
async function removeMode(mode: Mode, stays: Mode | undefined, options: ProxyOptions, runner: CommandRunner, log: Logger): Promise<number> {
  let removed = 0;
  // Who changes the mode may have changed the variant of iptables with it, and whether one or the other was used then nobody knows any more.
  const variants = mode === 'iptables' ? new Set([options.iptables, 'nft', 'legacy'] as const) : [options.iptables];
  for (const iptables of variants) {
    for (const programmer of programmersOf(mode, { ...options, iptables }, runner, log, { removal: { stays } })) {
      let actual: unknown;
      try {
        actual = await programmer.read();
      } catch (error) {
        // Nor has a variant that this kernel has not.
        if (iptables !== options.iptables || (error as { code?: unknown }).code === 'not-installed') continue;
        throw error;
      }
      const change = programmer.diff(actual, programmer.empty);
      if (change === undefined) continue;
      for (const count of programmer.count(actual).values()) removed += count;
      await programmer.apply(change);
    }
  }
  return removed;
}
