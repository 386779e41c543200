import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createPipeline, type Layout } from './layouts.ts';
import { clusterIP, objectsOf, sliceOf } from './objects.ts';

/** Medians of a TCP connect from a pod to a server, in microseconds; undefined without perl. */
export interface ConnectTimes {
  readonly direct: number;
  readonly first: number;
  readonly last: number;
}

const server = '192.0.2.130';
const serverProgram = "require('node:net').createServer((socket) => socket.on('error', () => {}).resume()).listen(8080, '0.0.0.0', 4096)";

/**
 * A client and a server in namespaces of their own, and this one as the node between them, with so many services loaded. All connections are made by
 * turns: straight to the server, through the first and through the last service.
 */
export async function connectTimes(task: { layout: Layout; services: number; rounds: number }): Promise<ConnectTimes | undefined> {
  const { layout, services, rounds } = task;
  const objects = objectsOf(services);
  for (const index of [0, services - 1]) objects.slices[index] = sliceOf(index, [server]);
  const children: ChildProcess[] = [];
  try {
    const [client, serving] = [place(['sleep', '600']), place([process.execPath, '-e', serverProgram])];
    children.push(client, serving);
    const [clientPid, serverPid] = [`${client.pid}`, `${serving.pid}`];
    await Promise.all([client, serving].map((child) => new Promise((resolve) => child.once('spawn', resolve))));
    await settled(() => inside(serverPid, ['ip', 'link', 'set', 'lo', 'up']));
    await settled(() => inside(clientPid, ['ip', 'link', 'set', 'lo', 'up']));
    wire('client', clientPid, '192.0.2.1/25', '192.0.2.2/25');
    wire('server', serverPid, '192.0.2.129/25', `${server}/25`);
    inside(clientPid, ['ip', 'route', 'add', 'default', 'via', '192.0.2.1']);
    inside(serverPid, ['ip', 'route', 'add', 'default', 'via', '192.0.2.129']);
    execFileSync('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    await createPipeline(layout).sync(objects);
    const perl = (port: number, ...addresses: string[]): number[] =>
      inside(clientPid, ['perl', `${import.meta.dirname}/connect.pl`, `${rounds}`, `${port}`, ...addresses])
        .trim()
        .split(' ')
        .map(Number);
    try {
      await settled(() => perl(80, clusterIP(0)));
    } catch (error) {
      if ((error as { stderr?: string }).stderr?.includes('No such file')) return undefined;
      throw error;
    }
    const [first = 0, last = 0] = perl(80, clusterIP(0), clusterIP(services - 1));
    const [direct = 0] = perl(8080, server);
    return { direct, first, last };
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

/** A process in a network namespace of its own. */
const place = (command: readonly string[]): ChildProcess => spawn('unshare', ['--net', '--', ...command], { stdio: 'ignore' });

const inside = (pid: string, command: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, '--', ...command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function wire(name: string, pid: string, here: string, there: string): void {
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pid);
  ip('addr', 'add', here, 'dev', name);
  ip('link', 'set', name, 'up');
  inside(pid, ['ip', 'addr', 'add', there, 'dev', 'eth0']);
  inside(pid, ['ip', 'link', 'set', 'eth0', 'up']);
}

/** Tries until it goes well, for ten seconds. */
async function settled<T>(attempt: () => T): Promise<T> {
  const start = performance.now();
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (performance.now() - start > 10_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
