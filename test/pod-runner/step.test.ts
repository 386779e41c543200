import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pod } from '../../src/objects/client.ts';
import { initialPodState, type PodFacts, step } from '../../src/pod-runner/index.ts';
import { begun, container, deeds, exited, facts, pod, reasons, running, runs, simulate, wakes } from './states.ts';

const deleting = (grace: number, spec: Partial<Pod['spec']> = {}): Pod =>
  pod(spec, { deletionTimestamp: new Date(1_000_000 + grace * 1_000).toISOString(), deletionGracePeriodSeconds: grace });

describe('starting', () => {
  test('the network comes before the containers, and they start together', () => {
    const node = simulate({ pod: pod({ containers: [container('a'), container('b')] }) });
    expect(node.log).toEqual(['create-sandbox', 'start a 0', 'start b 0']);
  });

  test('a pod on the network of the host gets no network of its own', () => {
    expect(simulate({ pod: pod({ hostNetwork: true }) }).log).toEqual(['start main 0']);
  });

  test('nothing is done, and an event told once, while the node has no network', () => {
    const waiting = facts({ sandbox: { phase: 'absent' }, networkProblem: 'cni config uninitialized' });
    const [state, actions] = step(initialPodState, waiting);
    expect(deeds(actions)).toEqual([]);
    expect(reasons(actions)).toEqual(['NetworkNotReady']);
    expect(step(state, waiting)[1]).toEqual([]);
  });

  test('init containers run one after the other, each to success', () => {
    const spec = { initContainers: [container('first'), container('second')] };
    const node = simulate({ pod: pod(spec) }, (name, attempt) => (name === 'main' ? running(attempt) : exited(0, attempt)));
    expect(node.log).toEqual(['create-sandbox', 'start first 0', 'start second 0', 'start main 0']);
  });

  test('a failing init container holds the others back, and ends a pod that is not to be restarted', () => {
    const spec = { initContainers: [container('first')], restartPolicy: 'Never' as const };
    const node = simulate({ pod: pod(spec) }, (_name, attempt) => exited(1, attempt));
    expect(node.log).toEqual(['create-sandbox', 'start first 0', 'remove-sandbox']);
    expect(node.state.finished).toBe('Failed');
  });

  test('a sidecar lets the next go on as soon as it runs, and is stopped when the others are done', () => {
    const spec = { initContainers: [container('proxy', { restartPolicy: 'Always' })], restartPolicy: 'Never' as const };
    const node = simulate({ pod: pod(spec) });
    expect(node.log).toEqual(['create-sandbox', 'start proxy 0', 'start main 0']);
    node.change({ runs: runs({ proxy: running(), main: exited(0) }) });
    expect(node.log.slice(3)).toEqual(['stop proxy 30000', 'remove-sandbox']);
    expect(node.state.finished).toBe('Succeeded');
  });

  test('a network that failed is tried again after a growing delay', () => {
    const failed = (failures: number, now: number) =>
      facts({ now, sandbox: { phase: 'failed', operation: 'create', message: 'no', failures, at: 1_000_000 } });
    expect(wakes(step(initialPodState, failed(1, 1_000_000))[1])).toEqual([1_000_250]);
    expect(wakes(step(initialPodState, failed(20, 1_000_000))[1])).toEqual([1_010_000]);
    expect(deeds(step(initialPodState, failed(1, 1_000_250))[1])).toEqual(['create-sandbox']);
  });

  test('an image that is not known holds its container back and leaves the others alone', () => {
    const problem = new Map([['bad', { kind: 'image' as const, message: 'not built in' }]]);
    const known = facts({ pod: pod({ containers: [container('bad'), container('good')] }), configProblems: problem });
    const [state, actions] = step(initialPodState, known);
    expect(deeds(actions)).toEqual(['start good 0']);
    expect(state.containers['bad']!.waiting!.reason).toBe('ErrImagePull');
    expect(step(state, known)[0].containers['bad']!.waiting!.reason).toBe('ImagePullBackOff');
  });
});

