// What a service proxy owes its users over time: rows of the scenario list about states and changes rather than one packet. Each returns what was
// seen and what should have been, in words.
import { resolveProxyOptions } from '../../../src/kube-proxy/index.ts';
import { programmersOf } from '../../../src/kube-proxy/effects/programmers.ts';
import { silentLogger } from '../../../src/runtime/log.ts';
import { destinations, origins, type Variant } from '../../kube-proxy/scenario-objects.ts';
import { outOfWindow } from './out-of-window.ts';
import type { RowResult } from './scenario-runner.ts';
import { endpointAddresses, type Place } from './topology.ts';
import type { World } from './world.ts';

type Seen = readonly [got: unknown, wanted: unknown];

export interface StateRow {
  readonly title: string;
  /** Modes that do otherwise, and why. */
  readonly not?: Partial<Record<'iptables' | 'nftables' | 'ipvs', string>>;
  readonly only?: 'ipvs';
  run(world: World): Promise<Seen>;
}

const ready = [0, 1, 3];
const sticky = (timeoutSeconds: number) => ({
  sessionAffinity: 'ClientIP' as const,
  sessionAffinityConfig: { clientIP: { timeoutSeconds } },
});
const addressIn = (answer: string): string => answer.split(' ')[1] ?? answer;

/** The endpoints that answer `tries` connections from one address to the cluster IP. */
async function reached({ ask }: World, place: Place, from: string, tries: number, want = tries): Promise<string[]> {
  const probe = { protocol: 'TCP', host: destinations.clusterIP[0], port: 80, from, want, tries, timeout: 3_000 } as const;
  return (await ask(place, { op: 'probe', probes: [probe] })).split('; ').map(addressIn);
}

