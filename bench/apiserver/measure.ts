import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from './clients.ts';
import type { BenchCredentials } from './credentials.ts';
import type { Result, Task } from './load.ts';
import { namespaceBody, serviceAccountBody } from './objects.ts';
import type { Running, StartServer } from './servers.ts';

export interface Sizes {
  /** ConfigMaps created by how many clients; together they are the list that is measured. */
  readonly creates: Readonly<Record<number, number>>;
  readonly pods: number;
  readonly gets: number;
  /** Watchers, and how many POSTs they see. */
  readonly watches: readonly { readonly watchers: number; readonly posts: number }[];
  /** ConfigMaps after which memory and lists are measured once more. 0 for not. */
  readonly large: number;
}

/** Figures by name; `busy` holds the largest share of a core that the clients' process took in any of them. */
export type Figures = Readonly<Record<string, number>>;

const listPath = '/api/v1/namespaces/bench/configmaps';
/** Between two POSTs that watchers wait for (ms). */
export const gap = 20;
/** So often is a watch measured; the first time, which is not, a tenth as long. */
const watchRuns = 3;

/** Takes one server through everything, in a folder of its own. */
export async function measureServer(
  start: StartServer,
  folder: string,
  credentials: BenchCredentials,
  clients: Clients,
  sizes: Sizes,
  progress: (text: string) => void,
): Promise<Figures> {
  const figures: Record<string, number> = {};
  let busy = 0;
  let server = await start(folder, credentials);
  const run = async (task: Task): Promise<Result> => {
    const result = await clients.run(server.endpoint, task);
    if (task.do === 'create' || task.do === 'get') busy = Math.max(busy, result['busy']!);
    return result;
  };
  const restart = async (): Promise<Running> => {
    await server.stop();
    return start(folder, credentials);
  };
  try {
    figures['ready cold'] = server.readySeconds;
    server = await restart();
    figures['ready warm'] = server.readySeconds;
    await sleep(2_000);
    figures['memory idle'] = server.megabytes();
    await prepare(run);
    // Code that is compiled on its first thousand uses is compiled on both sides.
    await run({ do: 'create', what: 'configmaps', namespace: 'warm-up', clients: 16, count: 1_000, prefix: 'w' });
    for (const [count, objects] of Object.entries(sizes.creates)) {
      progress(`creates with ${count} clients`);
      const before = server.cpuSeconds();
      const result = await run({
        do: 'create',
        what: 'configmaps',
        namespace: 'bench',
        clients: Number(count),
        count: objects,
        prefix: `c${count}`,
      });
      figures[`create x${count}`] = result['perSecond']!;
      figures[`create x${count} p99`] = result['p99']!;
      figures[`create x${count} cpu`] = ((server.cpuSeconds() - before) / objects) * 1e6;
    }
    const created = Object.values(sizes.creates).reduce((sum, count) => sum + count, 0);
    await sleep(2_000);
    figures['memory full'] = server.megabytes();
    progress('lists and gets');
    await lists(run, figures, 'list', 5);
    const paths = Array.from({ length: 500 }, (_, i) => `${listPath}/c64-${i}`);
    figures['get x64'] = (await run({ do: 'get', paths, clients: 64, count: sizes.gets }))['perSecond']!;
    for (const { watchers, posts } of sizes.watches) {
      progress(`${watchers} watchers`);
      const watch = { do: 'watch', namespace: `watch-${watchers}`, watchers, gap } as const;
      // As with creates, what is compiled on its first uses is compiled on both sides.
      await run({ ...watch, posts: Math.ceil(posts / 10), prefix: 'w' });
      for (let time = 1; time <= watchRuns; time++) {
        const result = await run({ ...watch, posts, prefix: `e${time}` });
        for (const figure of ['p50', 'p99'])
          figures[`watch x${watchers} ${figure}`] = Math.min(figures[`watch x${watchers} ${figure}`] ?? Infinity, result[figure]!);
      }
    }
    progress('pods');
    const pods = await run({ do: 'create', what: 'pods', namespace: 'pods', clients: 64, count: sizes.pods, prefix: 'p' });
    figures['create pods x64'] = pods['perSecond']!;
    figures['memory end'] = server.megabytes();
    server = await restart();
    figures['ready full'] = server.readySeconds;
    await sleep(2_000);
    figures['memory restarted'] = server.megabytes();
    if (sizes.large > 0) {
      progress(`${sizes.large} objects`);
      const count = sizes.large - created;
      const large = await run({ do: 'create', what: 'configmaps', namespace: 'bench', clients: 64, count, prefix: 'l' });
      figures['create large x64'] = large['perSecond']!;
      await sleep(2_000);
      figures['memory large'] = server.megabytes();
      await lists(run, figures, 'list large', 3);
      server = await restart();
      figures['ready large'] = server.readySeconds;
    }
    figures['busy'] = busy;
    return figures;
  } finally {
    await server.stop();
  }

  async function prepare(request: (task: Task) => Promise<Result>): Promise<void> {
    for (const name of ['bench', 'pods', 'warm-up', ...sizes.watches.map(({ watchers }) => `watch-${watchers}`)]) {
      await request({ do: 'request', method: 'POST', path: '/api/v1/namespaces', body: namespaceBody(name) });
    }
    // What controllers would make; pods are refused without it.
    await request({
      do: 'request',
      method: 'POST',
      path: '/api/v1/namespaces/pods/serviceaccounts',
      body: serviceAccountBody('default'),
    });
  }
}

async function lists(run: (task: Task) => Promise<Result>, figures: Record<string, number>, name: string, times: number): Promise<void> {
  const whole = await run({ do: 'list', path: listPath, limit: 0, times });
  figures[name] = whole['best']!;
  figures[`${name} bytes`] = whole['bytes']!;
  figures[`${name} paged`] = (await run({ do: 'list', path: listPath, limit: 500, times }))['best']!;
}
