import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Two nodes joined by a cable, each with a bridge and two pods: a and b on node1, c and d on node2. */
export interface TwoNodes {
  /** Path of the network namespace of `node1`, `node2`, or a pod. */
  path(name: string): string;
  addressOf(pod: string, family: 4 | 6): string;
  /** Whether a connection can be opened, or with UDP an answer is had. `from` and `to` are pods, or `node1` and `node2`. */
  reaches(from: string, to: string, port: number, family: 4 | 6, protocol?: 'tcp' | 'udp'): Promise<boolean>;
  /** Opens a connection that stays, and later asks whether bytes still come back over it. */
  open(from: string, to: string, port: number, family: 4 | 6): Promise<boolean>;
  echoes(from: string, to: string, port: number, family: 4 | 6): Promise<boolean>;
  /** Starts a TypeScript file in the namespace, with this text as its input. Resolves at its first output. */
  run(name: string, file: string, input: string): Promise<ChildProcess>;
  close(): void;
}

const pods = { a: [1, 2], b: [1, 3], c: [2, 2], d: [2, 3] } as const;
const nodes = { node1: 1, node2: 2 } as const;

export async function createTwoNodes(): Promise<TwoNodes> {
  const prefix = `pw-test-np-${process.pid}`;
  const nameOf = (name: string): string => `${prefix}-${name}`;
  const path = (name: string): string => `/run/netns/${nameOf(name)}`;
  const all = [...Object.keys(nodes), ...Object.keys(pods)];
  const children: ChildProcess[] = [];
  const close = (): void => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of all) {
      try {
        execFileSync('ip', ['netns', 'delete', nameOf(name)], { stdio: 'ignore' });
      } catch {
        // Not made before the failure that brought us here.
      }
    }
  };
  const inside = (name: string, ...words: string[]): void =>
    void execFileSync('nsenter', [`--net=${path(name)}`, '--', ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const batch = (name: string, lines: string[]): void =>
    void execFileSync('nsenter', [`--net=${path(name)}`, '--', 'ip', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      stdio: ['pipe', 'ignore', 'pipe'],
    });

  const addressOf = (name: string, family: 4 | 6): string => {
    if (name in nodes) return family === 4 ? `192.168.77.${nodes[name as 'node1']}` : `fd00:77::${nodes[name as 'node1']}`;
    const [node, host] = pods[name as 'a'];
    return family === 4 ? `10.244.${node}.${host}` : `fd00:10:244:${node}::${host}`;
  };
  const probers = new Map<string, (order: object) => Promise<boolean>>();

  const run: TwoNodes['run'] = (name, file, input) =>
    new Promise((resolve, reject) => {
      const child = spawn('nsenter', [`--net=${path(name)}`, '--', process.execPath, file], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      child.once('exit', (code, signal) => reject(new Error(`${file} ended with ${code ?? signal}`)));
      child.stdout.once('data', () => resolve(child));
      child.stdin.end(input);
    });

  async function startProber(name: string): Promise<void> {
    const child = spawn('nsenter', [`--net=${path(name)}`, '--', process.execPath, new URL('./prober.ts', import.meta.url).pathname], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const waiting = new Map<number, (ok: boolean) => void>();
    let next = 0;
    const ready = Promise.withResolvers<void>();
    child.once('exit', (code) => ready.reject(new Error(`the prober of ${name} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as { ready?: true; id?: number; ok?: boolean };
      if (message.ready) ready.resolve();
      else waiting.get(message.id!)?.(message.ok!);
    });
    probers.set(name, (order) => {
      const id = next++;
      child.stdin.write(`${JSON.stringify({ ...order, id })}\n`);
      return new Promise((resolve) => waiting.set(id, resolve));
    });
    await ready.promise;
  }

  try {
    for (const name of all) execFileSync('ip', ['netns', 'add', nameOf(name)]);
    for (const name of all) inside(name, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
    batch('node1', [`link add eth0 type veth peer name eth0 netns ${nameOf('node2')}`]);
    for (const [node, number] of Object.entries(nodes)) {
      inside(
        node,
        'sysctl',
        '-qw',
        'net.ipv4.ip_forward=1',
        'net.ipv6.conf.all.forwarding=1',
        'net.bridge.bridge-nf-call-iptables=1',
        'net.bridge.bridge-nf-call-ip6tables=1',
      );
      batch(node, [
        'link set lo up',
        'link set eth0 up',
        `address add 192.168.77.${number}/24 dev eth0`,
        `address add fd00:77::${number}/64 dev eth0 nodad`,
        'link add podwire0 type bridge',
        'link set podwire0 up',
        `address add 10.244.${number}.1/24 dev podwire0`,
        `address add fd00:10:244:${number}::1/64 dev podwire0 nodad`,
        `route add 10.244.${3 - number}.0/24 via 192.168.77.${3 - number}`,
        `route add fd00:10:244:${3 - number}::/64 via fd00:77::${3 - number}`,
      ]);
    }
    for (const [pod, [number, host]] of Object.entries(pods)) {
      batch(`node${number}`, [
        `link add veth-${pod} type veth peer name eth0 netns ${nameOf(pod)}`,
        `link set veth-${pod} master podwire0 up`,
      ]);
      batch(pod, [
        'link set lo up',
        'link set eth0 up',
        `address add 10.244.${number}.${host}/24 dev eth0`,
        `address add fd00:10:244:${number}::${host}/64 dev eth0 nodad`,
        `route add default via 10.244.${number}.1`,
        `route add default via fd00:10:244:${number}::1`,
      ]);
    }
    await Promise.all(all.map(startProber));
  } catch (error) {
    close();
    throw error;
  }

  const order = (op: string, from: string, to: string, port: number, family: 4 | 6): Promise<boolean> =>
    probers.get(from)!({ op, host: addressOf(to, family), port });
  return {
    path,
    addressOf,
    run,
    close,
    reaches: (from, to, port, family, protocol = 'tcp') => order(protocol === 'udp' ? 'udp' : 'connect', from, to, port, family),
    open: (from, to, port, family) => order('open', from, to, port, family),
    echoes: (from, to, port, family) => order('echo', from, to, port, family),
  };
}
