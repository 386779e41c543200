import { type Lease, resources, toMicroTime } from '../objects/client.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Logger } from '../runtime/log.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';

export interface LeaderElectionOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process. */
  readonly identity: string;
  /** Others may take over this long after the last renewal they saw (ms). */
  readonly leaseDuration: number;
  /** The leader gives up when it could not renew for this long (ms). Less than leaseDuration. */
  readonly renewDeadline: number;
  /** Between two tries (ms). Less than renewDeadline. */
  readonly retryPeriod: number;
  /** True when the holder is certainly dead, so that nobody need wait for its lease to run out. */
  readonly isGone?: (holder: string) => boolean;
}

export interface LeaderElection {
  readonly leading: boolean;
  /** Who holds the lease, as far as known. */
  readonly holder: string | undefined;
  /** Stops; a leader gives the lease back, so that another takes over at once. */
  stop(): Promise<void>;
}

export interface LeaderElectionParts {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after every acquisition and renewal that the API server acknowledged. */
  onRenewed?(): void;
  /** Called when leadership begins. */
  onStartedLeading(): void;
  /** Called when it ends, for whatever reason; the election goes on. Awaited before the lease is given back. */
  onStoppedLeading(): Promise<void> | void;
}

/**
 * Leader election by a coordination.k8s.io/v1 Lease, compatible with client-go's: a candidate judges another's lease by when it itself saw it
 * change, never by comparing clocks, and every write is guarded by the resourceVersion it was decided on.
 */
export function startLeaderElection(options: LeaderElectionOptions, parts: LeaderElectionParts): LeaderElection {
  const { clock, log } = parts;
  const abort = new AbortController();
  let leading = false;
  let seen: { lease: Lease; at: number } | undefined;
  /** By the monotonic clock: when the last renewal that the API server acknowledged was sent. */
  let renewedAt: number | undefined;
  let failures = 0;

  function observe(lease: Lease): void {
    const before = seen?.lease.spec;
    const changed = !before || before.renewTime !== lease.spec?.renewTime || before.holderIdentity !== lease.spec?.holderIdentity;
    seen = { lease, at: changed || !seen ? clock.monotonic() : seen.at };
  }

  /** One try to acquire or renew. True when the lease is ours afterwards. */
  async function tryAcquire(): Promise<boolean> {
    const started = clock.monotonic();
    const current = await read();
    const written = current === undefined ? await create() : await takeOver(current);
    if (!written) return false;
    observe(written);
    renewedAt = started;
    parts.onRenewed?.();
    return true;
  }

  async function read(): Promise<Lease | undefined> {
    // Our own last write is good enough to renew from: a conflict tells when it is not.
    if (leading && seen) return seen.lease;
    try {
      const lease = await parts.client.get(resources.leases, options.name, options.namespace);
      observe(lease);
      return lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  const create = (): Promise<Lease> =>
    parts.client.create(resources.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: options.name, namespace: options.namespace },
      spec: record(undefined),
    });

  async function takeOver(current: Lease): Promise<Lease | undefined> {
    const { holderIdentity: holder = '', leaseDurationSeconds = options.leaseDuration / 1_000 } = current.spec ?? {};
    const ours = holder === options.identity;
    const expired = clock.monotonic() - (seen?.at ?? 0) >= leaseDurationSeconds * 1_000;
    if (!ours && holder !== '' && !expired && !options.isGone?.(holder)) return undefined;
    return parts.client.update(resources.leases, { ...current, spec: record(current.spec) });
  }

  function record(before: Lease['spec']): NonNullable<Lease['spec']> {
    const now = toMicroTime(clock.now());
    const ours = before?.holderIdentity === options.identity;
    return {
      holderIdentity: options.identity,
      leaseDurationSeconds: Math.max(1, Math.round(options.leaseDuration / 1_000)),
      acquireTime: ours ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before?.leaseTransitions ?? 0) + (before && !ours ? 1 : 0),
    };
  }

  async function attempt(): Promise<boolean> {
    try {
      const outcome = await tryAcquire();
      failures = 0;
      return outcome;
    } catch (error) {
      failures++;
      if (isConflict(error) || isAlreadyExists(error)) seen = undefined;
      log.debug({ err: error, lease: `${options.namespace}/${options.name}` }, 'the lease could not be acquired or renewed');
      return false;
    }
  }

  async function setLeading(value: boolean): Promise<void> {
    if (leading === value) return;
    leading = value;
    log.info({ lease: `${options.namespace}/${options.name}`, identity: options.identity }, value ? 'leading' : 'no longer leading');
    if (value) parts.onStartedLeading();
    else await parts.onStoppedLeading();
  }

  async function run(): Promise<void> {
    while (!abort.signal.aborted) {
      // The deadline must end leadership on time even while a request hangs.
      const deadline = leading ? (renewedAt ?? 0) + options.renewDeadline - clock.monotonic() : Number.POSITIVE_INFINITY;
      const outcome = await withDeadline(attempt(), deadline);
      if (abort.signal.aborted) break;
      if (outcome) await setLeading(true);
      else if (leading && (outcome === undefined || clock.monotonic() - (renewedAt ?? 0) >= options.renewDeadline || heldByAnother()))
        await setLeading(false);
      if (!abort.signal.aborted) await sleep(clock, pause(), abort.signal);
    }
  }

  /** A server that does not answer yet is asked again soon, a lease that another holds after the retry period. */
  const pause = (): number => (failures === 0 ? options.retryPeriod : Math.min(options.retryPeriod, 25 * 2 ** Math.min(failures, 20)));

  const heldByAnother = (): boolean => seen !== undefined && seen.lease.spec?.holderIdentity !== options.identity;

  function withDeadline(work: Promise<boolean>, delay: number): Promise<boolean | undefined> {
    if (!Number.isFinite(delay)) return work;
    return new Promise((resolve) => {
      const cancel = clock.setTimer(Math.max(0, delay), () => resolve(undefined));
      void work.then((value) => {
        cancel();
        resolve(value);
      });
    });
  }

  async function release(): Promise<void> {
    if (!seen) return;
    const now = toMicroTime(clock.now());
    const spec = { ...seen.lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    await parts.client.update(resources.leases, { ...seen.lease, spec });
  }

  const running = run();
  return {
    get leading() {
      return leading;
    },
    get holder() {
      return seen?.lease.spec?.holderIdentity;
    },
    async stop() {
      abort.abort();
      await running;
      if (!leading) return;
      await setLeading(false);
      await release().catch((error: unknown) => log.warn({ err: error }, 'the lease could not be given back; it will run out'));
    },
  };
}