/** Asks again until the answer is as wanted, or the time (ms) is up. */
async function until<T>(check: () => Promise<T>, wanted: (value: T) => boolean, patience = 10_000): Promise<T> {
  for (const end = Date.now() + patience; ; ) {
    const value = await check();
    if (wanted(value) || Date.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Tracked UDP flows to the service's addresses. */
async function trackedUdp({ bed }: World, host: string): Promise<number> {
  const { stdout } = await bed.runner('node').run('conntrack', ['-L', '-p', 'udp', '--orig-dst', host]);
  return stdout.split('\n').filter((line) => line.includes('udp')).length;
}

const frontends: readonly (readonly [string, Place, string, number])[] = [
  ['cluster IP', 'pod', destinations.clusterIP[0], 80],
  ['node port', 'strangers', destinations.nodeIP[0], 30_080],
  ['load balancer', 'strangers', destinations.loadBalancerIP[0], 80],
];

const endpointText = (index: number, port = 8080): string => `${endpointAddresses[index]![0]}:${port}`;
const health = async ({ bed }: World): Promise<string> => {
  const url = `http://${destinations.nodeIP[0]}:30999/healthz`;
  return (
    await bed.runner('strangers').run('curl', ['-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}', url], { acceptExitCodes: [7, 28] })
  ).stdout;
};

export const stateRows: readonly StateRow[] = [
  {
    title: 'session affinity keeps a client on its endpoint, and off again it does not',
    async run(world) {
      const from = origins.pod[0];
      await world.set({ endpoints: ready });
      const before = (await reached(world, 'pod', from, 60, 2)).length > 1;
      await world.set({ endpoints: ready, spec: sticky(600) });
      const on = new Set(await reached(world, 'pod', from, 24)).size;
      await world.set({ endpoints: ready });
      const after =
        (
          await until(
            () => reached(world, 'pod', from, 60, 2),
            (each) => each.length > 1,
            3_000,
          )
        ).length > 1;
      return [
        [before, on, after],
        [true, 1, true],
      ];
    },
    not: { ipvs: 'a connection template outlives the change of the service until it times out' },
  },
  {
    title: 'session affinity expires',
    not: { ipvs: 'a template lives on as long as the kernel remembers the closed connections that belong to it, and in steps of a minute' },
    async run(world) {
      await world.set({ endpoints: ready, spec: sticky(1) });
      const clients = [
        ['pod', origins.pod[0]],
        ['strangers', origins.outsider[0]],
        ['strangers', origins.allowed[0]],
        ['strangers', origins.otherPod[0]],
      ] as const;
      const round = async (): Promise<string> =>
        (await Promise.all(clients.map(async ([place, from]) => (await reached(world, place, from, 1))[0]))).join();
      const first = await round();
      // Four clients of three endpoints all choose alike in one round of 81.
      const changed = async (): Promise<boolean> => {
        await pause(2_100);
        return (await round()) !== first;
      };
      return [(await changed()) || (await changed()) || (await changed()), true];
    },
  },
  ...frontends.flatMap(([kind, place, host, port]): StateRow[] => [
    {
      title: `UDP on one socket by ${kind}: an endpoint that goes is replaced, at zero the flow is forgotten, and it comes back`,
      async run(world) {
        const flow = `udp-${kind}`;
        const echo = (): Promise<string> => world.ask(place, { op: 'echo', flow, text: 'again', timeout: 500 });
        const reaches = (wanted: string): Promise<string> => until(echo, (line) => addressIn(line) === wanted).then(addressIn);
        await world.set({ endpoints: [0], protocol: 'UDP' });
        const first = addressIn(await world.ask(place, { op: 'open', flow, protocol: 'UDP', host, port }));
        await world.set({ endpoints: [3], protocol: 'UDP' });
        const second = await reaches(endpointText(3));
        await world.set({ endpoints: [], protocol: 'UDP' });
        const atZero = await until(
          () => trackedUdp(world, host),
          (count) => count === 0,
        );
        await world.set({ endpoints: [1], protocol: 'UDP' });
        const third = await reaches(endpointText(1));
        await world.set({ endpoints: [1], protocol: 'UDP', target: 9090 });
        const moved = await reaches(endpointText(1, 9090));
        await world.set({ endpoints: [1], protocol: 'UDP', target: 9090, gone: true });
        const deleted = await until(
          () => trackedUdp(world, host),
          (count) => count === 0,
        );
        await world.ask(place, { op: 'close', flow });
        return [
          [first, second, atZero, third, moved, deleted],
          [endpointText(0), endpointText(3), 0, endpointText(1), endpointText(1, 9090), 0],
        ];
      },
    },
  ]),
  {
    title: 'an open TCP connection survives that its endpoint is removed from the service',
    async run(world) {
      await world.set({ endpoints: [3] });
      const open = addressIn(
        await world.ask('pod', { op: 'open', flow: 'tcp', protocol: 'TCP', host: destinations.clusterIP[0], port: 80 }),
      );
      await world.set({ endpoints: [0] });
      const still = await world.ask('pod', { op: 'echo', flow: 'tcp', text: 'still here', timeout: 3_000 });
      const others = await reached(world, 'pod', origins.pod[0], 16);
      await world.ask('pod', { op: 'close', flow: 'tcp' });
      return [
        [open, still, others.join()],
        [endpointText(3), 'still here', endpointText(0)],
      ];
    },
  },
  {
    title: 'a packet outside of the window resets nothing',
    async run(world) {
      await world.set({ endpoints: [3] });
      return [await outOfWindow(world), 'sent, resets 0, the connection echoes'];
    },
  },
  {
    title: 'what is flushed is back within two sync periods',
    async run(world) {
      const syncPeriod = 1_000;
      const state = { endpoints: ready };
      await world.use(world.variant, { syncPeriod });
      await world.set(state);
      const before = Date.now();
      await world.set(state);
      // What two turns take on this machine, and as much again for the probes.
      const patience = 2 * syncPeriod + 2 * (Date.now() - before) + 1_000;
      await flush(world);
      const start = Date.now();
      const isServed = (each: readonly string[]): boolean => each[0]?.startsWith('10.244.') === true;
      const answer = await until(() => reached(world, 'pod', origins.pod[0], 1), isServed, 30_000);
      const took = Date.now() - start;
      await world.use(world.variant);
      return [
        [isServed(answer), took < patience ? 'in time' : `after ${took} ms`],
        [true, 'in time'],
      ];
    },
  },
  {
    title: 'killed without warning and started again, it breaks no TCP connection',
    async run(world) {
      const state = { endpoints: ready };
      await world.set(state);
      const open = (flow: string, protocol: 'TCP' | 'UDP', place: Place, host: string, port: number): Promise<string> =>
        world.ask(place, { op: 'open', flow, protocol, host, port });
      const flows: readonly (readonly [string, Place])[] = [
        ['tcp-in', 'pod'],
        ['tcp-out', 'strangers'],
      ];
      const opened = [
        await open('tcp-in', 'TCP', 'pod', destinations.clusterIP[0], 80),
        await open('tcp-out', 'TCP', 'strangers', destinations.nodeIP[0], 30_080),
      ].map((line) => /^(self|here|beyond) 10\.244\./.test(line));
      const echoes = (text: string): Promise<string[]> =>
        Promise.all(flows.map(([flow, place]) => world.ask(place, { op: 'echo', flow, text, timeout: 3_000 })));
      await world.kill();
      const dead = await echoes('dead');
      await world.set(state);
      const alive = await echoes('alive');
      for (const [flow, place] of flows) await world.ask(place, { op: 'close', flow });
      return [
        [opened, dead, alive],
        [
          [true, true],
          ['dead', 'dead'],
          ['alive', 'alive'],
        ],
      ];
    },
  },
  {
    title: 'killed without warning and started again, it breaks no UDP flow',
    async run(world) {
      const state = { endpoints: ready, protocol: 'UDP' as const };
      await world.set(state);
      const opened = addressIn(
        await world.ask('strangers', { op: 'open', flow: 'udp', protocol: 'UDP', host: destinations.nodeIP[0], port: 30_080 }),
      );
      const echo = async (): Promise<string> =>
        addressIn(await world.ask('strangers', { op: 'echo', flow: 'udp', text: 'again', timeout: 3_000 }));
      await world.kill();
      const dead = await echo();
      await world.set(state);
      const alive = await echo();
      await world.ask('strangers', { op: 'close', flow: 'udp' });
      return [
        [opened.startsWith('10.244.'), dead, alive],
        [true, opened, opened],
      ];
    },
  },
  {
    title: 'the health check node port says 200 with an endpoint here, 503 with none or a terminating one',
    async run(world) {
      const spec = { externalTrafficPolicy: 'Local' as const, healthCheckNodePort: 30_999 };
      const answers: string[] = [];
      for (const [endpoints, wanted] of [
        [[0, 3], '200'],
        [[3], '503'],
        [[[0, 'serving-terminating'], 3], '503'],
        [[0, 3], '200'],
      ] as const) {
        await world.set({ endpoints, spec });
        answers.push(
          await until(
            () => health(world),
            (code) => code === wanted,
            3_000,
          ),
        );
      }
      return [answers, ['200', '503', '503', '200']];
    },
  },
  {
    title: 'another mode takes over, and leaves nothing of this one',
    async run(world) {
      await world.set({ endpoints: ready });
      const { variant } = world;
      // The connection table of IPVS goes with its virtual servers.
      const keeps = variant.mode !== 'ipvs';
      const flow = { op: 'open', flow: 'tcp', protocol: 'TCP', host: destinations.clusterIP[0], port: 80 } as const;
      if (keeps) await world.ask('pod', flow);
      await world.use(otherMode(variant));
      await world.set({ endpoints: ready });
      const left = await until(
        () => remains(world, variant),
        (count) => count === 0,
        30_000,
      );
      const answers = await reached(world, 'pod', origins.pod[0], 60, 3);
      const echo = keeps ? await world.ask('pod', { op: 'echo', flow: 'tcp', text: 'still here', timeout: 3_000 }) : 'still here';
      await world.ask('pod', { op: 'close', flow: 'tcp' });
      await world.use(variant);
      await world.set({ endpoints: ready });
      // IPVS takes over the chains that iptables has in common with it within its own sync.
      const leftOfOther = keeps
        ? await until(
            () => remains(world, otherMode(variant)),
            (count) => count === 0,
            30_000,
          )
        : 0;
      const back = (await reached(world, 'pod', origins.pod[0], 60, 3)).length;
      return [
        [left, answers.length, echo, leftOfOther, back],
        [0, 3, 'still here', 0, 3],
      ];
    },
  },
];

async function flush({ bed, variant }: World): Promise<void> {
  const runner = bed.runner('node');
  if (variant.mode === 'nftables') await runner.run('nft', ['flush', 'ruleset']);
  else if (variant.mode === 'ipvs') await runner.run('ipvsadm', ['--clear']);
  else for (const table of ['nat', 'filter']) await runner.run(`iptables-${variant.iptables}`, ['-t', table, '-F']);
}

/** In user-mode Linux there is no nftables, and on the machine's kernel there may be no IPVS. */
const otherMode = ({ mode, iptables }: Variant): Variant => {
  if (mode === 'nftables') return { mode: 'iptables', iptables: 'nft' };
  return mode === 'ipvs' ? { mode: 'iptables', iptables: iptables! } : { mode: 'nftables', nftablesLayout: 'fast' };
};

/** Rules, sets and servers of the mode in the kernel, both families. */
async function remains({ bed }: World, variant: Variant): Promise<number> {
  const options = resolveProxyOptions({ nodeName: 'worker-1', ...variant });
  const stays = otherMode(variant).mode;
  let count = 0;
  for (const programmer of programmersOf(options.mode, options, bed.runner('node'), silentLogger(), { removal: { stays } })) {
    const change = programmer.diff(await programmer.read(), programmer.empty);
    if (change !== undefined) count += programmer.size(change);
    programmer.close?.();
  }
  return count;
}

/** Runs the rows for one mode; the world's daemon is left killed. */
export async function runStateRows(world: World): Promise<RowResult[]> {
  const results: RowResult[] = [];
  const mode = world.variant.mode ?? 'iptables';
  for (const row of stateRows) {
    if (row.not?.[mode] !== undefined || (row.only !== undefined && row.only !== mode)) continue;
    const [got, wanted] = await row.run(world).catch((error: unknown): Seen => [String(error), 'no error']);
    results.push({ row: row.title, got: JSON.stringify(got), wanted: JSON.stringify(wanted) });
  }
  await world.kill();
  return results;
}
