import { describe, expect, it } from 'vitest';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { type SyncLoopParts, startSyncLoop } from '../../src/runtime/sync-loop.ts';

function loopOver(overrides: Partial<SyncLoopParts<number, number, number>> = {}) {
  const clock = createFakeClock();
  const world = { input: 1 as number | undefined, kernel: 0, applied: [] as number[], turns: 0 };
  const loop = startSyncLoop<number, number, number>({
    name: 'test',
    log: silentLogger(),
    clock,
    snapshot: () => world.input,
    compile: (input) => input * 10,
    read: () => Promise.resolve(world.kernel),
    diff: (actual, desired) => (actual === desired ? undefined : desired),
    apply: (change) => {
      world.kernel = change;
      world.applied.push(change);
      return Promise.resolve();
    },
    onTurn: () => void world.turns++,
    minInterval: 100,
    resyncInterval: 30_000,
    random: () => 1,
    ...overrides,
  });
  return { clock, world, loop };
}

describe('the sync loop', () => {
  it('brings the kernel to the desired state at once', async () => {
    const { clock, world } = loopOver();
    await clock.advance(0);
    expect(world.kernel).toBe(10);
  });

  it('makes one turn of many triggers, no sooner than the minimum interval', async () => {
    const { clock, world, loop } = loopOver();
    await clock.advance(0);
    world.input = 2;
    loop.trigger();
    loop.trigger();
    await clock.advance(99);
    expect(world.applied).toEqual([10]);
    await clock.advance(1);
    expect(world.applied).toEqual([10, 20]);
    expect(world.turns).toBe(2);
  });

  it('repairs what something else changed, at the resync interval', async () => {
    const { clock, world } = loopOver();
    await clock.advance(0);
    world.kernel = 99;
    await clock.advance(30_000);
    expect(world.kernel).toBe(10);
  });

  it('applies nothing while the caches have not synced', async () => {
    const { clock, world, loop } = loopOver();
    world.input = undefined;
    await clock.advance(0);
    expect(world.applied).toEqual([]);
    world.input = 3;
    loop.trigger();
    await clock.advance(100);
    expect(world.applied).toEqual([30]);
  });

  it('retries a failed turn with growing delays, and takes the newest input then', async () => {
    let failures = 2;
    const { clock, world, loop } = loopOver({
      read: () => (failures-- > 0 ? Promise.reject(new Error('busy')) : Promise.resolve(0)),
    });
    await clock.advance(0);
    world.input = 7;
    loop.trigger();
    await clock.advance(50);
    expect(world.applied).toEqual([]);
    await clock.advance(100);
    expect(world.applied).toEqual([70]);
  });

  it('starts no turn after it was stopped', async () => {
    const { clock, world, loop } = loopOver();
    await clock.advance(0);
    await loop.stop();
    world.input = 5;
    loop.trigger();
    await clock.advance(60_000);
    expect(world.applied).toEqual([10]);
  });
});
