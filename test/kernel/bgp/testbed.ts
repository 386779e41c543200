import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetworkNamespace, systemRunner } from '../../../src/kernel/command-runner.ts';

/** Namespaces joined by a bridge in a namespace of its own, with programs running in them; nothing of it touches the host's own namespace. */
export interface Testbed {
  /** A namespace with eth0 at 192.168.88.`index` and fd00:88::`index`, and a link `pods` that holds the addresses given. */
  node(index: number, podAddresses?: readonly string[]): Promise<TestNode>;
  teardown(): Promise<void>;
}

export interface TestNode {
  readonly namespace: string;
  readonly address: string;
  run(command: string, ...args: string[]): Promise<string>;
  /** Starts a program that ends with the testbed. */
  start(command: string, ...args: string[]): TestProcess;
  /** `podwire bgp` on this node's addresses. */
  podwire(...flags: string[]): TestProcess;
  setLink(state: 'up' | 'down'): Promise<void>;
  /** Routes of a protocol, both families, as `destination via gateway`. */
  routes(protocol: number): Promise<string[]>;
}

export interface TestProcess {
  readonly output: () => string;
  /** Ends it and waits; resolves with the exit code, null when a signal ended it. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
  /** Waits until it ends by itself. */
  ended(): Promise<number | null>;
}

const podwire = new URL('../../../src/cli/main.ts', import.meta.url).pathname;

export async function createTestbed(label: string): Promise<Testbed> {
  const prefix = `pwt-${label}-${process.pid}`;
  const hub = `${prefix}-hub`;
  const namespaces: string[] = [];
  const processes: TestProcess[] = [];
  const path = (namespace: string): string => `/run/netns/${namespace}`;
  const inside = async (namespace: string, command: string, ...args: string[]): Promise<string> =>
    (await inNetworkNamespace(systemRunner, path(namespace)).run(command, args)).stdout;

  async function addNamespace(name: string): Promise<void> {
    await systemRunner.run('ip', ['netns', 'add', name]);
    namespaces.push(name);
    await inside(name, 'ip', 'link', 'set', 'lo', 'up');
  }

  function start(namespace: string, command: string, ...args: string[]): TestProcess {
    const child = spawn('nsenter', [`--net=${path(namespace)}`, '--', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const made = watch(child);
    processes.push(made);
    return made;
  }

  await addNamespace(hub);
  await inside(hub, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
  await inside(hub, 'ip', 'link', 'set', 'br0', 'up');

  return {
    async node(index, podAddresses = []) {
      const namespace = `${prefix}-${index}`;
      await addNamespace(namespace);
      await inside(hub, 'ip', 'link', 'add', `n${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      await inside(hub, 'ip', 'link', 'set', `n${index}`, 'master', 'br0', 'up');
      await inside(
        namespace,
        'sysctl',
        '-qw',
        'net.ipv4.ip_forward=1',
        'net.ipv6.conf.all.forwarding=1',
        'net.ipv6.conf.eth0.accept_dad=0',
        'net.ipv6.conf.eth0.keep_addr_on_down=1',
      );
      await inside(namespace, 'ip', 'addr', 'add', `192.168.88.${index}/24`, 'dev', 'eth0');
      await inside(namespace, 'ip', 'addr', 'add', `fd00:88::${index}/64`, 'dev', 'eth0', 'nodad');
      await inside(namespace, 'ip', 'link', 'set', 'eth0', 'up');
      await inside(namespace, 'ip', 'link', 'add', 'pods', 'type', 'bridge');
      await inside(namespace, 'ip', 'link', 'set', 'pods', 'up');
      for (const address of podAddresses)
        await inside(namespace, 'ip', 'addr', 'add', address, 'dev', 'pods', ...(address.includes(':') ? ['nodad'] : []));
      return {
        namespace,
        address: `192.168.88.${index}`,
        run: (command, ...args) => inside(namespace, command, ...args),
        start: (command, ...args) => start(namespace, command, ...args),
        podwire: (...flags) =>
          start(
            namespace,
            process.execPath,
            podwire,
            'bgp',
            '--local-address',
            `192.168.88.${index}`,
            '--local-address',
            `fd00:88::${index}`,
            ...flags,
          ),
        setLink: async (state) => void (await inside(namespace, 'ip', 'link', 'set', 'eth0', state)),
        async routes(protocol) {
          const lists = await Promise.all(
            ['-4', '-6'].map((family) => inside(namespace, 'ip', family, '-j', 'route', 'show', 'proto', String(protocol))),
          );
          const routes = lists.flatMap((text) => JSON.parse(text || '[]') as { dst: string; gateway?: string }[]);
          return routes.map(({ dst, gateway }) => `${dst} via ${gateway}`).sort();
        },
      };
    },
    async teardown() {
      await Promise.all(processes.map((each) => each.kill('SIGKILL')));
      for (const namespace of namespaces) await systemRunner.run('ip', ['netns', 'del', namespace], { acceptExitCodes: [1] });
    },
  };
}

function watch(child: ChildProcess): TestProcess {
  let output = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (bytes: Buffer) => (output = (output + bytes.toString()).slice(-100_000)));
  return {
    output: () => output,
    kill(signal) {
      child.kill(signal);
      return ended;
    },
    ended: () => ended,
  };
}

/** Asks until the answer fits, at most `limit` milliseconds; gives the last answer and how long it took. */
export async function until<T>(
  ask: () => Promise<T>,
  fits: (answer: T) => boolean,
  limit: number,
): Promise<{ answer: T; took: number; ok: boolean }> {
  const start = performance.now();
  for (;;) {
    const answer = await ask();
    const took = performance.now() - start;
    if (fits(answer) || took > limit) return { answer, took, ok: fits(answer) };
    await delay(50);
  }
}
