import type { DrainingServers } from '../dataplane/ipvs-diff.ts';
import {
  diffDirector,
  type DirectorChange,
  directorAfter,
  type IpvsDirector,
  printDirectorChange,
  sizeOfDirectorChange,
} from '../dataplane/ipvs-director.ts';
import type { DirectorDoor } from '../kernel/ipvs-director.ts';
import type { Family } from '../net/index.ts';
import { walkIpvsOutcomes } from '../packet-walk/index.ts';
import type { NodeFacts } from './input.ts';
import type { ProxyModel } from './model.ts';
import type { ProxyOptions } from './options.ts';
import type { AnyProgrammer, Programmer } from './programmer.ts';
import { connReuseMode, createIpvsRenderer, dummyLink, emptyIpvs, ipvsOwner } from './render/ipvs.ts';

export interface IpvsProgrammerSetting {
  /** Milliseconds of a clock that is never put back. */
  monotonic(): number;
  /** As `uname -r` tells it. */
  readonly kernelRelease: string;
  /** This mode goes and mode iptables stays, with the chains that both have. */
  readonly keepsIptables: boolean;
}

/** By IPVS: virtual servers, sets, a dummy link, and the few rules that they need. */
export function ipvsProgrammer(
  door: DirectorDoor,
  family: Family,
  options: ProxyOptions,
  { monotonic, kernelRelease, keepsIptables }: IpvsProgrammerSetting,
): AnyProgrammer {
  const owner = ipvsOwner(family, options, keepsIptables);
  const render = createIpvsRenderer(options, connReuseMode(kernelRelease));
  const waiting = drainClock(options.ipvsGracefulPeriod, monotonic);
  /** Of the node's other links, when they were last read. */
  let ownAddresses: readonly string[] | undefined;
  const programmer: Programmer<IpvsDirector, DirectorChange> = {
    family,
    async read() {
      const { director, others } = await door.read();
      ownAddresses = others;
      return { ...director, draining: waiting(director.draining) };
    },
    render: (model: ProxyModel, node: NodeFacts) => render(model, node, ownAddresses ?? node.addresses.map(({ text }) => text)),
    diff: (actual, desired) => diffDirector(actual, desired, owner),
    apply: (change) => door.apply(change),
    after: directorAfter,
    size: sizeOfDirectorChange,
    count({ iptables, sets, servers }) {
      const counts = new Map<string, number>();
      for (const [table, chains] of iptables.tables) {
        let rules = 0;
        for (const [name, chain] of chains) if (owner.iptables.ownsChain(table, name)) rules += chain.rules.length;
        counts.set(table, rules);
      }
      counts.set('ipset', sets.size);
      counts.set('ipvs', servers.size);
      return counts;
    },
    print: (change) => printDirectorChange(change, dummyLink, family),
    lines: (change) =>
      printDirectorChange(change, dummyLink, family)
        .trimEnd()
        .split('\n')
        .filter((line) => !/^(#|\*|COMMIT)/.test(line)),
    walk: (director, packet, world) => walkIpvsOutcomes(director, packet, world),
    empty: emptyIpvs(family),
    close: () => door.close(),
  };
  return programmer as AnyProgrammer;
}

/** Marks those expired that have drained for longer than the period (ms), counting from when they were first seen to. */
function drainClock(period: number, monotonic: () => number): (draining: DrainingServers) => DrainingServers {
  let since = new Map<string, number>();
  return (draining) => {
    const now = monotonic();
    since = new Map([...draining.keys()].map((key) => [key, since.get(key) ?? now]));
    return new Map([...draining].map(([key, each]) => [key, now - since.get(key)! >= period ? { ...each, expired: true } : each]));
  };
}
