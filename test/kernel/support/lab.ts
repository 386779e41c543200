import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabStatus } from '../../../src/lab/status.ts';

const podwireFile = join(import.meta.dirname, '../../../bin/podwire');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; timeout?: number } = {},
): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: options.timeout ?? 60_000, ...options });
  return { code: status, stdout: stdout ?? '', stderr: `${stderr ?? ''}${error && status === null ? error.message : ''}` };
}

export const podwire = (...args: string[]): Ran => run(podwireFile, args);

/** Every kubectl on this machine, oldest first: the one on the PATH and its versioned siblings. */
export function kubectls(): string[] {
  const found = run('sh', ['-c', 'command -v kubectl']).stdout.trim();
  if (found === '')
    throw new Error('kubectl is not installed: these tests need at least one kubectl from 1.27 on; install it from kubernetes.io');
  const folder = dirname(realpathSync(found));
  const versioned = readdirSync(folder)
    .filter((name) => /^kubectl\.1\.\d+$/.test(name))
    .sort()
    .map((name) => join(folder, name));
  return versioned.length > 0 ? versioned : [found];
}

/** Calls until it returns something other than undefined and false. Rejects with the last problem after `seconds`. */
export async function eventually<T>(
  what: string,
  seconds: number,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  let problem: unknown = 'nothing yet';
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      problem = error;
    }
  }
  throw new Error(`not within ${seconds} s: ${what} (${problem instanceof Error ? problem.message : String(problem)})`);
}

/** A lab of the test's own, with its own state folder and a free port. */
export interface TestLab {
  readonly name: string;
  readonly root: string;
  readonly kubeconfig: string;
  readonly nodes: readonly string[];
  podwire(...args: string[]): Ran;
  /** kubectl (the one on the PATH, or another) with this lab's kubeconfig; throws when it fails. */
  kubectl(...args: string[]): string;
  kubectlWith(program: string, ...args: string[]): Ran;
  /** kubectl apply of one object; throws when it fails. */
  apply(object: object): void;
  /** Runs a command in a node's network namespace. */
  onNode(node: string, ...words: string[]): Ran;
  /** Runs a command in a pod of the default namespace. */
  inPod(pod: string, ...words: string[]): Ran;
  spawnInPod(pod: string, ...words: string[]): ChildProcess;
  json<T = any>(...args: string[]): T;
  status(): LabStatus;
  down(): Ran;
  /** Removes everything, whatever state the lab is in. */
  destroy(): void;
}

let count = 0;

/** Names a lab; `up()` brings it up. */
export function testLab(): TestLab & { up(...args: string[]): Ran } {
  const name = `t${process.pid}-${count++}`;
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-'));
  const root = join(stateDir, 'labs', name);
  const kubeconfig = join(root, 'kubeconfig');
  const which = ['--name', name, '--state-dir', stateDir];
  const inLab = (sub: string, ...args: string[]): Ran => podwire('lab', sub, ...which, ...args);
  const kubectlWith = (program: string, ...args: string[]): Ran => run(program, args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
  const kubectl = (...args: string[]): string => {
    const { code, stdout, stderr } = kubectlWith('kubectl', ...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    name,
    root,
    kubeconfig,
    nodes: ['control', 'worker-1', 'worker-2'],
    podwire: inLab,
    up: (...args) => inLab('up', '--api-port', '0', ...args),
    kubectl,
    kubectlWith,
    apply(object) {
      const { code, stderr } = run('kubectl', ['apply', '-f', '-'], {
        input: JSON.stringify(object),
        env: { ...process.env, KUBECONFIG: kubeconfig },
      });
      if (code !== 0) throw new Error(`kubectl apply: ${stderr}`);
    },
    onNode: (node, ...words) => inLab('exec', node, '--', ...words),
    inPod: (pod, ...words) => inLab('pod-exec', pod, '--', ...words),
    spawnInPod: (pod, ...words) =>
      spawn(podwireFile, ['lab', 'pod-exec', ...which, pod, '--', ...words], { stdio: ['pipe', 'pipe', 'pipe'] }),
    json: (...args) => JSON.parse(kubectl(...args, '-o', 'json')),
    status: () => JSON.parse(inLab('status', '-o', 'json').stdout) as LabStatus,
    down: () => inLab('down'),
    destroy() {
      inLab('down');
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Process id of a daemon, as the supervisor wrote it down: `worker-1.agent`. */
export function daemonPid(lab: TestLab, component: string): number {
  return (JSON.parse(readFileSync(join(lab.root, 'processes', `${component}.json`), 'utf8')) as { pid: number }).pid;
}

/**
 * Everything of the host that a lab could leave behind. Equal before and after means that nothing was left. Namespaces of others, which may come
 * and go meanwhile, are not looked at: only those with the lab's name in them.
 */
export function hostState(lab: string): Record<string, string> {
  const isOthers = (line: string): boolean => line.includes('/run/netns/') && !line.includes(lab);
  const text = (program: string, ...args: string[]): string => run(program, args).stdout;
  return {
    namespaces: existsSync('/run/netns')
      ? readdirSync('/run/netns')
          .filter((name) => name.includes(lab))
          .sort()
          .join('\n')
      : '',
    links: text('ip', '-o', 'link').replace(/ (state|qlen|mode) \S+/g, ''),
    addresses: text('ip', '-o', 'addr').replace(/valid_lft.*/g, ''),
    routes: text('ip', 'route', 'show', 'table', 'all').replace(/expires \S+/g, '') + text('ip', 'rule'),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => !isOthers(line))
      .join('\n'),
    nft: text('nft', 'list', 'ruleset'),
    forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8') + readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8'),
  };
}

/** Command lines of running processes that name the text. */
export function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return words.includes(text) ? [`${pid} ${words}`] : [];
      } catch {
        return [];
      }
    });
}
