import { expect, it } from 'vitest';
import { afterEnd, initialRestartState } from '../../src/lab/restart-policy.ts';

it('a daemon that ends is started again at once, and slower each time that it ends early', () => {
  let state = initialRestartState;
  const delays: number[] = [];
  for (let i = 0; i < 9; i++) {
    const [next, delay] = afterEnd(state, 100);
    state = next;
    delays.push(delay);
  }
  expect(delays).toEqual([50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

it('a daemon that ran for a while starts from the beginning', () => {
  expect(afterEnd({ earlyEnds: 7 }, 60_000)).toEqual([{ earlyEnds: 1 }, 50]);
});
