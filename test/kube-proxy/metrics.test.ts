import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createProxyMetrics } from '../../src/kube-proxy/metrics.ts';

test("carries kube-proxy's names; what a mode has not is not there", () => {
  const namesOf = (mode: 'iptables' | 'ipvs' | 'nftables'): string[] => {
    const registry = new Registry();
    createProxyMetrics(registry, mode);
    return registry.getMetricsAsArray().map(({ name }) => name);
  };
  expect(namesOf('iptables')).toEqual(
    expect.arrayContaining([
      'kubeproxy_sync_proxy_rules_duration_seconds',
      'kubeproxy_sync_full_proxy_rules_duration_seconds',
      'kubeproxy_sync_partial_proxy_rules_duration_seconds',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
      'kubeproxy_network_programming_duration_seconds',
      'kubeproxy_sync_proxy_rules_service_changes_total',
      'kubeproxy_sync_proxy_rules_service_changes_pending',
      'kubeproxy_sync_proxy_rules_endpoint_changes_total',
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
      'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
      'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
      'kubeproxy_sync_proxy_rules_iptables_total',
      'kubeproxy_sync_proxy_rules_iptables_last',
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
      'kubeproxy_conntrack_reconciler_deleted_entries_total',
      'kubeproxy_conntrack_reconciler_sync_duration_seconds',
      'kubeproxy_proxy_healthz_total',
      'kubeproxy_proxy_livez_total',
    ]),
  );
  expect(namesOf('nftables').filter((name) => name.endsWith('failures_total'))).toEqual([
    'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
  ]);
});

test('changes are pending until a turn has ended, and a turn without reading the kernel is a partial sync', async () => {
  const registry = new Registry();
  const metrics = createProxyMetrics(registry, 'nftables');
  const valueOf = async (name: string) => (await registry.getSingleMetric(`kubeproxy_${name}`)!.get()).values.at(-1)?.value;
  metrics.changed('services');
  metrics.changed('services');
  expect(await valueOf('sync_proxy_rules_service_changes_pending')).toBe(2);
  metrics.turn(4, 0.01, 1_000, false);
  expect(await valueOf('sync_proxy_rules_service_changes_pending')).toBe(0);
  expect(await valueOf('sync_partial_proxy_rules_duration_seconds')).toBe(1);
  expect(await valueOf('sync_full_proxy_rules_duration_seconds')).toBeUndefined();
});

test('what cannot be programmed is named by object and field, the first hundred of it', async () => {
  const registry = new Registry();
  const metrics = createProxyMetrics(registry, 'nftables');
  const problems = Array.from({ length: 103 }, (_, index) => ({
    object: `Service default/s${index}`,
    field: 'spec.externalIPs[0]',
    reason: 'why',
  }));
  metrics.unprogrammed(problems);
  const { values } = await registry.getSingleMetric('podwire_proxy_unprogrammed')!.get();
  expect(values[0]).toMatchObject({ value: 1, labels: { object: 'Service default/s0', field: 'spec.externalIPs[0]' } });
  expect(values.at(-1)).toMatchObject({ value: 3, labels: { object: 'others' } });
  metrics.unprogrammed([]);
  expect((await registry.getSingleMetric('podwire_proxy_unprogrammed')!.get()).values).toEqual([]);
});
