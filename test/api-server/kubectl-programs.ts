import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Every kubectl on this machine by name: the one on the PATH, and kubectl.1.27 and the like beside it. Empty when there is none. */
export function findKubectls(): { name: string; file: string }[] {
  const file = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'kubectl'))
    .find(isExecutable);
  if (!file) return [];
  const folder = dirname(realpathSync(file));
  const versions = readdirSync(folder).filter((name) => /^kubectl\.1\.\d+$/.test(name) && isExecutable(join(folder, name)));
  return [{ name: 'kubectl', file }, ...versions.toSorted().map((name) => ({ name, file: join(folder, name) }))];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Kubectl = (args: readonly string[], input?: string) => Promise<Result>;

/** Runs one kubectl against a server; `folder` holds its configuration and cache. */
export function kubectlFor(file: string, server: string, folder: string): Kubectl {
  const kubeconfig = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  return async (args, input) => {
    const running = promisify(execFile)(file, args, {
      timeout: 30_000,
      env: { HOME: folder, KUBECONFIG: kubeconfig, PATH: process.env['PATH'] },
    });
    running.child.stdin?.end(input ?? '');
    try {
      return { code: 0, ...(await running) };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
      if (typeof code !== 'number') throw error;
      return { code, stdout, stderr };
    }
  };
}
