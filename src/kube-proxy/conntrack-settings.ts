import type { ProxyOptions } from './options.ts';

/** What connection tracking is to be set to; nothing for what stays as it is. */
export interface ConntrackSettings {
  /** Least number of entries that the kernel may track (nf_conntrack_max); 0 leaves the limit alone. It is never lowered. */
  readonly most: number;
  /** Path below /proc/sys, value. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** The rules of kube-proxy: so many entries for each core, but not fewer than `min`; timeouts of zero are left alone. */
export function conntrackSettings({ conntrack }: Pick<ProxyOptions, 'conntrack'>, cores: number): ConntrackSettings {
  const timeouts: readonly (readonly [name: string, milliseconds: number])[] = [
    ['nf_conntrack_tcp_timeout_established', conntrack.tcpEstablishedTimeout],
    ['nf_conntrack_tcp_timeout_close_wait', conntrack.tcpCloseWaitTimeout],
    ['nf_conntrack_udp_timeout', conntrack.udpTimeout],
    ['nf_conntrack_udp_timeout_stream', conntrack.udpStreamTimeout],
  ];
  const set = (name: string, value: number): [string, string] => [`net/netfilter/${name}`, String(value)];
  return {
    most: conntrack.maxPerCore === 0 ? 0 : Math.max(conntrack.min, conntrack.maxPerCore * cores),
    sysctls: [
      ...timeouts.flatMap(([name, milliseconds]) => (milliseconds > 0 ? [set(name, Math.floor(milliseconds / 1_000))] : [])),
      ...(conntrack.tcpBeLiberal ? [set('nf_conntrack_tcp_be_liberal', 1)] : []),
    ],
  };
}
