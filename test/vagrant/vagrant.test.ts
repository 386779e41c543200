import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(program, args, { cwd: join(root, 'vagrant'), encoding: 'utf8', env: { ...process.env, ...env } });

describe('vagrant/', () => {
  it('has a Vagrantfile that vagrant accepts', () => {
    const home = mkdtempSync(join(tmpdir(), 'podwire-vagrant-'));
    try {
      const { status, stdout, stderr } = run('vagrant', ['validate', '--ignore-provider'], {
        VAGRANT_HOME: home,
        VAGRANT_DOTFILE_PATH: join(home, 'dot'),
      });
      expect(`${stdout}${stderr}`).toContain('Vagrantfile validated successfully');
      expect(status).toBe(0);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  }, 60_000);

  it('has a provisioning script that shellcheck finds nothing in', () => {
    const { status, stdout } = run('shellcheck', ['provision.sh']);
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  it('makes credentials in one folder per node, readable by their owner alone', () => {
    const out = mkdtempSync(join(tmpdir(), 'podwire-credentials-'));
    try {
      const { status, stderr } = run(process.execPath, [
        join(root, 'src/cli/main.ts'),
        'node',
        'credentials',
        '--file',
        'lab.yaml',
        '--out',
        out,
      ]);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const files = (node: string): string[] =>
        readdirSync(join(out, node), { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(out, node, file)).isFile());
      expect(files('worker-1').sort()).toEqual(
        ['agent.kubeconfig', 'ca.crt', 'pod-runner.crt', 'pod-runner.key', 'pod-runner.kubeconfig'].map((name) => `nodes/worker-1/${name}`),
      );
      expect(statSync(join(out, 'worker-1/nodes/worker-1/pod-runner.key')).mode & 0o077).toBe(0);
      expect(files('control')).toContain('pki/apiserver.key');
      for (const file of files('control')) expect(statSync(join(out, 'control', file)).mode & 0o077).toBe(0);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  }, 30_000);
});