describe('restarting', () => {
  test('the first restart comes at once, later ones after 10 s, 20 s, 40 s and so on to 5 min', () => {
    let state = initialPodState;
    let now = 1_000_000;
    const delays: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      const ended = facts({ now, runs: runs({ main: exited(1, attempt, now) }) });
      const [held, actions] = step(state, ended);
      const [at] = wakes(actions);
      delays.push(at === undefined ? 0 : at - now);
      now = at ?? now;
      const [next, again] = at === undefined ? [held, actions] : step(held, { ...ended, now });
      expect(deeds(again)).toEqual([`start main ${attempt + 1}`]);
      state = next;
      now += 1_000;
    }
    expect(delays.map((delay) => delay / 1_000)).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  test('a run of more than ten minutes starts the delays over', () => {
    const backoff = { delay: 300_000, updatedAt: 1_000_000 };
    const later = 1_000_000 + 600_001;
    const [, actions] = step({ containers: { main: { backoff } } }, facts({ now: later, runs: runs({ main: exited(1, 5, later) }) }));
    expect(deeds(actions)).toEqual(['start main 6']);
  });

  test.each([
    ['Always', 0, ['start main 1']],
    ['Always', 1, ['start main 1']],
    ['OnFailure', 0, ['remove-sandbox']],
    ['OnFailure', 1, ['start main 1']],
    ['Never', 1, ['remove-sandbox']],
  ] as const)('under %s an exit with code %i is followed by %j', (restartPolicy, code, expected) => {
    expect(deeds(step(initialPodState, facts({ pod: pod({ restartPolicy }), runs: runs({ main: exited(code) }) }))[1])).toEqual(expected);
  });

  test('a failed liveness probe stops the run it belongs to, once', () => {
    const probes = new Map([['main', { attempt: 0, started: true, ready: true, failed: 'liveness' as const }]]);
    const [state, actions] = step(initialPodState, facts({ runs: runs({ main: running() }), probes }));
    expect(deeds(actions)).toEqual(['stop main 30000']);
    expect(reasons(actions)).toContain('Killing');
    expect(deeds(step(state, facts({ runs: runs({ main: running() }), probes }))[1])).toEqual([]);
    expect(deeds(step(initialPodState, facts({ runs: runs({ main: running(1) }), probes }))[1])).toEqual([]);
  });
});

describe('ending', () => {
  test('containers, network, object, files: in this order', () => {
    const node = simulate({});
    node.change({ pod: deleting(30) });
    expect(node.log.slice(2)).toEqual(['stop main 30000', 'remove-sandbox', 'delete-pod', 'forget']);
  });

  test('less grace asked for later shortens the stop, more does not prolong it', () => {
    const alive = { runs: runs({ main: running() }) };
    const [state] = step(initialPodState, facts({ pod: deleting(30), ...alive }));
    const [sooner, actions] = step(state, facts({ pod: deleting(1), ...alive }));
    expect(deeds(actions)).toEqual(['stop main 1000']);
    expect(deeds(step(sooner, facts({ pod: deleting(60), ...alive }))[1])).toEqual([]);
  });

  test('a runner that was away gives only what is left of the grace', () => {
    const [, actions] = step(initialPodState, facts({ now: 1_020_000, pod: deleting(30), runs: runs({ main: running() }) }));
    expect(deeds(actions)).toEqual(['stop main 11000']);
  });

  test('a pod that vanished from the API is ended within two seconds and not deleted again', () => {
    const node = simulate({});
    node.change({ gone: true });
    expect(node.log.slice(2)).toEqual(['stop main 2000', 'remove-sandbox', 'forget']);
  });

  test('the network goes only after the last container', () => {
    const spec = { containers: [container('a'), container('b')] };
    const half = facts({ pod: deleting(30, spec), runs: runs({ a: exited(0), b: running() }) });
    expect(deeds(step(initialPodState, half)[1])).toEqual(['stop b 30000']);
  });

  test('a network that could not be removed is tried again later', () => {
    const failed = facts({
      pod: deleting(0),
      sandbox: { phase: 'failed', operation: 'remove', message: 'busy', failures: 1, at: 1_000_000 },
    });
    const [, actions] = step(initialPodState, failed);
    expect(deeds(actions)).toEqual([]);
    expect(wakes(actions)).toEqual([1_000_250]);
    expect(deeds(step(initialPodState, { ...failed, now: 1_000_250 })[1])).toEqual(['remove-sandbox']);
  });

  test('a supervised pod has nothing started or stopped', () => {
    const supervised = { annotations: { 'podwire.io/supervised-by': 'lab' } };
    const node = simulate({ pod: pod({ hostNetwork: true }, supervised) });
    expect(node.log).toEqual([]);
    node.change({ gone: true });
    expect(node.log).toEqual(['forget']);
  });
});

describe('always', () => {
  const phases = ['none', 'starting', 'running', 'ok', 'failed'] as const;
  const arbitraryFacts = fc
    .record({
      restartPolicy: fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const),
      grace: fc.constantFrom(undefined, 0, 1, 30),
      gone: fc.boolean(),
      hostNetwork: fc.boolean(),
      sandbox: fc.constantFrom<PodFacts['sandbox']>(
        { phase: 'absent' },
        { phase: 'creating' },
        { phase: 'ready', addresses: ['10.244.1.5'] },
        { phase: 'removing' },
        { phase: 'failed', operation: 'create', message: 'x', failures: 1, at: 999_990 },
        { phase: 'failed', operation: 'remove', message: 'x', failures: 3, at: 999_990 },
      ),
      now: fc.integer({ min: 1_000_000, max: 2_000_000 }),
      phases: fc.array(fc.constantFrom(...phases), { minLength: 3, maxLength: 3 }),
    })
    .map(({ restartPolicy, grace, gone, hostNetwork, sandbox, now, phases: [a, b, c] }) => {
      const spec = { restartPolicy, hostNetwork, initContainers: [container('a')], containers: [container('b'), container('c')] };
      const made = {
        none: undefined,
        starting: { attempt: 0, phase: 'starting' as const },
        running: running(),
        ok: exited(0),
        failed: exited(2),
      };
      const entries = Object.entries({ a: made[a!], b: made[b!], c: made[c!] }).flatMap(([name, run]) =>
        run ? [[name, run] as const] : [],
      );
      return facts({ now, gone, sandbox, pod: grace === undefined ? pod(spec) : deleting(grace, spec), runs: new Map(entries) });
    });

  test('while what was asked for is being done, nothing more is asked for or told', () => {
    fc.assert(
      fc.property(arbitraryFacts, (known) => {
        const [state, actions] = step(initialPodState, known);
        expect(step(state, begun(known, actions))[1].filter(({ do: what }) => what !== 'wake' && what !== 'forget')).toEqual([]);
      }),
    );
  });

  test('no container is started in a pod that ends or has no network, and no network is taken from under a running one', () => {
    fc.assert(
      fc.property(arbitraryFacts, (known) => {
        const done = deeds(step(initialPodState, known)[1]);
        const ends = known.gone || known.pod.metadata.deletionTimestamp !== undefined;
        if (ends || (!known.pod.spec.hostNetwork && known.sandbox.phase !== 'ready'))
          expect(done.filter((deed) => deed.startsWith('start'))).toEqual([]);
        const alive = [...known.runs.values()].some(({ phase }) => phase !== 'exited');
        if (alive) expect(done.filter((deed) => ['remove-sandbox', 'delete-pod', 'forget'].includes(deed))).toEqual([]);
      }),
    );
  });

  test('a deleted pod is forgotten in the end, whatever it was doing', () => {
    fc.assert(
      fc.property(arbitraryFacts, (known) => {
        const settled = { creating: { phase: 'ready', addresses: ['10.244.1.5'] }, removing: { phase: 'absent' } } as const;
        const sandbox =
          known.sandbox.phase === 'creating' || known.sandbox.phase === 'removing' ? settled[known.sandbox.phase] : known.sandbox;
        const node = simulate({ ...known, sandbox, now: 3_000_000, pod: deleting(30, known.pod.spec) });
        expect(node.forgotten).toBe(true);
        expect(node.deleted).toBe(!known.gone);
      }),
    );
  });
});
