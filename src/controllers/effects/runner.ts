import { isConflict, isNotFound } from '../../kube/errors.ts';
import { type KubeObject, objectKey } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { createWorkQueue } from '../../runtime/work-queue.ts';
import type { Action } from '../action.ts';
import type { Controller, Failure } from '../controller.ts';
import { ActionError, NotYet } from './execute.ts';
import type { QueueMetrics } from './metrics.ts';
import type { LiveView } from './view.ts';

export interface RunnerParts {
  readonly view: LiveView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: QueueMetrics;
  readonly random: () => number;
  /** Carries out the actions of one controller. */
  run(actions: readonly Action[]): Promise<void>;
}

export interface RunningController {
  /** Takes no more keys and waits for those in hand. */
  stop(): Promise<void>;
}

/** First and longest delay before a key that failed is tried again (ms). */
const backoff = { base: 5, cap: 60_000 };
/** One controller computes at most this long (ms) before others get their turn. */
const timeSlice = 8;
/** Failures of a key before they are logged as a warning: the first are mostly other writers who were faster. */
const quietFailures = 3;

/** Runs one controller: changes become keys, keys become actions, actions are carried out, what fails comes again later. */
export function startController(controller: Controller, parts: RunnerParts): RunningController {
  const { view, clock, metrics } = parts;
  const log = parts.log.child({ controller: controller.name });
  const labels = { name: controller.name };
  const failed = new Map<string, Failure>();
  const inHand = new Set<Promise<void>>();
  let scheduled = false;
  let stopped = false;

  const queue = createWorkQueue({
    clock,
    random: parts.random,
    backoff,
    onReady: schedule,
    onAdd: () => metrics.adds.inc(labels),
  });
  metrics.observeDepth(controller.name, () => queue.depth);

  // The next turn of the event loop, so that a burst of changes is looked at once.
  function schedule(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    setImmediate(pump);
  }

  function pump(): void {
    scheduled = false;
    const start = clock.monotonic();
    while (!stopped && inHand.size < controller.workers) {
      if (clock.monotonic() - start > timeSlice) return schedule();
      const taken = queue.take();
      if (!taken) return;
      metrics.waited.observe(labels, (clock.monotonic() - taken.since) / 1_000);
      process(taken.key);
    }
  }

  function process(key: string): void {
    const start = clock.monotonic();
    const finish = (error?: unknown): void => {
      metrics.worked.observe(labels, (clock.monotonic() - start) / 1_000);
      if (error === undefined) succeed(key);
      else fail(key, error);
      queue.done(key);
      if (queue.depth > 0) schedule();
    };
    try {
      const { actions, requeueAfter } = controller.reconcile(key, view, failed.get(key));
      if (requeueAfter !== undefined) queue.addAfter(key, requeueAfter);
      if (actions.length === 0) return finish();
      log.trace({ key, actions: actions.map((action) => action.do) }, 'acting');
      const work: Promise<void> = parts
        .run(actions)
        .then(() => finish(), finish)
        .finally(() => {
          inHand.delete(work);
          schedule();
        });
      inHand.add(work);
    } catch (error) {
      finish(error);
    }
  }

  function succeed(key: string): void {
    queue.forget(key);
    // What the failure made the controller say is taken back by a turn without it.
    if (failed.delete(key)) queue.add(key);
  }

  function fail(key: string, error: unknown): void {
    queue.retry(key);
    if (error instanceof NotYet) return;
    metrics.retries.inc(labels);
    const action = error instanceof ActionError ? error.action : undefined;
    const cause = error instanceof ActionError ? error.cause : error;
    failed.set(key, { message: error instanceof Error ? error.message : String(error), action });
    const level = queue.failures(key) > quietFailures ? 'warn' : isConflict(cause) || isNotFound(cause) ? 'debug' : 'info';
    log[level]({ key, action, err: cause, failures: queue.failures(key) }, 'could not reconcile, will retry');
  }

  const unsubscribe = controller.watches.map(({ resource, keys }) => {
    const listener = (before: KubeObject | undefined, after: KubeObject | undefined): void => {
      try {
        for (const key of keys(before, after, view)) queue.add(key);
      } catch (error) {
        log.error(
          { err: error, object: objectKey((after ?? before)!), resource: resource.plural },
          'could not tell what a change concerns',
        );
      }
    };
    for (const object of view.list(resource)) listener(undefined, object);
    return view.onChange(resource, listener);
  });
  return {
    async stop() {
      stopped = true;
      for (const cancel of unsubscribe) cancel();
      queue.close();
      await Promise.all(inHand);
    },
  };
}
