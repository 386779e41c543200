import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { CommandError, type CommandRunner, inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
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

test('the first input is given to a program started for it, the next to one that waits, and none waits after the end', async () => {
  const events: string[] = [];
  let fails = false;
  const answer = async (text: string) => {
    events.push(text);
    if (fails) throw new Error('refused');
    return { stdout: '', stderr: '', exitCode: 0 };
  };
  const runner: CommandRunner = {
    run: (command, args, options) => answer(`${command} ${args.join(' ')} started for ${options?.input}`),
    standby: (command, args) => {
      const number = events.push(`${command} ${args.join(' ')} waits`);
      return { run: (input) => answer(`the one of ${number} gets ${input}`), dismiss: () => void events.push(`the one of ${number} goes`) };
    },
  };
  const nft = createStandby(runner, true, 'nft', ['--file', '-']);
  await nft.run('a', 1_000);
  await nextTurn();
  fails = true;
  await expect(nft.run('b', 1_000)).rejects.toThrow('refused');
  await nextTurn();
  nft.close();
  fails = false;
  await nft.run('c', 1_000);
  const never = createStandby(runner, false, 'ipset', ['restore']);
  await never.run('d', 1_000);
  await nextTurn();
  await never.run('e', 1_000);
  expect(events).toEqual([
    'nft --file - started for a',
    'nft --file - waits',
    'the one of 2 gets b',
    'nft --file - waits',
    'the one of 4 goes',
    'nft --file - started for c',
    'ipset restore started for d',
    'ipset restore started for e',
  ]);
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
