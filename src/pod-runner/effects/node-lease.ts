import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import { type Lease, type Node, resources, toMicroTime } from '../../objects/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';

const namespace = 'kube-node-lease';

export interface NodeLeaseParts {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly durationSeconds: number;
  /** The Node object, once it is registered: the Lease belongs to it. */
  readonly node: () => Node | undefined;
}

export interface NodeLease {
  /** Monotonic time of the last renewal (ms). */
  readonly renewedAt: number | undefined;
  stop(): void;
}

/** Renews the Lease by which the node life cycle controller sees that the node is alive (KEP-589), every quarter of its duration. */
export function startNodeLease({ client, clock, log, nodeName, durationSeconds, node }: NodeLeaseParts): NodeLease {
  const period = (durationSeconds * 1_000) / 4;
  let known: Lease | undefined;
  let renewedAt: number | undefined;
  let stopped = false;
  let failures = 0;
  let cancelTimer: (() => void) | undefined;

  function wanted(): Lease {
    const owner = node();
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        ...known?.metadata,
        name: nodeName,
        namespace,
        ...(owner?.metadata.uid ? { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: owner.metadata.uid }] } : {}),
      },
      spec: { ...known?.spec, holderIdentity: nodeName, leaseDurationSeconds: durationSeconds, renewTime: toMicroTime(clock.now()) },
    };
  }

  async function renew(): Promise<void> {
    known ??= await client.get(resources.leases, nodeName, namespace).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    known = known ? await client.update(resources.leases, wanted()) : await client.create(resources.leases, wanted());
    renewedAt = clock.monotonic();
    failures = 0;
  }

  async function turn(): Promise<void> {
    try {
      await renew();
    } catch (error) {
      // Deleted, changed or made by somebody else: read it anew.
      if (isNotFound(error) || isConflict(error) || isAlreadyExists(error)) known = undefined;
      failures++;
      log[failures < 3 ? 'debug' : 'warn']({ err: error, failures }, 'the lease of the node could not be renewed, will retry');
    }
    if (!stopped)
      cancelTimer = clock.setTimer(failures === 0 ? period : Math.min(period, 200 * 2 ** Math.min(failures - 1, 10)), () => void turn());
  }

  void turn();
  return {
    get renewedAt() {
      return renewedAt;
    },
    stop() {
      stopped = true;
      cancelTimer?.();
    },
  };
}
