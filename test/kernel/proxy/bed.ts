// Two nodes with pods, a client outside of the cluster, and a switch between them, each in its own network namespace.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CommandRunner, inNetworkNamespace, systemRunner } from '../../../src/kernel/command-runner.ts';
import type { PeerAnswer, PeerRequest } from './peer-process.ts';

export type Place = 'node1' | 'node2' | 'podA' | 'podB' | 'podC' | 'client';

/** Addresses of each place, IPv4 and IPv6. */
export const addresses: Record<Place, readonly [string, string]> = {
  node1: ['192.168.88.11', 'fd00:88::11'],
  node2: ['192.168.88.12', 'fd00:88::12'],
  client: ['192.168.88.100', 'fd00:88::100'],
  podA: ['10.244.1.2', 'fd00:10:244:1::2'],
  podB: ['10.244.1.3', 'fd00:10:244:1::3'],
  podC: ['10.244.2.2', 'fd00:10:244:2::2'],
};

export interface Bed {
  runner(place: Place): CommandRunner;
  ask(place: Place, request: PeerRequest): Promise<PeerAnswer>;
  stop(): Promise<void>;
}

export async function startBed(tag: string): Promise<Bed> {
  const prefix = `pwp${process.pid}${tag}`;
  const namespaces = new Map<string, string>();
  const children: ChildProcess[] = [];
  const run = (...args: string[]) => systemRunner.run('ip', args);
  const inside = (place: string): CommandRunner => inNetworkNamespace(systemRunner, `/run/netns/${namespaces.get(place)}`);
  const ip = (place: string, ...lines: string[]) => inside(place).run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  const stop = async (): Promise<void> => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of namespaces.values()) await run('netns', 'del', name).catch(() => undefined);
  };

  try {
    for (const place of ['switch', ...Object.keys(addresses)]) {
      namespaces.set(place, `${prefix}-${place}`);
      await run('netns', 'add', `${prefix}-${place}`);
      await ip(place, 'link set lo up');
    }
    await ip('switch', 'link add br0 type bridge', 'link set br0 up');
    for (const node of ['node1', 'node2', 'client'] as const) {
      const [v4, v6] = addresses[node];
      await ip('switch', `link add ${node} type veth peer name eth0 netns ${namespaces.get(node)}`, `link set ${node} master br0 up`);
      await ip(node, `addr add ${v4}/24 dev eth0`, `addr add ${v6}/64 dev eth0 nodad`, 'link set eth0 up');
    }
    for (const [node, index, pods] of [
      ['node1', 1, ['podA', 'podB']],
      ['node2', 2, ['podC']],
    ] as const) {
      // Forwarding first; bridged packets of pods go through iptables, as the cluster's nodes have it.
      const sysctls = [
        'net/ipv4/ip_forward',
        'net/ipv6/conf/all/forwarding',
        'net/bridge/bridge-nf-call-iptables',
        'net/bridge/bridge-nf-call-ip6tables',
      ];
      await ip(
        node,
        'link add podwire0 type bridge',
        `addr add 10.244.${index}.1/24 dev podwire0`,
        `addr add fd00:10:244:${index}::1/64 dev podwire0 nodad`,
        'link set podwire0 up',
      );
      for (const sysctl of sysctls) await inside(node).run('sh', ['-c', 'echo 1 > "/proc/sys/$1"', 'sh', sysctl]);
      for (const pod of pods) {
        const [v4, v6] = addresses[pod];
        await ip(
          node,
          `link add ${pod} type veth peer name eth0 netns ${namespaces.get(pod)}`,
          `link set ${pod} master podwire0 up`,
          `link set ${pod} type bridge_slave hairpin on`,
        );
        await ip(
          pod,
          `addr add ${v4}/24 dev eth0`,
          `addr add ${v6}/64 dev eth0 nodad`,
          'link set eth0 up',
          `route add default via 10.244.${index}.1`,
          `route add default via fd00:10:244:${index}::1`,
        );
      }
    }
    for (const [place, other, index] of [
      ['node1', 'node2', 2],
      ['node2', 'node1', 1],
    ] as const) {
      await ip(
        place,
        `route add 10.244.${index}.0/24 via ${addresses[other][0]}`,
        `route add fd00:10:244:${index}::/64 via ${addresses[other][1]}`,
      );
      // As every node has one: without any route to a cluster IP the kernel gives up before it asks the rules.
      await ip(place, 'route add default dev eth0', 'route add ::/0 dev eth0');
    }
    // The client knows the way to cluster IPs only by node1; pods are not routed for it.
    await ip('client', `route add 10.96.0.0/16 via ${addresses.node1[0]}`, `route add fd00:10:96::/112 via ${addresses.node1[1]}`);
  } catch (error) {
    await stop();
    throw error;
  }

  const peers = new Map<Place, ChildProcess>();
  const peerOf = (place: Place): ChildProcess => {
    const known = peers.get(place);
    if (known) return known;
    const script = fileURLToPath(new URL('./peer-process.ts', import.meta.url));
    const child = spawn('nsenter', [`--net=/run/netns/${namespaces.get(place)}`, '--', process.execPath, script, place], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    children.push(child);
    peers.set(place, child);
    return child;
  };
  let queue = new Map<Place, Promise<unknown>>();
  const ask = (place: Place, request: PeerRequest): Promise<PeerAnswer> => {
    const before = queue.get(place) ?? Promise.resolve();
    const answer = before.then(
      () =>
        new Promise<PeerAnswer>((resolve, reject) => {
          const child = peerOf(place);
          child.removeAllListeners('exit').removeAllListeners('message');
          child.once('message', (message) => resolve(message as PeerAnswer));
          child.once('exit', (code) => reject(new Error(`the peer in ${place} ended with ${code}`)));
          child.send(request);
        }),
    );
    queue.set(
      place,
      answer.catch(() => undefined),
    );
    return answer;
  };
  return {
    runner: inside,
    ask,
    async stop() {
      queue = new Map();
      await stop();
    },
  };
}
