import { Counter, Gauge, Histogram, type Registry as Metrics } from '../runtime/metrics.ts';
import type { KindDeclaration } from '../objects/index.ts';
import type { Store } from '../storage/index.ts';
import type { RequestInfo } from './request-info.ts';
import type { WatchCache } from './watch-cache.ts';
import { qualifiedResource } from './status-errors.ts';

export interface ServerMetrics {
  /** Call when a request to a resource is answered. `seconds` undefined for watches, which last as long as they like. */
  observe(info: RequestInfo, code: number, seconds: number | undefined): void;
}

/** Metrics under the reference's names (kube-apiserver's /metrics). */
export function createServerMetrics(
  metrics: Metrics,
  kinds: readonly KindDeclaration[],
  store: Store,
  cache: WatchCache,
  watches: { readonly size: number },
): ServerMetrics {
  const registers = [metrics];
  const labels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'] as const;
  const requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and HTTP code.',
    labelNames: [...labels, 'component', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time from the request to its answer.',
    labelNames: [...labels, 'component'],
    buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30],
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('apiserver_longrunning_requests', 'Watches under way.', () => watches.size);
  gauge('apiserver_storage_size_bytes', 'Bytes of the store on disk.', () => store.stats().bytes);
  gauge('etcd_mvcc_db_total_size_in_bytes', 'Bytes of the store on disk.', () => store.stats().bytes);
  gauge('etcd_mvcc_db_total_size_in_use_in_bytes', 'Bytes of the store that hold data.', () => store.stats().bytesInUse);
  gauge('etcd_debugging_mvcc_current_revision', 'Revision of the last write.', () => store.revision());
  gauge('etcd_debugging_mvcc_compact_revision', 'Revision up to which the history is forgotten.', () => store.compactedRevision());
  gauge('etcd_debugging_mvcc_keys_total', 'Keys in the store.', () => store.stats().keys);
  new Gauge({
    name: 'apiserver_storage_objects',
    help: 'Objects by resource.',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const kind of kinds) this.set({ resource: qualifiedResource(kind.resource) }, cache.of(kind).size);
    },
  });
  return {
    observe({ verb, kind, namespace, name, subresource }, code, seconds) {
      const { group, version, plural } = kind.resource;
      const scope = name ? 'resource' : namespace ? 'namespace' : 'cluster';
      const common = {
        verb: verbLabel[verb] ?? verb.toUpperCase(),
        group,
        version,
        resource: plural,
        subresource,
        scope,
        component: 'apiserver',
      };
      requests.inc({ ...common, code: String(code) });
      if (seconds !== undefined) durations.observe(common, seconds);
    },
  };
}

/** The reference counts by HTTP method, with list and watch told apart. */
const verbLabel: Readonly<Record<string, string>> = { create: 'POST', update: 'PUT' };
