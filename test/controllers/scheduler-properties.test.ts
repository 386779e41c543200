import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStaticView, schedulerController } from '../../src/controllers/index.ts';
import type { Node, Pod, PodAffinityTerm, TopologySpreadConstraint } from '../../src/objects/index.ts';
import { node } from './harness.ts';

/*
 * Pods are scheduled one after the other onto random nodes. What the scheduler decides is judged by rules written out anew here, plainly and for
 * these shapes of pods alone: no decision may break one, and no pod may be left waiting while some node breaks none.
 */

const app = fc.constantFrom('a', 'b', 'c');
const zoneKey = 'topology.kubernetes.io/zone';
const term = (name: string, topologyKey: string): PodAffinityTerm => ({ labelSelector: { matchLabels: { app: name } }, topologyKey });
const topologyKey = fc.constantFrom('kubernetes.io/hostname', zoneKey);

const nodes = fc.array(
  fc.record({
    zone: fc.constantFrom('z1', 'z2', undefined),
    disk: fc.boolean(),
    tainted: fc.constantFrom('NoSchedule' as const, 'NoExecute' as const, undefined, undefined),
    cordoned: fc.constantFrom(false, false, true),
    cpu: fc.integer({ min: 1, max: 4 }),
    pods: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 1, maxLength: 6 },
);
const pods = fc.array(
  fc.record({
    app,
    cpu: fc.nat(2),
    port: fc.constantFrom(undefined, undefined, 8080),
    needsDisk: fc.constantFrom(false, false, true),
    tolerates: fc.boolean(),
    near: fc.option(fc.record({ app, topologyKey }), { freq: 4, nil: undefined }),
    far: fc.option(fc.record({ app, topologyKey }), { freq: 3, nil: undefined }),
    spread: fc.option(fc.record({ maxSkew: fc.integer({ min: 1, max: 2 }), topologyKey }), { freq: 3, nil: undefined }),
  }),
  { minLength: 1, maxLength: 12 },
);
type Wish = typeof pods extends fc.Arbitrary<(infer T)[]> ? T : never;
type Shape = typeof nodes extends fc.Arbitrary<(infer T)[]> ? T : never;

const makeNode = ({ zone, disk, tainted, cordoned, cpu, pods: most }: Shape, index: number): Node => {
  const made = node(`n${index}`, {
    spec: { ...(tainted ? { taints: [{ key: 'x', effect: tainted }] } : {}), ...(cordoned ? { unschedulable: true } : {}) },
    allocatable: { cpu: String(cpu), pods: String(most) },
  });
  const labels = { 'kubernetes.io/hostname': `n${index}`, ...(zone ? { [zoneKey]: zone } : {}), ...(disk ? { disk: 'ssd' } : {}) };
  return { ...made, metadata: { ...made.metadata, labels } };
};

const makePod = (wish: Wish, index: number): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `p${index}`, namespace: 'default', uid: `p${index}`, labels: { app: wish.app } },
  spec: {
    containers: [
      {
        name: 'main',
        ...(wish.port ? { ports: [{ containerPort: 80, hostPort: wish.port }] } : {}),
        resources: { requests: { cpu: String(wish.cpu) } },
      } as Pod['spec']['containers'][0],
    ],
    ...(wish.needsDisk ? { nodeSelector: { disk: 'ssd' } } : {}),
    ...(wish.tolerates ? { tolerations: [{ key: 'x', operator: 'Exists' as const }] } : {}),
    affinity: {
      ...(wish.near
        ? { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(wish.near.app, wish.near.topologyKey)] } }
        : {}),
      ...(wish.far
        ? { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(wish.far.app, wish.far.topologyKey)] } }
        : {}),
    },
    ...(wish.spread ? { topologySpreadConstraints: [spreadOf(wish)] } : {}),
  },
  status: { phase: 'Pending' },
});
const spreadOf = ({ spread, app: name }: Wish): TopologySpreadConstraint => ({
  ...spread!,
  whenUnsatisfiable: 'DoNotSchedule',
  labelSelector: { matchLabels: { app: name } },
});

