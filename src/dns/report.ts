/** What `lab status` and the control API show of a node's DNS server. Plain JSON. */
export interface DnsReport {
  /** The cluster domain. */
  readonly zone: string;
  /** False while the caches have not synced: every answer is SERVFAIL then. */
  readonly synced: boolean;
  /** Of the zone served now; 0 before the first. */
  readonly serial: number;
  readonly services: number;
  readonly names: number;
  readonly records: Readonly<Record<'A' | 'AAAA' | 'SRV' | 'PTR' | 'CNAME', number>>;
  readonly queries: { readonly total: number; readonly byRcode: Readonly<Record<string, number>> };
  /** `address:port`, each for UDP and TCP. */
  readonly listening: readonly string[];
  readonly tcpConnections: number;
  readonly upstreams: readonly { readonly server: string; readonly state: 'up' | 'down' | 'loop' }[];
}
