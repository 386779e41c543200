import type { Family } from '../net/index.ts';
import type { IpSetElements, IpSets } from './ipset.ts';
import { changedElements, diffIpSets, type IpSetOperation, printIpSetRestore } from './ipset-diff.ts';
import type { IptablesRuleset } from './iptables.ts';
import { applyIptables } from './iptables-apply.ts';
import { diffIptables, type IptablesChange, type IptablesOwner, printRestore } from './iptables-diff.ts';
import type { VirtualServer } from './ipvs.ts';
import { type BalancedServers, diffIpvs, drainingAfter, type IpvsOperation } from './ipvs-diff.ts';
import { printIpvsRestore } from './ipvs-print.ts';

/** A machine that balances by IPVS (a director, in the Linux Virtual Server's words): all that one family of it needs in the kernel. */
export interface IpvsDirector extends BalancedServers {
  readonly family: Family;
  readonly iptables: IptablesRuleset;
  readonly sets: IpSets;
  /** The dummy link that holds the services' addresses exists. */
  readonly hasLink: boolean;
  /** On the dummy link. */
  readonly addresses: IpSetElements;
  /** Kernel parameters by path below /proc/sys; of a desired state those that matter to it. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Seconds after which idle connections are forgotten: TCP, TCP after a FIN, UDP. 0 stands for whatever it is. */
  readonly timeouts: IpvsTimeouts;
}

export type IpvsTimeouts = readonly [tcp: number, tcpFin: number, udp: number];

/** What is to be done, tool by tool. */
export interface DirectorChange {
  /** Sets, rules, virtual servers and link go, rather than come. */
  readonly teardown: boolean;
  readonly sysctls: readonly (readonly [path: string, value: string])[];
  readonly timeouts: IpvsTimeouts | undefined;
  readonly sets: readonly IpSetOperation[];
  readonly iptables: IptablesChange | undefined;
  readonly servers: readonly IpvsOperation[];
  /** Of the link; those that take away are done first of all, those that add last. */
  readonly links: readonly DummyLinkOperation[];
}

export type DummyLinkOperation =
  | { readonly op: 'add-link' | 'delete-link' }
  | { readonly op: 'add-address' | 'delete-address'; readonly address: string };

/** What of a machine belongs to the one who calls {@link diffDirector}; all else is never touched. */
export interface DirectorOwner {
  readonly iptables: IptablesOwner;
  ownsSet(name: string): boolean;
  ownsServer(server: VirtualServer): boolean;
}

/** The smallest change that makes `desired` of `actual`; undefined when there is none. */
export function diffDirector(actual: IpvsDirector, desired: IpvsDirector, owner: DirectorOwner): DirectorChange | undefined {
  if (actual === desired) return undefined;
  const teardown = !desired.hasLink;
  const change: DirectorChange = {
    teardown,
    sysctls: [...desired.sysctls].filter(([path, value]) => actual.sysctls.get(path) !== value),
    timeouts: desired.timeouts.some((seconds, index) => seconds > 0 && seconds !== actual.timeouts[index]) ? desired.timeouts : undefined,
    sets: diffIpSets(actual.sets, desired.sets, owner.ownsSet),
    iptables: actual.iptables === desired.iptables ? undefined : diffIptables(actual.iptables, desired.iptables, owner.iptables),
    // Virtual servers have no names. Where there is no link, nobody of ours has been, and those that are there are somebody else's.
    servers: actual.hasLink || !teardown ? diffIpvs(actual, desired.servers, owner.ownsServer) : [],
    links: diffLink(actual, desired),
  };
  return sizeOfDirectorChange(change) === 0 ? undefined : change;
}

function diffLink(actual: IpvsDirector, desired: IpvsDirector): DummyLinkOperation[] {
  if (!desired.hasLink) return actual.hasLink ? [{ op: 'delete-link' }] : [];
  const { remove, add } = changedElements(actual.addresses, desired.addresses);
  return [
    ...(actual.hasLink ? [] : [{ op: 'add-link' } as const]),
    ...remove.map((address) => ({ op: 'delete-address', address }) as const),
    ...add.map((address) => ({ op: 'add-address', address }) as const),
  ];
}

/** What the machine holds once the change is done. */
export const directorAfter = (before: IpvsDirector, change: DirectorChange | undefined, desired: IpvsDirector): IpvsDirector => ({
  ...desired,
  iptables: change?.iptables ? applyIptables(before.iptables, change.iptables) : before.iptables,
  draining: change && change.servers.length > 0 ? drainingAfter(before.draining, change.servers) : before.draining,
});

export const sizeOfDirectorChange = ({ sysctls, timeouts, sets, iptables, servers, links }: DirectorChange): number =>
  sysctls.length +
  (timeouts ? 1 : 0) +
  sets.length +
  (iptables?.tables.reduce((sum, { operations }) => sum + operations.length, 0) ?? 0) +
  servers.length +
  links.length;

/** Lines of the input of `ip -batch`. */
export function printDummyLink(operations: readonly DummyLinkOperation[], family: Family, link: string): string[] {
  const length = family === 4 ? 32 : 128;
  return operations.map((operation) => {
    switch (operation.op) {
      case 'add-link':
        return `link add ${link} type dummy`;
      case 'delete-link':
        return `link delete ${link}`;
      case 'add-address':
        return `address add ${operation.address}/${length} dev ${link}${family === 6 ? ' nodad' : ''}`;
      case 'delete-address':
        return `address delete ${operation.address}/${length} dev ${link}`;
    }
  });
}

/** The whole change as text, each tool's input behind a line that names it. For a person, and for counting bytes. */
export function printDirectorChange(change: DirectorChange, link: string, family: Family): string {
  const { sysctls, timeouts, sets, iptables, servers, links } = change;
  const parts: [string, string][] = [
    ['sysctl -w', sysctls.map(([path, value]) => `${path}=${value}\n`).join('')],
    ['ipvsadm --set', timeouts ? `${timeouts.join(' ')}\n` : ''],
    ['ipset restore', printIpSetRestore(sets)],
    [`${family === 4 ? 'iptables' : 'ip6tables'}-restore --noflush`, iptables ? printRestore(iptables) : ''],
    ['ipvsadm -R', printIpvsRestore(servers)],
    [
      'ip -batch',
      printDummyLink(links, family, link)
        .map((line) => `${line}\n`)
        .join(''),
    ],
  ];
  return parts.map(([tool, text]) => (text === '' ? '' : `# ${tool}\n${text}`)).join('');
}
