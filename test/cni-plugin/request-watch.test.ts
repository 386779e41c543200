import { closeSync, constants, existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { guardedPorts, WithdrawnError } from '../../src/cni-plugin/effects/guarded-ports.ts';
import { openRequestSlots } from '../../src/cni-plugin/effects/request-slots.ts';
import { startRequestWatch } from '../../src/cni-plugin/effects/request-watch.ts';
import { systemRunner } from '../../src/kernel/command-runner.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** An agent that answers when it is told to, and a launcher that has asked it. */
async function asked(beats: Clock) {
  const run = mkdtempSync(join(tmpdir(), 'podwire-watch-'));
  const current = `${run}.current`;
  writeFileSync(current, `1 ${basename(run)} 0\n`);
  let finish: (text: string) => void = () => undefined;
  let isWithdrawn: () => boolean = () => false;
  const slots = await openRequestSlots(run, { runner: systemRunner, clock: systemClock }, (_, withdrawn) => {
    isWithdrawn = withdrawn;
    return new Promise((resolve) => (finish = resolve));
  });
  const watch = startRequestWatch(run, current, beats, 1);
  const open = (name: string): number => openSync(join(run, name), constants.O_RDWR | constants.O_NONBLOCK);
  writeFileSync(join(run, 'slots/7.request'), `${process.pid}\nCNI_COMMAND=ADD\n\n{}`);
  const requests = open('requests');
  const wake = open('watch');
  const replies = new Socket({ fd: open('slots/7'), readable: true, writable: false });
  replies.on('error', () => undefined);
  let said = '';
  replies.on('data', (chunk) => (said += chunk.toString()));
  writeSync(requests, 'R 7\n');
  writeSync(wake, '\n');
  cleanups.push(() => {
    watch.close();
    slots.close();
    replies.destroy();
    for (const fd of [requests, wake]) closeSync(fd);
    for (const path of [run, current]) rmSync(path, { recursive: true, force: true });
  });
  return {
    said: () => said,
    finish: (text: string) => finish(text),
    isWithdrawn: () => isWithdrawn(),
    leave: () => writeSync(requests, `D 7 ${process.pid}\n`),
    files: () => readdirSync(join(run, 'slots')).filter((name) => name.startsWith('7.') && name !== '7.pod'),
    isAnnounced: () => existsSync(current),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let wait = 0; wait < 600 && !condition(); wait++) await sleep(25);
  expect(condition()).toBe(true);
}

const silent: Clock = { ...systemClock, setTimer: () => () => undefined };

describe('the watch over requests', () => {
  it('answers for an agent that gives no sign of life, which then does nothing more for that request', { timeout: 30_000 }, async () => {
    const request = await asked(silent);
    await until(() => request.said() !== '');
    expect(request.said()).toBe('decline 0\n');
    expect([request.isWithdrawn(), request.isAnnounced()], 'launchers do without from now on').toEqual([true, false]);
    request.leave();
    await sleep(50);
    expect(request.files(), 'the slot is not the next one’s while the agent may still write to it').toEqual(['7.request', '7.withdrawn']);
    request.finish('0 0\n{}\n');
    await until(() => request.files().length === 0);
    expect(request.said()).toBe('decline 0\n');
  });

  it('leaves a request alone for as long as the agent lives', { timeout: 30_000 }, async () => {
    const request = await asked(systemClock);
    await sleep(5_000);
    expect([request.said(), request.isWithdrawn(), request.isAnnounced()]).toEqual(['', false, true]);
    request.finish('0 0\n{}\n');
    await until(() => request.said() === '0 0\n{}\n');
    request.leave();
    await until(() => request.files().length === 0);
  });
});

describe('ports of a request that was withdrawn', () => {
  it('do nothing any more, nor does what they returned before', async () => {
    const done: string[] = [];
    let withdrawn = false;
    const ports = guardedPorts(
      {
        bootId: 'b',
        nat: { nft: { apply: (text: string) => Promise.resolve(done.push(text)) }, nodeNamespace: 7 },
        openStore: (name: string) => ({
          write: (text: string) => void done.push(`${name} ${text}`),
          queues: { push: () => done.push('push') },
        }),
        read: () => ({ links: new Map([['a', 1]]), list: [1] }),
      },
      () => withdrawn,
    );
    const store = ports.openStore('n');
    store.write('1');
    await ports.nat.nft.apply('2');
    expect([ports.bootId, ports.nat.nodeNamespace, ports.read().links.get('a'), ports.read().list]).toEqual(['b', 7, 1, [1]]);
    withdrawn = true;
    for (const call of [
      () => store.write('3'),
      () => store.queues.push(),
      () => ports.nat.nft.apply('4'),
      () => ports.openStore('m'),
      ports.read,
    ])
      expect(call).toThrow(WithdrawnError);
    expect(done).toEqual(['n 1', '2']);
  });
});
