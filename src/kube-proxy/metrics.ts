import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Family } from '../net/index.ts';
import type { ProxyModel, ProxyProblem } from './model.ts';
import type { ProxyOptions } from './options.ts';

/** So many problems have a label of their own: a label for each of thousands would weigh on whoever gathers the metrics. */
const mostNamed = 100;

/** What a turn of one family's loop reports. */
export interface ProxyMetrics {
  queued(seconds: number): void;
  /** `isFull`: the kernel was read, and all of it compared. */
  turn(family: Family, seconds: number, finishedAt: number, isFull: boolean): void;
  /** `isPartial`: what was refused was a part of the rules, sent without having read the kernel. */
  restoreFailed(family: Family, isPartial: boolean): void;
  lockHeld(family: Family): void;
  /** `rules` by table, and the lines of the last change. */
  programmed(family: Family, rules: ReadonlyMap<string, number>, lines: number, model: ProxyModel): void;
  changed(resource: 'services' | 'endpoints'): void;
  /** Seconds from an endpoint's change, as the controller stamped it, to the kernel. */
  latency(family: Family, seconds: number): void;
  /** UDP flows to endpoints that are gone: so many were deleted, in so many seconds with finding them. */
  flowsCleaned(family: Family, count: number, seconds: number): void;
  /** An answer of the health server. */
  answered(path: '/healthz' | '/livez', code: number): void;
  /** What cannot be programmed now. */
  unprogrammed(problems: readonly ProxyProblem[]): void;
}

