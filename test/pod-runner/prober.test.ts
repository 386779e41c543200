import { describe, expect, it } from 'vitest';
import type { Container } from '../../src/objects/client.ts';
import { startProber } from '../../src/pod-runner/effects/prober.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';

/** A container probed by a command every ten seconds, which succeeds from `wellAt` on (ms). */
function probed(wellAt: number, kind: 'readinessProbe' | 'livenessProbe' = 'readinessProbe') {
  const clock = createFakeClock();
  const failures: number[] = [];
  const asked: number[] = [];
  const container: Container = { name: 'c', [kind]: { exec: { command: ['check'] }, periodSeconds: 10, failureThreshold: 3 } };
  const prober = startProber(container, 1, {
    clock,
    address: '10.244.0.2',
    exec: () => {
      asked.push(clock.now());
      return Promise.resolve({ exitCode: clock.now() >= wellAt ? 0 : 1, output: '' });
    },
    onVerdict: () => {},
    onFailure: () => failures.push(clock.now()),
  });
  return { clock, prober, failures, asked };
}

describe('a readiness probe that has not succeeded yet', () => {
  it('is asked ahead of its period, so that the container is ready soon after it can be', async () => {
    const { clock, prober } = probed(450);
    await clock.advance(699);
    expect(prober.verdict.ready).toBe(false);
    await clock.advance(1);
    expect(prober.verdict.ready).toBe(true);
  });

  it('counts and tells failures at its period only', async () => {
    const { clock, failures } = probed(Number.POSITIVE_INFINITY);
    await clock.advance(25_000);
    expect(failures).toEqual([0, 10_000, 20_000]);
  });

  it('is asked at its period once it has succeeded', async () => {
    const { clock, asked } = probed(0);
    await clock.advance(25_000);
    expect(asked).toEqual([0, 10_000, 20_000]);
  });
});

it('a liveness probe is asked at its period from the start', async () => {
  const { clock, asked, prober } = probed(Number.POSITIVE_INFINITY, 'livenessProbe');
  await clock.advance(25_000);
  expect(asked).toEqual([0, 10_000, 20_000]);
  expect(prober.verdict.failed).toBe('liveness');
});
