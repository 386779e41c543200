import type { KindDeclaration } from '../objects/index.ts';
import { Counter, Gauge, Histogram, type Registry as Metrics } from '../runtime/metrics.ts';
import type { Store } from '../storage/index.ts';
import type { RequestInfo } from './request-info.ts';
import { qualifiedResource } from './status-errors.ts';
import type { WatchCache } from './watch-cache.ts';

export interface ServerMetrics {
  /** Call when a request to a resource begins; call what it returns when the answer is closed, with its code and how long it took (seconds). */
  began(info: RequestInfo): (code: number, seconds: number) => void;
}

/** Metrics under the reference's names and labels (kube-apiserver's /metrics). */
export function createServerMetrics(metrics: Metrics, kinds: readonly KindDeclaration[], store: Store, cache: WatchCache): ServerMetrics {
  const registers = [metrics];
  const labels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'] as const;
  const requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and HTTP code.',
    labelNames: [...labels, 'dry_run', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time from the request to its answer.',
    labelNames: [...labels, 'dry_run'],
    buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30],
    registers,
  });
  const longRunning = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches and other requests under way that last as long as they like.',
    labelNames: labels,
    registers,
  });
  gaugeOf(metrics, 'apiserver_storage_size_bytes', 'Bytes of the store on disk.', () => store.stats().bytes);
  gaugeOf(metrics, 'etcd_mvcc_db_total_size_in_bytes', 'Bytes of the store on disk.', () => store.stats().bytes);
  gaugeOf(metrics, 'etcd_mvcc_db_total_size_in_use_in_bytes', 'Bytes of the store that hold data.', () => store.stats().bytesInUse);
  gaugeOf(metrics, 'etcd_debugging_mvcc_current_revision', 'Revision of the last write.', () => store.revision());
  gaugeOf(metrics, 'etcd_debugging_mvcc_compact_revision', 'Revision up to which the history is forgotten.', () =>
    store.compactedRevision(),
  );
  gaugeOf(metrics, 'etcd_debugging_mvcc_keys_total', 'Keys in the store.', () => store.stats().keys);
  const stored = kinds.filter(({ storedAs }) => !storedAs);
  new Gauge({
    name: 'apiserver_storage_objects',
    help: 'Objects by resource.',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const kind of stored) this.set({ resource: qualifiedResource(kind.resource) }, cache.of(kind).size);
    },
  });
  new Gauge({
    name: 'apiserver_registered_watchers',
    help: 'Watchers by the kind that they watch.',
    labelNames: ['group', 'version', 'kind'],
    registers,
    collect() {
      for (const kind of stored) {
        const { group, version, kind: name } = kind.resource;
        this.set({ group, version, kind: name }, cache.of(kind).watcherCount);
      }
    },
  });
  return {
    began(info) {
      const common = labelsOf(info);
      const isLong = info.verb === 'watch';
      if (isLong) longRunning.inc(common);
      return (code, seconds) => {
        requests.inc({ ...common, dry_run: '', code: String(code) });
        if (isLong) longRunning.dec(common);
        else durations.observe({ ...common, dry_run: '' }, seconds);
      };
    },
  };
}

function labelsOf({ verb, kind, namespace, name, subresource }: RequestInfo) {
  const { group, version, plural: resource } = kind.resource;
  const scope = name ? 'resource' : namespace ? 'namespace' : 'cluster';
  return { verb: verbLabel[verb] ?? verb.toUpperCase(), group, version, resource, subresource, scope, component: 'apiserver' };
}

function gaugeOf(metrics: Metrics, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [metrics],
    collect() {
      this.set(read());
    },
  });
}

/** The reference counts by HTTP method, with list and watch told apart. */
const verbLabel: Readonly<Record<string, string>> = { create: 'POST', update: 'PUT' };
