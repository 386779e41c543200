import { checkOverlaps, NodeCidrError } from '../ipam/index.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import { createEventRecorder } from '../kube/events.ts';
import { isGone, readIdentity, renderIdentity } from '../kube/holder-identity.ts';
import { type LeaderElection, startLeaderElection } from '../kube/lease.ts';
import { resources } from '../objects/client.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { trackContact } from './effects/contact.ts';
import { createExecutor } from './effects/execute.ts';
import { createQueueMetrics } from './effects/metrics.ts';
import { type RunningController, startController } from './effects/runner.ts';
import { createTokenSigner } from './effects/token-signer.ts';
import { createLiveView, type LiveView } from './effects/view.ts';
import { nodeAddressRanges, nodeCidrRanges } from './nodes/cidrs.ts';
import { allControllers, type CheckedOptions, ControllersError, type ControllersOptions, controllersOptions } from './index.ts';

export interface ControllersDeps {
  readonly client: KubeClient;
  readonly cluster: ClusterCache;
  /** In [0, 1), for the jitter of retries. */
  readonly random?: () => number;
}

/** How often nodes that stand against the configured ranges are looked at again (ms). */
const recheckInterval = 5_000;

/**
 * Runs all controllers and the scheduler, while this process is the leader (or always, without leader election). Watches from the start, so that
 * a take-over acts at once. Resolves once it watches; readiness tells when the caches have synced.
 * @throws ControllersError for options that do not fit, and when ranges overlap each other or what nodes have already.
 */
export async function startControllers(
  given: Partial<ControllersOptions>,
  { client, cluster, random = Math.random }: ControllersDeps,
  context: DaemonContext,
): Promise<Daemon> {
  const options = controllersOptions(given);
  const sign = options.serviceAccountPrivateKey ? createTokenSigner(options.serviceAccountPrivateKey) : undefined;
  const { clock, health } = context;
  const log = context.log.child({ component: 'controllers' });
  const metrics = createQueueMetrics(context.metrics);
  const contact = trackContact(options, clock.monotonic);
  const view = createLiveView({ cluster, clock, inTouchSince: contact.since });
  const recorders = new Map<string, ReturnType<typeof createEventRecorder>>();
  const recorderFor = (component: string) => {
    const recorder = recorders.get(component) ?? createEventRecorder({ client, clock, log, component });
    recorders.set(component, recorder);
    return recorder;
  };

  let term = 0;
  let running: RunningController[] = [];
  let stopped = false;
  let problem: string | undefined;

  const failedToStart = (error: unknown): void => log.error({ err: error }, 'the controllers could not start');

  async function begin(): Promise<void> {
    const own = ++term;
    // A process that stood still must not finish what it began before it notices that another leads.
    const active = (): boolean => own === term && !stopped && contact.isFresh();
    await view.whenSynced();
    if (!active()) return;
    problem = overlapWithNodes(options, view);
    if (problem !== undefined) {
      log.fatal({ problem }, 'the controllers do not act');
      return void clock.setTimer(recheckInterval, () => void (active() && begin().catch(failedToStart)));
    }
    running = allControllers(options, sign).map((controller) => {
      const { run } = createExecutor({ client, view, events: recorderFor(controller.component), active });
      return startController(controller, { view, clock, log, metrics, random, run });
    });
    log.info({ controllers: running.length }, 'controllers started');
  }

  async function end(): Promise<void> {
    term++;
    const ending = running;
    running = [];
    await Promise.all(ending.map((controller) => controller.stop()));
  }

  // A problem with the nodes that are known at the start is told to whoever starts us; without an answer from the API server it shows in readiness.
  if (view.synced) {
    const found = overlapWithNodes(options, view);
    if (found !== undefined) {
      view.stop();
      throw new ControllersError('overlap', found);
    }
  }
  let election: LeaderElection | undefined;
  if (options.leaderElect) {
    const self = readIdentity();
    election = startLeaderElection(
      {
        ...options,
        namespace: 'kube-system',
        name: 'podwire-controllers',
        identity: renderIdentity(self),
        isGone: (holder) => isGone(holder, self),
      },
      {
        client,
        clock,
        log,
        onRenewed: contact.renewed,
        onStartedLeading() {
          metrics.leading.set({ name: 'podwire-controllers' }, 1);
          begin().catch(failedToStart);
        },
        onStoppedLeading() {
          metrics.leading.set({ name: 'podwire-controllers' }, 0);
          return end();
        },
      },
    );
  } else {
    begin().catch(failedToStart);
  }

  health.addReady('informer-sync', () => (view.synced ? undefined : `the watch caches have not synced yet: ${view.unsynced.join(', ')}`));
  health.addReady('address-ranges', () => problem);
  return {
    async stop() {
      if (election) await election.stop();
      stopped = true;
      await end();
      await Promise.all([...recorders.values()].map((recorder) => recorder.flush()));
      view.stop();
    },
  };
}

/** What of the nodes as they are stands against the ranges, naming both sides. */
function overlapWithNodes({ ranges }: CheckedOptions, view: LiveView): string | undefined {
  const nodes = view.list(resources.nodes);
  const clusters = ranges.clusterCidrs.map(({ prefix }) => ({ name: 'cluster CIDR', prefix }));
  const services = ranges.serviceCidrs.map((prefix) => ({ name: 'service CIDR', prefix }));
  try {
    for (const range of nodeAddressRanges(nodes)) checkOverlaps([...clusters, ...services, range]);
    for (const range of nodeCidrRanges(nodes)) checkOverlaps([...services, range]);
    return undefined;
  } catch (error) {
    if (error instanceof NodeCidrError) return error.message;
    throw error;
  }
}