interface Placed {
  readonly wish: Wish;
  readonly at: number;
}

/** The rules that placing the pod there would break. */
function broken(wish: Wish, at: number, shapes: readonly Shape[], placed: readonly Placed[]): string[] {
  const shape = shapes[at]!;
  const here = placed.filter((other) => other.at === at);
  const domain = (index: number, key: string): string | undefined => (key === zoneKey ? shapes[index]!.zone : `n${index}`);
  const together = (a: number, b: number, key: string): boolean => domain(a, key) !== undefined && domain(a, key) === domain(b, key);
  const rules: [string, boolean][] = [
    ['cordoned', shape.cordoned],
    ['taint', shape.tainted !== undefined && !wish.tolerates],
    ['selector', wish.needsDisk && !shape.disk],
    ['port', wish.port !== undefined && here.some((other) => other.wish.port === wish.port)],
    ['pods', here.length + 1 > shape.pods],
    ['cpu', wish.cpu > 0 && here.reduce((sum, other) => sum + other.wish.cpu, wish.cpu) > shape.cpu],
    [
      'far',
      wish.far !== undefined && placed.some((other) => other.wish.app === wish.far!.app && together(other.at, at, wish.far!.topologyKey)),
    ],
    ['shunned', placed.some((other) => other.wish.far?.app === wish.app && together(other.at, at, other.wish.far.topologyKey))],
    ['near', wish.near !== undefined && !isNear(wish, at)],
    ['spread', wish.spread !== undefined && !isEven(wish, at)],
  ];
  return rules.filter(([, isBroken]) => isBroken).map(([name]) => name);

  function isNear({ near, app: name }: Wish, index: number): boolean {
    if (domain(index, near!.topologyKey) === undefined) return false;
    const friends = placed.filter((other) => other.wish.app === near!.app && domain(other.at, near!.topologyKey) !== undefined);
    const all = placed.filter((other) => other.wish.app === near!.app);
    if (all.length === 0) return near!.app === name;
    return friends.some((other) => together(other.at, index, near!.topologyKey));
  }

  function isEven({ spread, app: name, needsDisk }: Wish, index: number): boolean {
    const own = domain(index, spread!.topologyKey);
    if (own === undefined) return false;
    const counts = new Map<string, number>();
    for (const [each, { disk }] of shapes.entries()) {
      const value = domain(each, spread!.topologyKey);
      if (value === undefined || (needsDisk && !disk)) continue;
      const matching = placed.filter((other) => other.at === each && other.wish.app === name).length;
      counts.set(value, (counts.get(value) ?? 0) + matching);
    }
    return (counts.get(own) ?? 0) + 1 - Math.min(...counts.values()) <= spread!.maxSkew;
  }
}

test('no decision breaks a rule, and no pod waits while a node would break none', () => {
  fc.assert(
    fc.property(nodes, pods, (shapes, wishes) => {
      const all = shapes.map(makeNode);
      const placed: Placed[] = [];
      const running: Pod[] = [];
      for (const [index, wish] of wishes.entries()) {
        const pod = makePod(wish, index);
        const { actions } = schedulerController.reconcile(`default/p${index}`, createStaticView([...all, ...running, pod], 0), undefined);
        const [action] = actions;
        const possible = shapes.map((_shape, at) => broken(wish, at, shapes, placed));
        if (action?.do === 'bind') {
          const at = Number(action.node.metadata.name.slice(1));
          expect(possible[at], `p${index} on n${at}`).toEqual([]);
          placed.push({ wish, at });
          running.push({ ...pod, spec: { ...pod.spec, nodeName: `n${at}` } });
        } else {
          expect(
            possible.filter((rules) => rules.length === 0),
            `p${index} waits: ${JSON.stringify(action)}`,
          ).toEqual([]);
        }
      }
    }),
    { numRuns: 300 },
  );
});