/** Registers kube-proxy's metrics, by its names. A failed sync of mode nftables has a counter of its own. */
export function createProxyMetrics(registry: Registry, mode: ProxyOptions['mode']): ProxyMetrics {
  const registers = [registry];
  const labelNames = ['ip_family'];
  const exponential = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
  const name = (suffix: string): string => `kubeproxy_${suffix}`;
  const duration = new Histogram({
    name: name('sync_proxy_rules_duration_seconds'),
    help: 'Time of one sync.',
    labelNames,
    buckets: exponential,
    registers,
  });
  const [full, partial] = (['full', 'partial'] as const).map(
    (kind) =>
      new Histogram({
        name: name(`sync_${kind}_proxy_rules_duration_seconds`),
        help: kind === 'full' ? 'Time of a sync that read the kernel.' : 'Time of a sync that did not.',
        labelNames,
        buckets: exponential,
        registers,
      }),
  );
  const last = new Gauge({
    name: name('sync_proxy_rules_last_timestamp_seconds'),
    help: 'When the rules were last in sync.',
    labelNames,
    registers,
  });
  const lastQueued = new Gauge({
    name: name('sync_proxy_rules_last_queued_timestamp_seconds'),
    help: 'When a sync was last asked for.',
    registers,
  });
  const counter = (suffix: string, help: string) => new Counter({ name: name(suffix), help, labelNames, registers });
  const failures =
    mode === 'nftables'
      ? counter('sync_proxy_rules_nftables_sync_failures_total', 'Transactions that nft refused.')
      : counter('sync_proxy_rules_iptables_restore_failures_total', 'Failed restores.');
  const partialFailures =
    mode === 'iptables'
      ? counter('sync_proxy_rules_iptables_partial_restore_failures_total', 'Failed restores of a part of the rules.')
      : undefined;
  const locks = new Counter({
    name: name('sync_proxy_rules_xtables_lock_timeouts_total'),
    help: 'Syncs given up because of the xtables lock.',
    labelNames,
    registers,
  });
  const perTable = ['ip_family', 'table'];
  const total = new Gauge({ name: name('sync_proxy_rules_iptables_total'), help: 'Rules in the kernel.', labelNames: perTable, registers });
  const restored = new Gauge({
    name: name('sync_proxy_rules_iptables_last'),
    help: 'Lines sent by the last sync that changed something.',
    labelNames,
    registers,
  });
  const services = new Counter({ name: name('sync_proxy_rules_service_changes_total'), help: 'Changes of services seen.', registers });
  const endpoints = new Counter({
    name: name('sync_proxy_rules_endpoint_changes_total'),
    help: 'Changes of endpoint slices seen.',
    registers,
  });
  const pending = (['service', 'endpoint'] as const).map(
    (what) =>
      new Gauge({
        name: name(`sync_proxy_rules_${what}_changes_pending`),
        help: `Changes of ${what}s seen since the last sync.`,
        registers,
      }),
  );
  const noLocal = new Gauge({
    name: name('sync_proxy_rules_no_local_endpoints_total'),
    help: 'Service ports with a policy Local and no local endpoint.',
    labelNames: ['ip_family', 'traffic_policy'],
    registers,
  });
  const programming = new Histogram({
    name: name('network_programming_duration_seconds'),
    help: 'From the change of an endpoint to the kernel.',
    labelNames,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 10, 15, 30, 60, 120, 300],
    registers,
  });
  const stale = counter('conntrack_reconciler_deleted_entries_total', 'Stale UDP flows deleted.');
  const reconciling = new Histogram({
    name: name('conntrack_reconciler_sync_duration_seconds'),
    help: 'Time to find and delete stale UDP flows.',
    labelNames,
    buckets: exponential,
    registers,
  });
  const answers = (['healthz', 'livez'] as const).map(
    (path) => new Counter({ name: name(`proxy_${path}_total`), help: `Answers to /${path}.`, labelNames: ['code'], registers }),
  );
  const unprogrammed = new Gauge({
    name: 'podwire_proxy_unprogrammed',
    help: 'Fields of Services and EndpointSlices that cannot be programmed; the first hundred by name, the others as object "others".',
    labelNames: ['object', 'field'],
    registers,
  });
  const label = (family: Family) => ({ ip_family: `IPv${family}` });
  return {
    queued: (seconds) => lastQueued.set(seconds),
    turn(family, seconds, finishedAt, isFull) {
      duration.observe(label(family), seconds);
      (isFull ? full : partial)!.observe(label(family), seconds);
      last.set(label(family), finishedAt);
      for (const gauge of pending) gauge.set(0);
    },
    restoreFailed(family, isPartial) {
      failures.inc(label(family));
      if (isPartial) partialFailures?.inc(label(family));
    },
    lockHeld: (family) => locks.inc(label(family)),
    programmed(family, rules, lines, { services: ports }) {
      for (const [table, count] of rules) total.set({ ...label(family), table }, count);
      restored.set(label(family), lines);
      let [internal, external] = [0, 0];
      for (const { internalPolicy, externalPolicy, hasEndpoints, localBackends } of ports) {
        if ((internalPolicy !== 'Local' && externalPolicy !== 'Local') || !hasEndpoints || localBackends.length > 0) continue;
        if (internalPolicy === 'Local') internal++;
        if (externalPolicy === 'Local') external++;
      }
      noLocal.set({ ...label(family), traffic_policy: 'internal' }, internal);
      noLocal.set({ ...label(family), traffic_policy: 'external' }, external);
    },
    changed(resource) {
      (resource === 'services' ? services : endpoints).inc();
      pending[resource === 'services' ? 0 : 1]!.inc();
    },
    latency: (family, seconds) => programming.observe(label(family), seconds),
    answered: (path, code) => answers[path === '/healthz' ? 0 : 1]!.inc({ code }),
    unprogrammed(problems) {
      unprogrammed.reset();
      // Both families may tell the same.
      const named = new Map(problems.map(({ object, field }) => [`${object} ${field}`, { object, field }]));
      for (const [index, labels] of [...named.values()].entries())
        unprogrammed.inc(index < mostNamed ? labels : { object: 'others', field: '' });
    },
    flowsCleaned(family, count, seconds) {
      stale.inc(label(family), count);
      reconciling.observe(label(family), seconds);
    },
  };
}
