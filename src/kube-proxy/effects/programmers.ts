import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { createIptables, type Iptables, IptablesError } from '../../kernel/iptables.ts';
import { createDirector } from '../../kernel/ipvs-director.ts';
import { createNft } from '../../kernel/nft.ts';
import type { Logger } from '../../runtime/log.ts';
import { ipvsProgrammer } from '../ipvs-programmer.ts';
import type { ProxyOptions } from '../options.ts';
import { type AnyProgrammer, iptablesProgrammer, nftablesProgrammer } from '../programmer.ts';
import { dummyLink, ipvsOwner, ipvsSysctls } from '../render/ipvs.ts';

export type Mode = ProxyOptions['mode'];

export interface ProgrammersSetting {
  /** The mode is to be removed, and this one stays. */
  readonly removal?: { readonly stays: Mode | undefined };
  /** Milliseconds of a clock that is never put back; the machine's by default. */
  readonly monotonic?: () => number;
}

/** The doors to the kernel for every family that is wanted and there. */
export function programmersOf(
  mode: Mode,
  options: ProxyOptions,
  runner: CommandRunner,
  log: Logger,
  { removal, monotonic = () => performance.now() }: ProgrammersSetting = {},
): AnyProgrammer[] {
  return options.families.flatMap((name) => {
    if (name === 'IPv6' && !existsSync('/proc/sys/net/ipv6')) {
      log.warn('this kernel has no IPv6: programming IPv4 only');
      return [];
    }
    const family = name === 'IPv4' ? 4 : 6;
    if (mode === 'nftables') return [nftablesProgrammer(createNft(runner, { standby: removal === undefined }), family, options)];
    const iptables = createIptables(runner, family, { variant: options.iptables, lockTimeout: options.lockTimeout });
    const door = explainMissing(iptables);
    if (mode === 'iptables') return [iptablesProgrammer(door, options)];
    const director = createDirector(runner, door, {
      link: dummyLink,
      ownsSet: ipvsOwner(family, options, false).ownsSet,
      sysctls: removal ? [] : ipvsSysctls(options),
      lenient: removal !== undefined,
    });
    return [
      ipvsProgrammer(director, family, options, { monotonic, kernelRelease: release(), keepsIptables: removal?.stays === 'iptables' }),
    ];
  });
}

/** Adds what to do to the errors of somebody who has just begun. */
function explainMissing(driver: Iptables): Iptables {
  return {
    ...driver,
    async read() {
      try {
        return await driver.read();
      } catch (error) {
        if (!(error instanceof IptablesError) || error.code !== 'not-permitted') throw error;
        throw new IptablesError(
          error.code,
          `${error.message.trim()} (the service proxy needs root, or CAP_NET_ADMIN and CAP_NET_RAW)`,
          undefined,
          error,
        );
      }
    },
  };
}
