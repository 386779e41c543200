import { expect, test, vi } from 'vitest';
import { CommandError, inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { identify } from '../../src/kernel/processes.ts';
import { createStandby } from '../../src/kernel/standby.ts';

const { standby, listen } = systemRunner;

test('a program that waits gets its input and answers as one that is started for it', async () => {
  const waiting = standby!('cat', []);
  expect(await waiting.run('hello', 20_000)).toEqual({ stdout: 'hello', stderr: '', exitCode: 0 });
});

test('a program that waits fails as one that is started for it', async () => {
  await expect(standby!('sh', ['-c', 'cat >/dev/null; echo no >&2; exit 3']).run('x', 20_000)).rejects.toMatchObject({
    name: 'CommandError',
    reason: 'failed',
    exitCode: 3,
    stderr: 'no\n',
  });
  await expect(standby!('podwire-no-such-program', []).run('x', 20_000)).rejects.toMatchObject({ reason: 'not-installed' });
  await expect(standby!('sleep', ['60']).run('x', 50)).rejects.toMatchObject({ reason: 'timeout' });
  // It ended long before it was given anything.
  await expect(standby!('false', []).run('x'.repeat(1_000_000), 20_000)).rejects.toBeInstanceOf(CommandError);
});

test('the next program waits once the last was used, and none after the end', async () => {
  const started: string[] = [];
  const dismissed: number[] = [];
  const keeper = createStandby(
    {
      standby: (command, args) => {
        const number = started.push([command, ...args].join(' '));
        return { run: () => Promise.reject(new Error('not asked here')), dismiss: () => void dismissed.push(number) };
      },
    },
    'nft',
    ['--file', '-'],
  );
  expect(keeper.take()).toBeUndefined();
  keeper.renew();
  keeper.renew();
  expect(started).toEqual(['nft --file -']);
  expect(keeper.take()).toBeDefined();
  expect(keeper.take()).toBeUndefined();
  keeper.renew();
  keeper.close();
  keeper.renew();
  expect([started.length, dismissed]).toEqual([2, [2]]);
});

test('a program that goes on is heard line by line and ended with all it started', async () => {
  const lines: string[] = [];
  const ended = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<void>();
  const program = listen!('sh', ['-c', 'echo $$; echo two; exec sleep 600'], {
    line(text) {
      if (lines.push(text) === 2) heard.resolve();
    },
    ended: () => ended.resolve(),
  });
  await heard.promise;
  program.end();
  await ended.promise;
  expect(lines[1]).toBe('two');
  await vi.waitFor(() => expect(identify(Number(lines[0]))).toBeUndefined(), 10_000);
});

test('in a network namespace the same programs wait and go on there', () => {
  const commands: string[] = [];
  const runner = inNetworkNamespace(
    {
      run: () => Promise.reject(new Error('not asked here')),
      standby: (command, args) => {
        commands.push([command, ...args].join(' '));
        return { run: () => Promise.reject(new Error('not asked here')), dismiss: () => undefined };
      },
    },
    '/run/netns/a',
  );
  runner.standby!('nft', ['--file', '-']);
  expect(commands).toEqual(['nsenter --net=/run/netns/a -- nft --file -']);
  expect(runner.listen).toBeUndefined();
});
