import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningKubectl {
  /** What came so far. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  readonly finished: Promise<Finished>;
  stop(): void;
}

export interface KubectlOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts kubectl with these arguments in the scenario's folder. */
export type Kubectl = (args: readonly string[], options?: KubectlOptions) => RunningKubectl;

/** Longest time that a command may take (ms). */
const patience = 60_000;

/** One kubectl bound to a folder, its kubeconfig and its namespace. `cache` is shared by all scenarios of one version. */
export function kubectlIn(file: string, folder: string, cache: string, kubeconfig: string): Kubectl {
  const base = {
    PATH: process.env['PATH'],
    HOME: folder,
    TMPDIR: folder,
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: cache,
    // A process of a tenth of a second needs no garbage collection.
    GOGC: 'off',
  };
  return (args, { stdin = '', env = {} } = {}) => {
    const child = spawn(file, args, { cwd: folder, env: { ...base, ...env }, timeout: patience, killSignal: 'SIGKILL' });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    // Programs that end without reading their input close it: EPIPE is no fault.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    const finished = new Promise<Finished>((fulfil, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => fulfil({ code: code ?? (signal === 'SIGTERM' ? 143 : 137), ...output }));
    });
    finished.catch(() => {});
    return { output, finished, stop: () => void child.kill('SIGTERM') };
  };
}

/** Copies a kubeconfig with another default namespace; files that it names relative to itself are found from the copy too. */
export function writeKubeconfig(from: string, namespace: string, to: string): void {
  const config = parse(readFileSync(from, 'utf8'));
  const absolute = (owner: Record<string, string> | undefined, ...fields: string[]): void => {
    for (const field of fields) if (owner?.[field]) owner[field] = resolve(dirname(from), owner[field]);
  };
  for (const { cluster } of config.clusters ?? []) absolute(cluster, 'certificate-authority');
  for (const { user } of config.users ?? []) absolute(user, 'client-certificate', 'client-key', 'tokenFile');
  for (const { context } of config.contexts ?? []) context.namespace = namespace;
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, JSON.stringify(config), { mode: 0o600 });
}

export const kubeconfigIn = (folder: string): string => join(folder, '.kube', 'config');
