import { splitDraining } from '../dataplane/ipvs-diff.ts';
import type { IptablesChange } from '../dataplane/iptables-diff.ts';
import { type DirectorChange, type IpvsDirector, printDirectorChange } from '../dataplane/ipvs-director.ts';
import { realServerKey, virtualServerKey } from '../dataplane/ipvs.ts';
import { parseAddress } from '../net/index.ts';
import type { CommandRunner } from './command-runner.ts';
import { createDummyLink } from './dummy-link.ts';
import { createIpSets } from './ipset.ts';
import type { Iptables } from './iptables.ts';
import { createIpvs } from './ipvs.ts';
import { IpvsError, missingModule } from './ipvs-error.ts';
import { writeSysctls } from './sysctl.ts';

/** All that one family of IPVS needs in the kernel of this network namespace. */
export interface DirectorDoor {
  /**
   * What the kernel holds: of sets those the settings want, virtual servers of the family. `others` are the addresses of all other links.
   * @throws IpvsError, IptablesError
   */
  read(): Promise<{ director: IpvsDirector; others: readonly string[] }>;
  /** Each tool once, and only those that have something to do. Returns the bytes sent. @throws IpvsError, IptablesError */
  apply(change: DirectorChange): Promise<number>;
  /** Ends what is kept running. */
  close(): void;
}

export interface DirectorSettings {
  /** Name of the dummy link. */
  readonly link: string;
  ownsSet(name: string): boolean;
  /** Paths of the kernel parameters to read. */
  readonly sysctls: readonly string[];
  /** What the machine has no tool or module for counts as empty: for removing what may never have been there. */
  readonly lenient: boolean;
}

export function createDirector(runner: CommandRunner, iptables: Iptables, settings: DirectorSettings): DirectorDoor {
  const { family } = iptables;
  const { link, lenient } = settings;
  const ipvs = createIpvs(runner);
  const sets = createIpSets(runner, { standby: !lenient });
  const dummy = createDummyLink(runner, family, link);
  const orElse = async <T>(read: Promise<T>, nothing: T): Promise<T> => {
    try {
      return await read;
    } catch (error) {
      const code = error instanceof IpvsError ? error.code : (error as { reason?: unknown }).reason;
      if (lenient && (code === 'not-installed' || code === 'no-kernel-support' || code === 'not-permitted')) return nothing;
      throw error;
    }
  };
  return {
    async read() {
      const state = await orElse(dummy.read(), { hasLink: false, addresses: new Map<string, true>(), others: [] });
      // Virtual servers of a machine without the link are not looked at for removing.
      const looksAtServers = !lenient || state.hasLink;
      // Asking ipvsadm first loads ip_vs, without which its parameters are not there.
      const servers = looksAtServers ? await orElse(ipvs.read(), new Map()) : new Map();
      const ofFamily = new Map([...servers].filter(([, { address }]) => parseAddress(address).family === family));
      const mayDrain = [...ofFamily.values()].some(({ reals }) => [...reals.values()].some(({ weight }) => weight === 0));
      const [rules, own, connections, sysctls, timeouts] = await Promise.all([
        iptables.read(),
        orElse(sets.read(settings.ownsSet), new Map()),
        mayDrain ? ipvs.connections() : undefined,
        readSysctls(runner, settings.sysctls),
        looksAtServers ? orElse(ipvs.timeouts(), [0, 0, 0] as const) : ([0, 0, 0] as const),
      ]);
      const balanced = splitDraining(ofFamily, (each) => {
        const left = connections?.get(virtualServerKey(each.server))?.get(realServerKey(each.real));
        return left === undefined ? each : { ...each, connections: left };
      });
      const { hasLink, addresses, others } = state;
      return { director: { family, iptables: rules, sets: own, ...balanced, hasLink, addresses, sysctls, timeouts }, others };
    },
    async apply(change) {
      const { teardown, sysctls, timeouts, servers, links } = change;
      const first = links.filter(({ op }) => op.startsWith('delete'));
      const last = links.filter(({ op }) => op.startsWith('add'));
      // An address goes before what answers at it, and comes after it: in between nothing of the host is reached by it.
      if (first.length > 0) await dummy.apply(first);
      await writeSysctls(runner, sysctls);
      if (timeouts) await ipvs.setTimeouts(timeouts);
      // The kernel keeps sets that rules refer to, and refuses rules that refer to no set.
      const steps = [
        () => sets.apply(change.sets),
        async () => void (change.iptables && (await applyRules(iptables, change.iptables))),
        () => ipvs.apply(servers),
      ];
      for (const step of teardown ? steps.reverse() : steps) await step();
      if (last.length > 0) await dummy.apply(last);
      return Buffer.byteLength(printDirectorChange(change, link, family));
    },
    close: sets.close,
  };
}

async function applyRules(iptables: Iptables, change: IptablesChange): Promise<void> {
  try {
    await iptables.apply(change);
  } catch (error) {
    if (/xt_set|extension set\b|match [`']set'/i.test((error as Error).message))
      throw missingModule('xt_set', 'rules that ask sets', error);
    throw error;
  }
}

/** The values of the parameters that this kernel has, with one process. */
async function readSysctls(runner: CommandRunner, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (paths.length === 0) return new Map();
  const root = '/proc/sys/';
  const { stdout } = await runner.run('grep', ['-sH', '', ...paths.map((path) => root + path)], { acceptExitCodes: [1, 2] });
  return new Map(
    stdout.split('\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(root.length, colon), line.slice(colon + 1)]] : [];
    }),
  );
}
