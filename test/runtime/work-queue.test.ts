import { expect, test } from 'vitest';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createWorkQueue } from '../../src/runtime/work-queue.ts';

const setUp = () => {
  const clock = createFakeClock();
  const queue = createWorkQueue({ clock, random: () => 1, backoff: { base: 5, cap: 40 }, onReady: () => {} });
  return { clock, queue };
};

test('a key waits once however often it is added, in the order of first adding', () => {
  const { queue } = setUp();
  for (const key of ['a', 'b', 'a']) queue.add(key);
  expect([queue.take()?.key, queue.take()?.key, queue.take()?.key]).toEqual(['a', 'b', undefined]);
});

test('a key in hand is not handed out again; added meanwhile, it comes again when it is done', () => {
  const { queue } = setUp();
  queue.add('a');
  queue.take();
  queue.add('a');
  expect(queue.take()).toBeUndefined();
  queue.done('a');
  expect(queue.take()?.key).toBe('a');
  queue.done('a');
  expect(queue.take()).toBeUndefined();
});

test('each key backs off for itself, doubling to the cap, until it is forgotten', async () => {
  const { clock, queue } = setUp();
  const delays: number[] = [];
  for (let attempt = 0; attempt < 6; attempt++) {
    if (attempt === 5) queue.forget('a');
    queue.retry('a');
    let waited = 0;
    while (!queue.take()) {
      await clock.advance(1);
      waited++;
    }
    queue.done('a');
    delays.push(waited);
  }
  expect(delays).toEqual([5, 10, 20, 40, 40, 5]);
  queue.add('b');
  expect(queue.take()?.key).toBe('b');
});

test('the earliest of several delays counts, and closing forgets them all', async () => {
  const { clock, queue } = setUp();
  queue.addAfter('a', 100);
  queue.addAfter('a', 10);
  queue.addAfter('a', 50);
  await clock.advance(10);
  expect(queue.take()?.key).toBe('a');
  queue.done('a');
  await clock.advance(200);
  expect(queue.take()).toBeUndefined();
  queue.addAfter('b', 10);
  queue.close();
  await clock.advance(20);
  expect(queue.depth).toBe(0);
});
