// How long from a built checkout to the first answer of http://web across nodes. Beside it, in the same round, the least that the
// kernel and the programs can do: the same two nodes and pods wired by hand with static routes, no cluster at all.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchOptions, median, type Report } from './table.ts';

const root = join(import.meta.dirname, '..');
const podwire = join(root, 'bin/podwire');

interface UpResult {
  readonly seconds: number;
  readonly steps: readonly { readonly title: string; readonly seconds: number }[];
}

export async function bench({ rounds, progress }: BenchOptions): Promise<Report> {
  const ours: UpResult[] = [];
  const reference: number[] = [];
  const downs: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    reference.push(await byHand());
    const state = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
    const which = ['--name', `bench-${process.pid}`, '--state-dir', state];
    try {
      ours.push(
        JSON.parse(
          execFileSync(podwire, ['lab', 'up', ...which, '--api-port', '0', '--demo', '-o', 'json'], {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'inherit'],
          }),
        ) as UpResult,
      );
    } finally {
      const start = performance.now();
      execFileSync(podwire, ['lab', 'down', ...which], { stdio: 'ignore' });
      downs.push((performance.now() - start) / 1000);
      rmSync(state, { recursive: true, force: true });
    }
  }
  const titles = ours[0]!.steps.map(({ title }) => title.replace(/pod web-\S+,/, 'a pod,'));
  return {
    name: 'lab-up',
    method: `Median of ${rounds} rounds. Ours: three nodes with API server, controllers, agents and pod runners, the three kubectl commands, until every pod has answered curl http://web. Reference: two nodes with one pod each, made by hand with ip and static routes, until curl has an answer across them; no cluster.`,
    references: ['by hand'],
    rows: [
      { name: 'all', ours: median(ours.map(({ seconds }) => seconds)), references: [median(reference)], unit: 's' },
      ...titles.map((name, index) => ({
        name: `  ${name}`,
        ours: median(ours.map(({ steps }) => steps[index]!.seconds)),
        references: [],
        unit: 's',
      })),
      { name: 'down', ours: median(downs), references: [], unit: 's' },
    ],
  };
}

/** Two nodes, two pods, static routes, one web server, one curl. Seconds until its answer. */
async function byHand(): Promise<number> {
  const name = (part: string): string => `bench${process.pid}-${part}`;
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const batch = (namespace: string, lines: readonly string[]): void =>
    void execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'ignore', 'pipe'] });
  const [a, b, podA, podB] = ['a', 'b', 'pod-a', 'pod-b'].map(name) as [string, string, string, string];
  const start = performance.now();
  let server: ReturnType<typeof spawn> | undefined;
  try {
    for (const namespace of [a, b, podA, podB]) ip('netns', 'add', namespace);
    batch(a, [
      `link add under type veth peer name under netns ${b}`,
      `link add pod type veth peer name eth0 netns ${podA}`,
      'addr add 192.168.88.1/24 dev under',
      'addr add 10.244.0.1/24 dev pod',
      'link set under up',
      'link set pod up',
      'route add 10.244.1.0/24 via 192.168.88.2',
    ]);
    batch(b, [
      `link add pod type veth peer name eth0 netns ${podB}`,
      'addr add 192.168.88.2/24 dev under',
      'addr add 10.244.1.1/24 dev pod',
      'link set under up',
      'link set pod up',
      'route add 10.244.0.0/24 via 192.168.88.1',
    ]);
    batch(podA, ['addr add 10.244.0.2/24 dev eth0', 'link set eth0 up', 'route add default via 10.244.0.1']);
    batch(podB, ['addr add 10.244.1.2/24 dev eth0', 'link set eth0 up', 'route add default via 10.244.1.1']);
    for (const namespace of [a, b])
      execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    server = spawn(
      'nsenter',
      [`--net=/run/netns/${podB}`, '--', process.execPath, '-e', "require('node:http').createServer((q, r) => r.end('ok')).listen(80)"],
      { stdio: 'ignore' },
    );
    for (let tries = 0; tries < 500; tries++) {
      try {
        execFileSync('nsenter', [`--net=/run/netns/${podA}`, '--', 'curl', '-sS', '--max-time', '1', 'http://10.244.1.2'], {
          stdio: 'ignore',
        });
        return (performance.now() - start) / 1000;
      } catch {
        await sleep(5);
      }
    }
    throw new Error('the pods wired by hand did not answer');
  } finally {
    server?.kill('SIGKILL');
    for (const namespace of [a, b, podA, podB]) {
      try {
        ip('netns', 'del', namespace);
      } catch {
        // It was not made.
      }
    }
  }
}
