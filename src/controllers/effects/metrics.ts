import { Counter, Gauge, Histogram, type Registry } from '../../runtime/metrics.ts';

/** The work queues' metrics, named as in kube-controller-manager. */
export interface QueueMetrics {
  readonly adds: Counter<'name'>;
  readonly retries: Counter<'name'>;
  /** Seconds from add to take. */
  readonly waited: Histogram<'name'>;
  /** Seconds from take to done. */
  readonly worked: Histogram<'name'>;
  readonly leading: Gauge<'name'>;
  /** From now on the queue's depth is asked for whenever metrics are collected. */
  observeDepth(name: string, depth: () => number): void;
}

const buckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

export function createQueueMetrics(registry: Registry): QueueMetrics {
  const depths = new Map<string, () => number>();
  const common = { labelNames: ['name'] as const, registers: [registry] };
  new Gauge({
    name: 'workqueue_depth',
    help: 'Keys waiting in a work queue',
    ...common,
    collect() {
      for (const [name, depth] of depths) this.set({ name }, depth());
    },
  });
  return {
    adds: new Counter({ name: 'workqueue_adds_total', help: 'Keys added to a work queue', ...common }),
    retries: new Counter({ name: 'workqueue_retries_total', help: 'Keys that failed and were added again', ...common }),
    waited: new Histogram({ name: 'workqueue_queue_duration_seconds', help: 'How long keys waited in a work queue', buckets, ...common }),
    worked: new Histogram({ name: 'workqueue_work_duration_seconds', help: 'How long a key was worked on', buckets, ...common }),
    leading: new Gauge({ name: 'leader_election_master_status', help: '1 while this process is the leader', ...common }),
    observeDepth: (name, depth) => void depths.set(name, depth),
  };
}
