import type { ClusterCache } from '../../kube/cluster-cache.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { findCondition, type Node, resources } from '../../objects/client.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { type MachineFacts, type NodeIdentity, nodeLabels, nodeObject, nodeStatus, nodeStatusHolds } from '../render/node.ts';
import { newer } from '../render/status-patch.ts';

/** The status is written at least this often even when nothing changed (ms): kubelet's nodeStatusReportFrequency. The Lease tells of life. */
const reportInterval = 300_000;

export interface NodeRegistrationParts {
  readonly client: KubeClient;
  readonly cluster: ClusterCache;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly identity: NodeIdentity;
  readonly machine: MachineFacts;
  /** Why pods cannot be run now; undefined when they can. */
  readonly problem: () => string | undefined;
}

export interface NodeRegistration {
  /** The Node as last seen; undefined before it is registered. */
  readonly node: Node | undefined;
  readonly registered: boolean;
  /** `problem` may have changed. */
  poke(): void;
  stop(): void;
}

/** Registers the Node once, and from then on keeps its status true, also against others who write it. */
export function startNodeRegistration(parts: NodeRegistrationParts): NodeRegistration {
  const { client, clock, log, identity, machine, events } = parts;
  const nodes = parts.cluster.informer(resources.nodes, { fieldSelector: `metadata.name=${identity.name}` });
  let node: Node | undefined;
  let registered = false;
  let reportedAt = Number.NEGATIVE_INFINITY;
  let running = false;
  let again = false;
  let stopped = false;
  let failures = 0;
  let cancelTimer: (() => void) | undefined;
  const unsubscribe = nodes.onChange((before, after) => {
    if ((after ?? before)?.metadata.name !== identity.name) return;
    node = after && node ? newer(node, after) : after;
    poke();
  });

  /** Makes the Node, or puts our labels on the one that is there (kubelet's updateDefaultLabels). */
  async function register(): Promise<void> {
    try {
      node = await client.create(resources.nodes, nodeObject(identity, machine));
      log.info({ node: identity.name }, 'the node is registered');
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      node = await client.patch(resources.nodes, identity.name, undefined, 'merge', {
        metadata: { labels: nodeLabels(identity, machine) },
      });
    }
    registered = true;
    // Each process of a node says anew what it can do.
    reportedAt = Number.NEGATIVE_INFINITY;
    events.record({ regarding: node, type: 'Normal', reason: 'Starting', message: 'Starting the pod runner.' });
  }

  async function report(): Promise<void> {
    // A Node that somebody deleted stays away until the next start, as with kubelet.
    if (!node) return;
    const before = node.status;
    const wanted = nodeStatus(identity, machine, parts.problem(), before?.conditions ?? [], clock.now());
    if (nodeStatusHolds(before, wanted) && clock.monotonic() - reportedAt < reportInterval) return;
    const written = await client
      .patch(resources.nodes, identity.name, undefined, 'merge', { status: wanted }, 'status')
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    reportedAt = clock.monotonic();
    if (!written) return;
    node = written;
    const ready = findCondition(wanted.conditions, 'Ready')?.status;
    if (findCondition(before?.conditions, 'Ready')?.status === ready) return;
    const reason = ready === 'True' ? 'NodeReady' : 'NodeNotReady';
    events.record({ regarding: written, type: 'Normal', reason, message: `Node ${identity.name} status is now: ${reason}` });
  }

  async function turn(): Promise<void> {
    try {
      if (!registered) await register();
      await report();
      failures = 0;
    } catch (error) {
      failures++;
      log[failures < 4 ? 'debug' : 'warn']({ err: error, failures }, 'the node could not be written, will retry');
    }
  }

  function poke(): void {
    again = true;
    if (running || stopped || failures > 0) return;
    running = true;
    void loop();
  }

  async function loop(): Promise<void> {
    cancelTimer?.();
    while (again && failures === 0 && !stopped) {
      again = false;
      await turn();
    }
    running = false;
    if (stopped) return;
    const delay = failures > 0 ? backoffDelay(failures, { base: 100, cap: 1_000, random: Math.random }) : reportInterval;
    cancelTimer = clock.setTimer(delay, () => {
      again = true;
      running = true;
      void retry();
    });
  }

  async function retry(): Promise<void> {
    again = false;
    await turn();
    await loop();
  }

  poke();
  return {
    get node() {
      return node;
    },
    get registered() {
      return registered;
    },
    poke,
    stop() {
      stopped = true;
      unsubscribe();
      cancelTimer?.();
    },
  };
}
