import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { daemonSetController, deploymentController, replicaSetController, statefulSetController } from '../../src/controllers/index.ts';
import { type DaemonSet, type Deployment, objectKey, type Pod, type ReplicaSet, type StatefulSet } from '../../src/objects/index.ts';
import { deployment, node } from './harness.ts';
import { isEnding, isUp, Simulation } from './simulation.ts';

/** A sequence of whatever: each number picks one of the things that may happen next. */
const chances = fc.array(fc.nat(1_000_000), { minLength: 60, maxLength: 60 });
const runs = { numRuns: 30 };

/** Lets things happen until nothing is left to happen; the first happen in the order that `picks` say, the rest one after the other. */
function play(picks: readonly number[], happenings: () => readonly (() => boolean)[], check: () => void): void {
  let quiet = 0;
  for (let step = 0; quiet < 30; step++) {
    if (step > 3_000) throw new Error('it does not come to rest');
    const all = happenings();
    const changed = all[(picks[step] ?? step) % all.length]!();
    check();
    quiet = changed || step < picks.length ? 0 : quiet + 1;
  }
}

/** Pods that are on their way, each as something that may happen to it. */
const podHappenings = (world: Simulation): (() => boolean)[] =>
  world.list<Pod>('Pod').flatMap((pod) => {
    if (isEnding(pod)) return [() => (world.remove(pod), true)];
    return isUp(pod) ? [] : [() => (world.run(pod, true), true)];
  });

describe('a rolling update of a deployment', () => {
  test('never has fewer ready pods than maxUnavailable allows nor asks for more than maxSurge allows, and comes to its end', () => {
    const limits = fc.record({
      replicas: fc.integer({ min: 1, max: 8 }),
      maxSurge: fc.oneof(fc.nat(4), fc.constantFrom('25%', '100%')),
      maxUnavailable: fc.oneof(fc.nat(4), fc.constantFrom('25%', '50%')),
    });
    fc.assert(
      fc.property(limits, chances, ({ replicas, maxSurge, maxUnavailable }, picks) => {
        const wanted = deployment('web', replicas, { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } });
        const world = new Simulation([wanted]);
        const turns = (): (() => boolean)[] => [
          () => world.turn(deploymentController, 'default/web').length > 0,
          ...world.list<ReplicaSet>('ReplicaSet').map((set) => () => world.turn(replicaSetController, objectKey(set)).length > 0),
          ...podHappenings(world),
        ];
        play([], turns, () => {});
        const current = (): Deployment => world.get<Deployment>('Deployment', 'default/web')!;
        expect(current().status?.availableReplicas).toBe(replicas);
        const { template, ...spec } = current().spec;
        const next = { ...template, spec: { containers: [{ name: 'main', image: 'new' }] } };
        world.put({ ...current(), metadata: { ...current().metadata, generation: 2 }, spec: { ...spec, template: next } } as Deployment);

        const count = (value: number | string, round: (x: number) => number): number =>
          typeof value === 'number' ? value : round((Number.parseInt(value, 10) * replicas) / 100);
        const surge = count(maxSurge, Math.ceil);
        const missing = count(maxUnavailable, Math.floor);
        const least = replicas - (surge === 0 && missing === 0 ? 1 : missing);
        play(picks, turns, () => {
          const pods = world.list<Pod>('Pod').filter((pod) => !isEnding(pod));
          expect(pods.filter(isUp).length).toBeGreaterThanOrEqual(least);
          // What the replica sets ask for: one that shrinks and one that grows need not act in that order.
          const asked = world.list<ReplicaSet>('ReplicaSet').reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0);
          expect(asked).toBeLessThanOrEqual(replicas + surge);
        });
        expect(world.list<Pod>('Pod').map((pod) => pod.spec.containers[0]!.image)).toEqual(Array.from({ length: replicas }, () => 'new'));
        expect(current().status).toMatchObject({ replicas, updatedReplicas: replicas, availableReplicas: replicas });
      }),
      runs,
    );
  });
});

