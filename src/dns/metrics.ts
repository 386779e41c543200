import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Family } from '../net/index.ts';
import type { DnsTransport } from './answer.ts';
import { rcodeName, typeName } from './wire/index.ts';

/** Counts of one server. Counting a query touches plain maps only; the registry's counters are filled when they are read. */
export interface DnsTally {
  count(
    transport: DnsTransport,
    family: Family,
    type: number | undefined,
    rcode: number,
    from: 'zone' | 'upstream' | 'other',
    seconds: number,
  ): void;
  readonly total: number;
  readonly byRcode: Readonly<Record<string, number>>;
}

/**
 * Registers the figures under the names that dashboards for CoreDNS use: coredns_dns_requests_total, coredns_dns_responses_total,
 * coredns_dns_request_duration_seconds, coredns_forward_concurrent_requests, and the zone's serial.
 */
export function createTally(registry: Registry, server: string, zone: string, state: { pending(): number; serial(): number }): DnsTally {
  const requests = new Map<string, { labels: Record<string, string>; count: number }>();
  const responses = new Map<string, { labels: Record<string, string>; count: number }>();
  const byRcode: Record<string, number> = {};
  let total = 0;
  const bump = (map: typeof requests, labels: () => Record<string, string>, key: string): void => {
    const entry = map.get(key);
    if (entry) entry.count++;
    else map.set(key, { labels: labels(), count: 1 });
  };
  const counter = (name: string, help: string, labelNames: string[], map: typeof requests): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, count } of map.values()) this.inc(labels, count);
      },
    });
  };
  counter(
    'coredns_dns_requests_total',
    'Requests by zone, protocol, address family and type.',
    ['server', 'zone', 'view', 'proto', 'family', 'type'],
    requests,
  );
  counter('coredns_dns_responses_total', 'Responses by zone and response code.', ['server', 'zone', 'view', 'rcode', 'plugin'], responses);
  const duration = new Histogram({
    name: 'coredns_dns_request_duration_seconds',
    help: 'Time from a request to its response.',
    labelNames: ['server', 'zone', 'view'],
    buckets: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });
  const observers = new Map([zone, '.'].map((name) => [name, duration.labels({ server, zone: name, view: '' })]));
  new Gauge({
    name: 'coredns_forward_concurrent_requests',
    help: 'Requests waiting for an upstream.',
    registers: [registry],
    collect() {
      this.set(state.pending());
    },
  });
  new Gauge({
    name: 'podwire_dns_zone_serial',
    help: 'Serial of the zone now served; 0 before the first.',
    registers: [registry],
    collect() {
      this.set(state.serial());
    },
  });
  return {
    get total() {
      return total;
    },
    byRcode,
    count(transport, family, type, rcode, from, seconds) {
      total++;
      const code = rcodeName(rcode);
      byRcode[code] = (byRcode[code] ?? 0) + 1;
      const kind = type === undefined ? 'other' : typeName(type);
      const shown = from === 'zone' ? zone : '.';
      const plugin = from === 'zone' ? 'kubernetes' : from === 'upstream' ? 'forward' : '';
      bump(
        requests,
        () => ({ server, zone: shown, view: '', proto: transport, family: String(family === 4 ? 1 : 2), type: kind }),
        `${shown} ${transport} ${family} ${kind}`,
      );
      bump(responses, () => ({ server, zone: shown, view: '', rcode: code, plugin }), `${shown} ${code} ${plugin}`);
      observers.get(shown)!.observe(seconds);
    },
  };
}
