import { beforeEach, describe, expect, test } from 'vitest';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { type NftWatch, watchNftTable } from '../../src/kernel/nft-watch.ts';
import type { Listener } from '../../src/kernel/waiting-commands.ts';

let monitor: Listener;
let starts: string[];
let foreign: number;
let watch: NftWatch;
let generation: number;

const runner: CommandRunner = {
  run: () => Promise.reject(new Error('nothing is read here')),
  listen(command, args, listener) {
    starts.push([command, ...args].join(' '));
    monitor = listener;
    return { end: () => listener.ended() };
  },
};

/** What `nft monitor` of 1.0.6 prints for a transaction. */
const transaction = (...lines: string[]): void => {
  for (const line of lines) monitor.line(line);
  monitor.line(`# new generation ${++generation} by process 4711 (nft)`);
};
const own = (): void => transaction('add element ip podwire-proxy service-ips { 10.96.0.1 . tcp . 80 : goto cluster-tcp-1 }');

beforeEach(() => {
  starts = [];
  foreign = 0;
  generation = 0;
  watch = watchNftTable(runner, 'podwire-proxy', 'ip', () => foreign++)!;
  // The monitor is heard of, and the table read since.
  transaction('add table ip other');
  watch.reading();
});

const change = (done = true): void => {
  watch.begin();
  watch.end(done);
};

describe('watching a table', () => {
  test('trusts nothing before the monitor was heard of and the table read after that', () => {
    const fresh = watchNftTable(runner, 'podwire-proxy', 'ip', () => foreign++)!;
    fresh.reading();
    expect(fresh.isUntouched()).toBe(false);
    transaction('add table ip other');
    expect(fresh.isUntouched()).toBe(false);
    fresh.reading();
    expect(fresh.isUntouched()).toBe(true);
  });

  test.each([
    'delete table ip podwire-proxy',
    'delete chain ip podwire-proxy services',
    'delete rule ip podwire-proxy services handle 7',
    'delete element ip podwire-proxy service-ips { 10.96.0.1 . tcp . 80 }',
    'insert rule ip podwire-proxy services accept',
  ])('tells of a change by others: %s', (line) => {
    transaction(line);
    expect([foreign, watch.isUntouched()]).toEqual([1, false]);
    watch.reading();
    transaction('add table ip other');
    watch.reading();
    expect(watch.isUntouched()).toBe(true);
  });

  test('takes a transaction of which nothing is told for one on the table, and starts the monitor anew once the table was deleted', () => {
    transaction();
    expect([foreign, watch.isUntouched(), starts.length]).toEqual([1, false, 1]);
    watch.reading();
    expect([watch.isUntouched(), starts.length]).toEqual([true, 1]);
    transaction('delete table ip podwire-proxy');
    watch.reading();
    expect([watch.isUntouched(), starts.length]).toEqual([false, 2]);
  });

  test.each([
    'delete table ip6 podwire-proxy',
    'delete table ip podwire-proxy-of-others',
    'add rule inet other podwire-proxy accept',
    'delete chain ip filter podwire-proxy',
  ])('does not mind other tables: %s', (line) => {
    transaction(line);
    expect([foreign, watch.isUntouched()]).toEqual([0, true]);
  });

  test("takes the caller's own transactions for what they are, whether the monitor tells of them during or after", () => {
    watch.begin();
    own();
    watch.end(true);
    change();
    expect(watch.isUntouched()).toBe(false);
    own();
    expect([foreign, watch.isUntouched()]).toEqual([0, true]);
  });

  test("tells of somebody else's change during one of the caller's own that fails", () => {
    watch.begin();
    transaction('delete chain ip podwire-proxy services');
    expect(foreign).toBe(0);
    watch.end(false);
    expect([foreign, watch.isUntouched()]).toEqual([1, false]);
  });

  test('does not take a foreign change for its own after a reading in the middle of a transaction that was told of already', () => {
    watch.begin();
    own();
    watch.reading();
    watch.end(true);
    transaction('delete chain ip podwire-proxy services');
    expect(watch.isUntouched()).toBe(false);
  });

  test('counts a transaction on several things once', () => {
    change();
    transaction('delete chain ip podwire-proxy a', 'add chain ip podwire-proxy b', 'add rule ip podwire-proxy b accept');
    expect([foreign, watch.isUntouched()]).toEqual([0, true]);
  });

  test('knows nothing once the monitor has ended or lost something, and starts another at the next reading', () => {
    monitor.line('# ERROR: netlink: No buffer space available');
    expect(watch.isUntouched()).toBe(false);
    expect(starts).toHaveLength(1);
    watch.reading();
    expect([starts, watch.isUntouched()]).toEqual([['nft monitor', 'nft monitor'], false]);
    transaction('add table ip other');
    watch.reading();
    expect(watch.isUntouched()).toBe(true);
  });

  test('is not to be had from a runner that cannot follow a program', () => {
    expect(watchNftTable({ run: runner.run }, 'podwire-proxy', 'ip', () => undefined)).toBeUndefined();
  });
});
