// The API server beside a real one (kube-apiserver with etcd behind it) and beside etcd alone, the floor of what a durable write costs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, Report, Row } from '../table.ts';
import { type Clients, startClients } from './clients.ts';
import { makeCredentials } from './credentials.ts';
import { measureDisk } from './disk.ts';
import { type EtcdFigures, measureEtcd } from './etcd.ts';
import { type Figures, gap, measureServer, type Sizes } from './measure.ts';
import { findProgram } from './processes.ts';
import { startKubeApiServer, startPodwire, type StartServer } from './servers.ts';

const sizesOf = (large: boolean): Sizes => ({
  creates: { 1: 1_000, 16: 3_000, 64: 6_000 },
  pods: 2_000,
  gets: 5_000,
  watches: [
    { watchers: 100, posts: 200 },
    { watchers: 1_000, posts: 50 },
  ],
  large: large ? 100_000 : 0,
});

/** What is printed: figure, text, unit, whether more is better, and what we aim at. */
const lines: readonly (readonly [figure: string, name: string, unit: string, more: boolean, bar?: string])[] = [
  ['ready cold', 'ready, empty folder', 's', false, '<= 1'],
  ['ready warm', 'ready, second start', 's', false, '<= 1'],
  ['ready full', 'ready, 10k ConfigMaps and 2k Pods', 's', false, '<= 1'],
  ['memory idle', 'memory, idle', 'MB', false],
  ['memory full', 'memory after 10k ConfigMaps were created', 'MB', false, '<= 150'],
  ['memory end', 'memory after all below', 'MB', false],
  ['memory restarted', 'memory, idle with 12k objects', 'MB', false, '<= 150'],
  ['create x1', 'ConfigMap creates, 1 client', '/s', true],
  ['create x16', 'ConfigMap creates, 16 clients', '/s', true],
  ['create x64', 'ConfigMap creates, 64 clients', '/s', true, '>= 2500'],
  ['create x64 p99', '  p99 of one', 'ms', false],
  ['create x64 cpu', '  processor time of one', 'us', false],
  ['create pods x64', 'Pod creates, 64 clients', '/s', true],
  ['get x64', 'gets, 64 clients', '/s', true],
  ['list', 'list of 10k ConfigMaps', 'ms', false, '<= 150'],
  ['list paged', '  by pages of 500', 'ms', false],
  ['list bytes', '  bytes', 'B', false],
  ['watch x100 p50', 'POST to event, 100 watchers, p50', 'ms', false],
  ['watch x100 p99', '  p99', 'ms', false, '<= 8'],
  ['watch x1000 p50', 'POST to event, 1,000 watchers, p50', 'ms', false],
  ['watch x1000 p99', '  p99', 'ms', false],
  ['disk p50', 'disk alone, fdatasync of 8 KiB, p50', 'ms', false],
  ['disk p99', '  p99', 'ms', false],
  ['create large x64', 'ConfigMap creates up to 100k, 64 clients', '/s', true],
  ['memory large', 'memory at 100k ConfigMaps', 'MB', false],
  ['list large', 'list of 100k ConfigMaps', 'ms', false],
  ['list large paged', '  by pages of 500', 'ms', false],
  ['ready large', 'ready, 100k ConfigMaps', 's', false],
  ['busy', "clients' process, share of a core at most", '', false],
];

export async function bench({ rounds, large, progress }: BenchOptions): Promise<Report> {
  const etcd = findProgram('etcd', 'PODWIRE_ETCD');
  const kubeApiServer = findProgram('kube-apiserver', 'PODWIRE_KUBE_APISERVER');
  const clients = startClients();
  const found: { ours: Figures[]; kube: Figures[]; etcd: EtcdFigures[] } = { ours: [], kube: [], etcd: [] };
  const sizes = sizesOf(large);
  try {
    for (let round = 1; round <= rounds; round++) {
      const say = (text: string): void => progress(`round ${round} of ${rounds}: ${text}`);
      const disk = await withFolder((folder) => measureDisk(folder, { writes: 200, gap }));
      const ours = await inFolder(startPodwire, clients, sizes, (text) => say(`podwire: ${text}`));
      found.ours.push({ ...ours, 'disk p50': disk.p50, 'disk p99': disk.p99 });
      if (etcd && kubeApiServer) {
        const start = startKubeApiServer(kubeApiServer, etcd);
        found.kube.push(await inFolder(start, clients, sizes, (text) => say(`kube-apiserver: ${text}`)));
      }
      if (etcd) {
        say('etcd alone');
        found.etcd.push(await withFolder((folder) => measureEtcd(etcd, folder, sizes.creates)));
      }
    }
  } finally {
    clients.stop();
  }
  const missing = [
    ...(etcd ? [] : ['etcd was not found (PATH, PODWIRE_ETCD): nothing to compare with.']),
    ...(kubeApiServer ? [] : ['kube-apiserver was not found (PATH, PODWIRE_KUBE_APISERVER): no column of its own.']),
  ];
  return {
    name: 'apiserver',
    method: [method(rounds), ...missing].join('\n'),
    references: ['kube-apiserver + etcd', 'etcd alone'],
    rows: lines.flatMap(([figure, name, unit, more, bar]): Row[] => {
      const best = (rows: readonly Figures[]): number | undefined =>
        bestOf(
          rows.map((row) => row[figure]),
          more,
        );
      const ours = best(found.ours);
      if (ours === undefined) return [];
      return [{ name, ours, references: [best(found.kube), best(found.etcd)], unit, ...(bar ? { bar } : {}) }];
    }),
  };
}

const method = (rounds: number): string => `\
Best of ${rounds} round(s) of each figure; servers take turns on this machine and disk, each alone. Both API servers: TLS, a client certificate of
system:masters, HTTP/1.1, the same requests. Clients: one process of its own with one connection per client, requests made beforehand, answers
only measured; the last line says how busy it was (near 1 it, and not the server, would be the limit). Ready: from the start of the first process
to 200 of /readyz. Memory: resident, mapped files included, all processes of a server. Lists: best of 5, to the last byte. Watch: a POST every
20 ms, from its first byte sent until each watcher, on a connection of its own, has read the event; best of 3 such runs after a short one. Disk alone:
written and made durable at the same pace; where one in a hundred takes long, no p99 of a durable store can be shorter. etcd alone: puts of the same
keys and values over one plain gRPC connection.`;

const inFolder = (start: StartServer, clients: Clients, sizes: Sizes, progress: (text: string) => void): Promise<Figures> =>
  withFolder(async (folder) => measureServer(start, folder, await makeCredentials(folder), clients, sizes, progress));

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function bestOf(values: readonly (number | undefined)[], more: boolean): number | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  return more ? Math.max(...known) : Math.min(...known);
}