describe('a rolling update of a daemon set', () => {
  const daemonSet = (image: string, maxSurge: number, maxUnavailable: number): DaemonSet => ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default', uid: 'ds' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'main', image }] } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
    },
  });

  test('leaves no more than maxUnavailable nodes without a ready pod, has no more than maxSurge beside old ones, and reaches every node', () => {
    const limits = fc
      .record({ nodes: fc.integer({ min: 1, max: 6 }), maxSurge: fc.nat(2), maxUnavailable: fc.nat(3) })
      // The API server lets exactly one of the two be above zero.
      .map(({ maxSurge, maxUnavailable, ...rest }) =>
        maxSurge > 0 ? { ...rest, maxSurge, maxUnavailable: 0 } : { ...rest, maxSurge, maxUnavailable: Math.max(1, maxUnavailable) },
      );
    fc.assert(
      fc.property(limits, chances, ({ nodes, maxSurge, maxUnavailable }, picks) => {
        const world = new Simulation(Array.from({ length: nodes }, (_, index) => node(`n${index}`)));
        world.put(daemonSet('old', maxSurge, maxUnavailable));
        const turns = (): (() => boolean)[] => [() => world.turn(daemonSetController, 'default/agent').length > 0, ...podHappenings(world)];
        play([], turns, () => {});
        const target = (pod: Pod): string =>
          pod.spec.affinity!.nodeAffinity!.requiredDuringSchedulingIgnoredDuringExecution!.nodeSelectorTerms[0]!.matchFields![0]!
            .values![0]!;
        const status = world.get<DaemonSet>('DaemonSet', 'default/agent')!.status!;
        world.put({ ...daemonSet('new', maxSurge, maxUnavailable), status } as DaemonSet);
        play(picks, turns, () => {
          const pods = world.list<Pod>('Pod').filter((pod) => !isEnding(pod));
          const served = new Set(pods.filter(isUp).map(target));
          expect(served.size).toBeGreaterThanOrEqual(nodes - maxUnavailable);
          expect(pods.length).toBeLessThanOrEqual(nodes + maxSurge);
        });
        const pods = world.list<Pod>('Pod');
        expect(pods.map(target).sort()).toEqual(Array.from({ length: nodes }, (_, index) => `n${index}`));
        expect(pods.every((pod) => pod.spec.containers[0]!.image === 'new')).toBe(true);
      }),
      runs,
    );
  });
});

describe('a stateful set', () => {
  const statefulSet = (image: string, replicas: number, partition: number): StatefulSet => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default', uid: 'sts' },
    spec: {
      replicas,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'main', image }] } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition } },
    },
  });
  const ordinal = ({ metadata }: Pod): number => Number(metadata.name.slice('db-'.length));

  test('makes a pod only when all before it are ready, deletes only the last, has at most one on its way out, and leaves the partition alone', () => {
    const sizes = fc.record({ first: fc.nat(5), second: fc.nat(5), partition: fc.nat(5) });
    fc.assert(
      fc.property(sizes, chances, ({ first, second, partition }, picks) => {
        const world = new Simulation([statefulSet('old', first, 0)]);
        const turn = (): boolean => {
          const before = world.list<Pod>('Pod');
          const acted = world.turn(statefulSetController, 'default/db').length > 0;
          const after = world.list<Pod>('Pod');
          const made = after.filter((pod) => !before.some(({ metadata }) => metadata.name === pod.metadata.name));
          expect(made.length).toBeLessThanOrEqual(1);
          for (const pod of made)
            for (let lower = 0; lower < ordinal(pod); lower++) expect(isUp(world.get<Pod>('Pod', `default/db-${lower}`)!)).toBe(true);
          return acted;
        };
        const turns = (): (() => boolean)[] => [turn, ...podHappenings(world)];
        const check = (): void => expect(world.list<Pod>('Pod').filter(isEnding).length).toBeLessThanOrEqual(1);
        play([], turns, check);
        const status = world.get<StatefulSet>('StatefulSet', 'default/db')!.status!;
        world.put({ ...statefulSet('new', second, partition), status } as StatefulSet);
        play(picks, turns, check);
        const images = world
          .list<Pod>('Pod')
          .sort((a, b) => ordinal(a) - ordinal(b))
          .map((pod) => `${pod.metadata.name} ${pod.spec.containers[0]!.image}`);
        expect(images).toEqual(Array.from({ length: second }, (_, index) => `db-${index} ${index < partition ? 'old' : 'new'}`));
      }),
      runs,
    );
  });
});
