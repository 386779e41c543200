import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { command } from '../../src/cli/cni.ts';
// Loaded here, for it takes longer than a test may on a busy machine.
import '../../src/cli/cni-check.ts';
import '../../src/cli/cni-explain.ts';
import '../../src/cli/cni-install.ts';
import { journalPath } from '../../src/storage/claim-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-cli-cni-'));
});
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** What the command prints, and the process's exit code. @throws CommanderError for wrong usage */
async function run(...words: string[]): Promise<{ stdout: string; exitCode: unknown }> {
  let stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const cni = command();
  for (const each of [cni, ...cni.commands]) each.exitOverride().configureOutput({ writeErr: () => undefined });
  await cni.parseAsync(words, { from: 'user' });
  vi.restoreAllMocks();
  return { stdout, exitCode: process.exitCode };
}

describe('podwire cni', () => {
  it.each([
    [['install'], '--pod-cidr, or --kubeconfig'],
    [['install', '--pod-cidr', '10.1.1.1/24'], 'host bits'],
    [['install', '--pod-cidr', '10.1.0.0/24', '--kubeconfig', 'x'], 'either --pod-cidr'],
    [['install', '--pod-cidr', '10.1.0.0/24', '--follow'], 'belong together'],
    [['install', '--kubeconfig', 'x'], 'belong together'],
    [['install', '--pod-cidr', '10.1.0.0/24', '--cni-version', '9'], 'Allowed choices'],
    [['explain', 'GC'], 'Allowed choices are ADD, DEL'],
    [['explain', '--address', 'x'], '10.1.0.7/24'],
    [['journal', '--at', 'noon'], '2026-01-01T12:00:00Z'],
    [['check', '-o', 'xml'], 'json, yaml or wide'],
  ])('%j is refused', async (words, text) => {
    await expect(run(...words)).rejects.toThrow(CommanderError);
    await expect(run(...words)).rejects.toThrow(text);
  });

  it('installs only ranges that fit together', async () => {
    const executable = join(folder, 'executable');
    writeFileSync(executable, '#!/bin/sh\n');
    const folders = ['--conf-dir', folder, '--bin-dir', folder, '--executable', executable];
    await expect(run('install', '--pod-cidr', '10.1.0.0/24', '--pod-cidr', '10.2.0.0/24', ...folders)).rejects.toThrow(
      'two of the same family',
    );
    await expect(run('install', '--pod-cidr', '10.1.0.0/24', '--bridge', 'a b', ...folders)).rejects.toThrow('"a b" is not a link name');
  });

  it('check goes on when the Node cannot be read, and says so', async () => {
    const folders = ['--conf-dir', join(folder, 'net.d'), '--bin-dir', folder, '--executable', join(folder, 'none')];
    const { stdout, exitCode } = await run('check', ...folders, '--kubeconfig', join(folder, 'none'), '--node-name', 'n1', '-o', 'json');
    expect(exitCode).toBe(1);
    expect((JSON.parse(stdout) as { problem: string }[]).map(({ problem }) => problem)).toEqual([
      expect.stringContaining('the pod CIDRs of Node n1 cannot be read: '),
      expect.stringContaining('is missing; build it with'),
      `${join(folder, 'net.d')} holds no network configuration`,
    ]);
  });

  it('journal prints a table, wide, json and yaml, and fails when nobody is found', async () => {
    writeFileSync(journalPath(folder), '2026-01-01T00:00:00.000Z reserved 10.0.0.2 default/web eth0 c1 boot=b1\n');
    const journal = (...words: string[]) =>
      run('journal', '--state-dir', join(folder, '..'), '--network', folder.split('/').at(-1)!, ...words);
    expect((await journal()).stdout).toBe(
      'ADDRESS    POD           FROM                       UNTIL    END\n10.0.0.2   default/web   2026-01-01T00:00:00.000Z   <none>   reboot\n',
    );
    expect((await journal('-o', 'wide')).stdout).toContain('INTERFACE   CONTAINER');
    expect(JSON.parse((await journal('web', '-o', 'json')).stdout)).toMatchObject([{ address: '10.0.0.2', containerId: 'c1' }]);
    expect((await journal('-o', 'yaml')).stdout).toContain('- address: 10.0.0.2\n');
    expect((await journal()).exitCode).toBeUndefined();
    expect((await journal('nobody')).exitCode).toBe(1);
  });
});
