import { execFile, execFileSync, type ExecFileException, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

export interface CniAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
}

/** A node made of one network namespace, the executable, and pods made of namespaces. All of it is gone after `close`. */
export interface CniNode {
  readonly namespace: string;
  readonly dataDir: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Makes an empty pod namespace and returns its path. */
  addPod(name: string): string;
  removePod(name: string): void;
  podPath(name: string): string;
  /** Runs the executable in the node. `config` is laid over the node's. */
  cni(
    command: string,
    pod: string | undefined,
    options?: { config?: object; environment?: Record<string, string>; containerId?: string },
  ): Promise<CniAnswer>;
  /** Starts it and gives the running process; standard input is written. */
  start(command: string, pod: string, config?: object): ReturnType<typeof spawn>;
  /** Runs a program in the node, or in a pod. Returns standard output; throws when it fails. */
  exec(words: string, pod?: string): string;
  /** Links of the node except loopback. */
  links(): string[];
  /** All files below the state folder that name an attachment. */
  files(): string[];
  close(): void;
}

export const executable = join(root, 'dist/cni/podwire-cni');

/** What the executable gets to see: no Node anywhere. */
const bareEnvironment = { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' };

export function buildExecutable(): void {
  execFileSync(join(root, 'node_modules/node/bin/node'), [join(root, 'scripts/build-cni.ts')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** @param program what runs instead of the built executable */
export function createCniNode(label: string, program: (dataDir: string) => string = () => executable): CniNode {
  const prefix = `pwcni-${process.pid}-${label}`;
  const dataDir = mkdtempSync(join(tmpdir(), `${prefix}-`));
  const made = new Set<string>();
  const addNamespace = (name: string): string => {
    execFileSync('ip', ['netns', 'add', name]);
    made.add(name);
    return `/run/netns/${name}`;
  };
  const removeNamespace = (name: string): void => {
    if (made.delete(name)) execFileSync('ip', ['netns', 'delete', name]);
  };
  const namespace = addNamespace(prefix);
  execFileSync('nsenter', [`--net=${namespace}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  execFileSync('nsenter', [`--net=${namespace}`, 'ip', 'link', 'set', 'lo', 'up']);
  const config = {
    cniVersion: '1.1.0',
    name: 'podwire',
    type: 'podwire-cni',
    bridge: 'podwire0',
    isDefaultGateway: true,
    hairpinMode: true,
    ipam: { type: 'podwire-ipam', dataDir, ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]] },
  };
  const podPath = (name: string): string => `/run/netns/${prefix}.${name}`;
  const environmentOf = (command: string, pod: string | undefined, containerId = `container-${pod}`): Record<string, string> => ({
    ...bareEnvironment,
    CNI_COMMAND: command,
    CNI_PATH: '/nowhere',
    ...(pod === undefined
      ? {}
      : {
          CNI_CONTAINERID: containerId,
          CNI_IFNAME: 'eth0',
          CNI_NETNS: podPath(pod),
          CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
        }),
  });
  const inNode = [`--net=${namespace}`, '--', program(dataDir)];
  return {
    namespace,
    dataDir,
    config,
    podPath,
    addPod: (name) => addNamespace(`${prefix}.${name}`),
    removePod: (name) => removeNamespace(`${prefix}.${name}`),
    cni: (command, pod, options = {}) =>
      new Promise((done) => {
        const env = { ...environmentOf(command, pod, options.containerId), ...options.environment };
        const child = execFile('nsenter', inNode, { env, timeout: 60_000 }, (error: ExecFileException | null, stdout, stderr) => {
          let json: unknown;
          try {
            json = JSON.parse(stdout);
          } catch {
            json = undefined;
          }
          done({ exitCode: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr, json });
        });
        child.stdin!.on('error', () => {});
        child.stdin!.end(JSON.stringify({ ...config, ...options.config }));
      }),
    start(command, pod, over = {}) {
      const child = spawn('nsenter', inNode, { env: environmentOf(command, pod), stdio: ['pipe', 'ignore', 'ignore'] });
      child.stdin.on('error', () => {});
      child.stdin.end(JSON.stringify({ ...config, ...over }));
      return child;
    },
    exec: (words, pod) =>
      execFileSync('nsenter', [`--net=${pod === undefined ? namespace : podPath(pod)}`, '--', ...words.split(' ')], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    links: () =>
      execFileSync('nsenter', [`--net=${namespace}`, 'ip', '-brief', 'link'], { encoding: 'utf8' })
        .split('\n')
        .map((line) => line.split(/[\s@]/)[0]!)
        .filter((name) => name !== '' && name !== 'lo'),
    files: () =>
      readdirSync(dataDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== 'journal' && !/\/(notes|queues)$/.test(entry.parentPath))
        .map((entry) => join(entry.parentPath, entry.name)),
    close() {
      for (const name of [...made].reverse()) removeNamespace(name);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
