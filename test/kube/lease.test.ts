import { describe, expect, test } from 'vitest';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { isGone, readIdentity, renderIdentity } from '../../src/kube/holder-identity.ts';
import { type LeaderElectionOptions, startLeaderElection } from '../../src/kube/lease.ts';
import { resources } from '../../src/objects/index.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';

const setUp = () => {
  const clock = createFakeClock(Date.parse('2030-01-01T00:00:00Z'));
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, clock);
  const candidate = (identity: string, change: Partial<LeaderElectionOptions> = {}) => {
    const log: string[] = [];
    const election = startLeaderElection(
      { namespace: 'kube-system', name: 'lock', identity, leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000, ...change },
      { client, clock, log: silentLogger(), onStartedLeading: () => void log.push('start'), onStoppedLeading: () => void log.push('stop') },
    );
    return { election, log };
  };
  const spec = () => cluster.informer(resources.leases).store.get('kube-system/lock')!.spec!;
  return { clock, cluster, client, candidate, spec };
};
/** Small steps, for a request takes turns of the event loop that the clock does not count. */
const pass = async (clock: FakeClock, seconds: number) => {
  for (let step = 0; step < seconds * 2; step++) {
    await clock.advance(500);
    for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
};
/** Stops while the clock goes on. */
const stopAll = async (clock: FakeClock, ...candidates: { election: { stop(): Promise<void> } }[]) => {
  const stopping = Promise.all(candidates.map(({ election }) => election.stop()));
  await pass(clock, 1);
  await stopping;
};

describe('leader election', () => {
  test('one of two leads and renews; when it stops the other takes over at its next try', async () => {
    const { clock, candidate, spec } = setUp();
    const a = candidate('a');
    await pass(clock, 1);
    const b = candidate('b');
    await pass(clock, 60);
    expect([a.election.leading, b.election.leading, b.election.holder]).toEqual([true, false, 'a']);
    expect(spec()).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(clock.now() - Date.parse(spec().renewTime!)).toBeLessThanOrEqual(3_000);
    await stopAll(clock, a);
    expect(a.log).toEqual(['start', 'stop']);
    await pass(clock, 3);
    expect(b.election.leading).toBe(true);
    expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await stopAll(clock, b);
  });

  test('a leader that dies is followed only when its lease has run out by the watch of the other', async () => {
    const { clock, cluster, candidate, spec } = setUp();
    cluster.set(resources.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'lock', namespace: 'kube-system', uid: 'l', resourceVersion: '1' },
      // Its clock is an hour behind: that must not matter.
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2029-12-31T23:00:00.000000Z', leaseTransitions: 3 },
    });
    const b = candidate('b');
    await pass(clock, 14);
    expect(b.election.leading).toBe(false);
    await pass(clock, 4);
    expect(b.election.leading).toBe(true);
    expect(spec().leaseTransitions).toBe(4);
    await stopAll(clock, b);
  });

  test('a holder that is certainly dead is followed at once', async () => {
    const { clock, cluster, candidate } = setUp();
    const spec = { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2030-01-01T00:00:00.000000Z' };
    cluster.set(resources.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'lock', namespace: 'kube-system', uid: 'l', resourceVersion: '1' },
      spec,
    });
    const b = candidate('b', { isGone: (holder) => holder === 'dead' });
    await pass(clock, 1);
    expect(b.election.leading).toBe(true);
    await stopAll(clock, b);
  });

  test('a leader that cannot renew stops before another may start, and never two lead at once', async () => {
    const { clock, client, candidate } = setUp();
    const a = candidate('a');
    await pass(clock, 1);
    const away = client.failWhen((write) => (write.includes('leases') ? new Error('connect ECONNREFUSED') : undefined));
    await pass(clock, 9);
    expect(a.election.leading).toBe(true);
    await pass(clock, 4);
    expect(a.log).toEqual(['start', 'stop']);
    away();
    const b = candidate('b');
    for (let second = 0; second < 30; second++) {
      await pass(clock, 1);
      expect(a.election.leading && b.election.leading).toBe(false);
    }
    expect(a.election.leading || b.election.leading).toBe(true);
    await stopAll(clock, a, b);
  });

  test('a request that hangs does not keep a leader in office', async () => {
    const { clock, client, candidate } = setUp();
    const a = candidate('a');
    await pass(clock, 1);
    const update = client.update;
    client.update = () => new Promise(() => {});
    await pass(clock, 13);
    expect(a.log).toEqual(['start', 'stop']);
    client.update = update;
  });
});

describe('the identity of a holder', () => {
  const self = readIdentity();
  test('tells a living process of this machine from one that ended, and claims nothing about others', () => {
    expect(isGone(renderIdentity(self), self)).toBe(false);
    expect(isGone(renderIdentity({ ...self, started: '1' }), self)).toBe(true);
    expect(isGone(renderIdentity({ ...self, pid: 4_194_303 }), self, () => undefined)).toBe(true);
    expect(isGone(renderIdentity({ ...self, host: 'other_host', pid: 4_194_303 }), self)).toBe(false);
    expect(isGone(renderIdentity({ ...self, boot: 'earlier', pid: 4_194_303 }), self)).toBe(false);
    expect(isGone('vm_8b1f1e9e-4b62-4b11-8f3f-1b8f4f0e2a11', self)).toBe(false);
    expect(isGone('', self)).toBe(false);
  });
});
