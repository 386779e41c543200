import { describe, expect, test } from 'vitest';
import { parseRule } from '../../src/dataplane/iptables-parse.ts';
import type { IptablesChange } from '../../src/dataplane/iptables-diff.ts';
import { CommandError } from '../../src/kernel/command-runner.ts';
import { createConntrack } from '../../src/kernel/conntrack.ts';
import { createFakeIptables } from '../../src/kernel/fake-iptables.ts';
import { createIptables } from '../../src/kernel/iptables.ts';
import { refusedRestores } from './refused-restores.ts';

const change: IptablesChange = {
  family: 4,
  tables: [
    {
      table: 'nat',
      operations: [
        { op: 'chain', chain: 'A' },
        { op: 'append', chain: 'A', rule: parseRule(4, '-p tcp -m tcp --dport 80 -j RETURN') },
      ],
    },
  ],
};

describe('the driver', () => {
  test('sends a change in one restore and reads it back', async () => {
    const kernel = createFakeIptables();
    const iptables = createIptables(kernel, 4);
    await iptables.check(change);
    expect(kernel.restores).toEqual([]);
    const bytes = await iptables.apply(change);
    expect(kernel.restores).toEqual([{ family: 4, input: '*nat\n:A - [0:0]\n-A A -p tcp -m tcp --dport 80 -j RETURN\nCOMMIT\n' }]);
    expect(bytes).toBe(kernel.restores[0]!.input.length);
    expect((await iptables.read()).tables.get('nat')!.get('A')).toEqual({ rules: [parseRule(4, '-p tcp -m tcp --dport 80 -j RETURN')] });
  });

  test('waits for the lock, and names the variant it was told to drive', async () => {
    const commands: string[] = [];
    const runner = {
      run: (command: string, args: readonly string[]) => {
        commands.push([command, ...args].join(' '));
        return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
      },
    };
    const iptables = createIptables(runner, 6, { variant: 'legacy', lockTimeout: 7 });
    await iptables.read();
    await iptables.apply(change);
    expect(commands).toEqual(['ip6tables-legacy-save', 'ip6tables-legacy-restore -w 7 --noflush']);
  });

  // As iptables 1.8.9 prints them, nf_tables and legacy.
  test.each([
    ['lock-held', 4, 'Another app is currently holding the xtables lock; still 1s 0us time ahead to have a chance to grab the lock...'],
    ['conflict', 1, 'iptables-nft-restore: line 3 failed: No chain/target/match by that name.'],
    ['conflict', 4, 'iptables-nft-restore v1.8.9 (nf_tables): \nline 3: CHAIN_DEL failed (Device or resource busy): chain A'],
    ['conflict', 1, 'iptables-nft-restore: line 3 failed: Bad rule (does a matching rule exist in that chain?).'],
    ['conflict', 2, "iptables-restore v1.8.9 (legacy): Couldn't load target `A':No such file or directory\n\nError occurred at line: 3"],
    ['conflict', 1, 'iptables-restore: line 4 failed'],
    ['refused', 2, 'iptables-restore v1.8.9 (legacy): unknown option "--foo"\nError occurred at line: 3'],
  ])('tells %s by its code', async (code, exitCode, stderr) => {
    const runner = { run: () => Promise.reject(new CommandError('failed', ['iptables-restore'], exitCode, stderr)) };
    await expect(createIptables(runner, 4).apply(change)).rejects.toMatchObject({ name: 'IptablesError', code });
  });

  test('names the line that was refused', async () => {
    const runner = { run: () => Promise.reject(new CommandError('failed', ['iptables-restore'], 2, 'Error occurred at line: 3')) };
    await expect(createIptables(runner, 4).apply(change)).rejects.toMatchObject({ line: '-A A -p tcp -m tcp --dport 80 -j RETURN' });
  });
});

describe('the fake kernel', () => {
  test.each([
    ...refusedRestores.map(([why, input]) => [why, input]),
    ['a comment that would be cut off', `*nat\n:A - [0:0]\n-A A -m comment --comment ${'c'.repeat(256)} -j RETURN\nCOMMIT\n`],
  ])('refuses %s and stays as it was', async (_, input) => {
    const kernel = createFakeIptables();
    await expect(kernel.run('iptables-restore', ['--noflush'], { input: input! })).rejects.toThrow(CommandError);
    expect(kernel.rules(4).tables.size).toBe(0);
    expect(kernel.restores).toEqual([]);
  });

  test('has done the tables before the one it refuses', async () => {
    const kernel = createFakeIptables();
    const input = '*nat\n:A - [0:0]\nCOMMIT\n*filter\n-A NOWHERE -j ACCEPT\nCOMMIT\n';
    await expect(kernel.run('iptables-restore', ['--noflush'], { input })).rejects.toThrow('line 5 failed');
    expect([...kernel.rules(4).tables.keys()]).toEqual(['nat']);
  });
});

describe('conntrack', () => {
  const group = (backend: string) => ({ destination: '10.96.0.10', destinationPort: 53, backend, backendPort: 5353 });

  test('deletes many groups of flows in one process, and one by one where the tool is too old for that', async () => {
    const commands: string[] = [];
    let isOld = false;
    const conntrack = createConntrack({
      run(command, args, options) {
        commands.push([command, ...args, options?.input ?? ''].join(' ').trim());
        if (command === 'sh' && isOld) return Promise.reject(new CommandError('failed', ['sh'], 2, "conntrack: invalid option -- 'R'"));
        return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
      },
    });
    await conntrack.deleteUdp(4, []);
    expect(commands).toEqual([]);
    await conntrack.deleteUdp(4, [group('10.0.0.1'), group('10.0.0.2')]);
    expect(commands).toHaveLength(1);
    isOld = true;
    await conntrack.deleteUdp(6, [group('fd00::1'), group('fd00::2')]);
    expect(commands.slice(2)).toEqual([
      'conntrack -D -f ipv6 -p udp -d 10.96.0.10 --dport 53 -r fd00::1 --reply-port-src 5353',
      'conntrack -D -f ipv6 -p udp -d 10.96.0.10 --dport 53 -r fd00::2 --reply-port-src 5353',
    ]);
  });
});
