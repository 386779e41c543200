import { describe, expect, test } from 'vitest';
import { createAuditor } from '../../src/kube-proxy/auditor.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';

function createWorld() {
  const clock = createFakeClock();
  const world = {
    clock,
    reads: 0,
    turns: 0,
    audited: [] as unknown[],
    foreignChange: (): void => undefined,
    isUntouched: true,
    /** Resolves the readings under way. */
    answer: [] as ((rules: unknown) => void)[],
    fail: [] as ((error: Error) => void)[],
  };
  const auditor = createAuditor({
    clock,
    audited: (rules) => world.audited.push(rules),
    programmer: {
      read() {
        world.reads++;
        return new Promise((resolve, reject) => {
          world.answer.push(resolve);
          world.fail.push(reject);
        });
      },
      watch(onForeignChange) {
        world.foreignChange = onForeignChange;
        return { isUntouched: () => world.isUntouched };
      },
    },
  });
  auditor.watch(() => void world.turns++);
  return { world, auditor };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

describe('the auditor', () => {
  test('reads beside the turns and asks for one when it knows', async () => {
    const { world, auditor } = createWorld();
    auditor.start();
    auditor.start();
    expect([world.reads, world.turns]).toEqual([1, 0]);
    world.answer.pop()!('found');
    await settle();
    expect([world.audited, world.turns, auditor.isDoubtful()]).toEqual([['found'], 1, false]);
  });

  test('reads again when a turn has changed the kernel meanwhile, and leaves it to a turn after the third time', async () => {
    const { world, auditor } = createWorld();
    auditor.start();
    for (let tries = 1; tries <= 3; tries++) {
      expect(world.reads).toBe(tries);
      auditor.changing();
      world.answer.pop()!('of before or after');
      await settle();
    }
    expect([world.reads, world.audited, world.turns, auditor.isDoubtful()]).toEqual([3, [], 1, true]);
    auditor.reading();
    expect(auditor.isDoubtful()).toBe(false);
  });

  test('leaves a reading that failed to a turn, which tells of it', async () => {
    const { world, auditor } = createWorld();
    auditor.start();
    world.fail.pop()!(new Error('no iptables'));
    await settle();
    expect([world.audited, world.turns, auditor.isDoubtful()]).toEqual([[], 1, true]);
  });

  test('doubts what is known at a change by others, and asks for a repair at most once a second', async () => {
    const { world, auditor } = createWorld();
    expect(auditor.isUntouched()).toBe(true);
    world.foreignChange();
    await world.clock.advance(0);
    expect([world.turns, auditor.isDoubtful(), auditor.isUntouched()]).toEqual([1, true, false]);
    auditor.reading();
    world.foreignChange();
    await world.clock.advance(900);
    expect(world.turns).toBe(1);
    await world.clock.advance(200);
    expect([world.turns, auditor.isDoubtful(), auditor.isUntouched()]).toEqual([2, true, false]);
  });

  test('trusts what it is told for an hour and no longer', async () => {
    const { world, auditor } = createWorld();
    await world.clock.advance(3_500_000);
    expect(auditor.isUntouched()).toBe(true);
    await world.clock.advance(200_000);
    expect(auditor.isUntouched()).toBe(false);
    auditor.reading();
    expect(auditor.isUntouched()).toBe(true);
  });

  test('asks for nothing once it is closed', async () => {
    const { world, auditor } = createWorld();
    auditor.start();
    world.foreignChange();
    const closed = auditor.close();
    world.answer.pop()!('found');
    await closed;
    await world.clock.advance(5_000);
    expect([world.audited, world.turns]).toEqual([[], 0]);
  });
});
