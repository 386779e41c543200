// How fast the service proxy brings Services to the kernel, beside kube-proxy's own layouts loaded in the same run. Every measurement is a process and
// a network namespace of its own.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BenchOptions, median, type Report, type Row } from '../table.ts';
import type { ChangeTimes } from './changes.ts';
import type { ConnectTimes } from './connect.ts';
import type { Layout } from './layouts.ts';
import type { RestoreTimes, tasks } from './tasks.ts';

export async function bench(options: BenchOptions): Promise<Report> {
  const rows: Row[] = [];
  for (const part of [fullLoads, changesInNftables, changesInIptables, sets, connections]) rows.push(...(await part(options)));
  return {
    name: 'proxy',
    method:
      `Services of one TCP port with three endpoints. Full load: from objects in memory to the kernel in a process that has just started, best of ${options.rounds}; ` +
      "beside it kube-proxy's layout in one transaction or restore made beforehand, once. Changes: from the watch event in a running daemon to the kernel; beside it " +
      "the change that kube-proxy's layout needs. iptables-legacy changes: beside the chains of one service alone, sent by hand, the smallest partial restore. Sets of mode ipvs: from objects in memory to ipset. " +
      'Connections: median of a blocking connect(2) between namespaces through the last of the services, beside the first.',
    references: ['reference'],
    rows,
  };
}

const thousands = (services: number): string => `${services / 1_000}k`;
const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

async function fullLoads({ rounds, large, progress }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const row = async (what: string, ours: Layout, reference: Layout | undefined, services: number, bar?: string): Promise<void> => {
    progress(`full load, ${what}, ${thousands(services)}`);
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await run('load', { layout: ours, services }));
    const beside = reference && (await run('loadWhole', { layout: reference, services }));
    rows.push({
      name: `full load, ${what}, ${thousands(services)}`,
      ours: Math.min(...times),
      references: [beside],
      unit: 'ms',
      ...(bar && { bar }),
    });
  };
  await row('nftables fast', 'fast', 'compat', 1_000);
  await row('nftables fast', 'fast', 'compat', 5_000);
  await row('nftables fast', 'fast', 'compat', 10_000, '<= 1500');
  await row('nftables fast', 'fast', undefined, 30_000, '<= 4000');
  await row('iptables-nft in pieces', 'nft-flat', large ? 'nft-flat' : undefined, 5_000, '<= 4000');
  // In one piece it takes longer than a usual run has; a tenth of the services shows why.
  if (!large) await row('iptables-nft in pieces', 'nft-flat', 'nft-flat', 2_000);
  await row('iptables-legacy bucketed', 'legacy-bucketed', 'legacy-flat', 10_000);
  return rows;
}

async function changesInNftables({ rounds, large, progress }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const repeats = 40 * rounds;
  const sizes = [1_000, 5_000, 10_000, 30_000];
  const curve: [number, ChangeTimes][] = [];
  for (const services of sizes) {
    progress(`changes, nftables fast, ${thousands(services)}`);
    curve.push([services, await run('changes', { layout: 'fast', services, rounds: services === 10_000 ? repeats : 40 })]);
  }
  const size = large ? 10_000 : 5_000;
  progress(`changes, kube-proxy's nftables layout, ${thousands(size)}`);
  const compat: RestoreTimes = await run('restores', { layout: 'compat', services: size, rounds: 20 });
  const name = (what: string, of: number): string => `${what}, nftables fast, ${thousands(of)}`;
  for (const [services, times] of curve) {
    const aimed = services === 10_000;
    const beside = services === size ? percentile(compat.smallest, 0.5) : undefined;
    for (const [what, values] of [
      ['one endpoint', times.endpoint],
      ['one service', times.service],
    ] as const) {
      rows.push({
        name: name(what, services),
        ours: percentile(values, 0.5),
        references: [beside],
        unit: 'ms p50',
        ...(aimed && { bar: '<= 10' }),
      });
      if (aimed) rows.push({ name: '', ours: percentile(values, 0.99), references: [], unit: 'ms p99', bar: '<= 25' });
    }
  }
  for (const [services, { memory, startCpu, changeCpu }] of curve) {
    rows.push({ name: `daemon, ${thousands(services)}, memory`, ours: memory / 1e6, references: [], unit: 'MB' });
    rows.push({ name: '  processor time to the first sync', ours: startCpu, references: [], unit: 'ms' });
    rows.push({ name: '  processor time of one change', ours: changeCpu, references: [], unit: 'ms' });
  }
  return rows;
}

async function changesInIptables({ rounds, progress }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [layout, services] of [
    ['legacy-flat', 10_000],
    ['legacy-bucketed', 10_000],
    ['nft-flat', 2_000],
    ['nft-bucketed', 2_000],
  ] as const) {
    const what = `iptables-${layout.replace('-', ' ')}, ${thousands(services)}`;
    progress(`changes, ${what}`);
    const times: RestoreTimes = await run('restores', { layout, services, rounds: 3 * rounds });
    const bar = layout.startsWith('legacy') ? { bar: '<= 1.1x' } : {};
    const smallest = median(times.smallest);
    rows.push({ name: `one endpoint, ${what}`, ours: median(times.endpoint), references: [smallest], unit: 'ms', ...bar });
    rows.push({ name: `one service, ${what}`, ours: median(times.service), references: [smallest], unit: 'ms', ...bar });
  }
  return rows;
}

async function sets({ rounds, progress }: BenchOptions): Promise<Row[]> {
  progress('sets of mode ipvs, 10k');
  const times = await run('sets', { services: 10_000, rounds: 40 * rounds });
  return [
    { name: 'full load, sets of mode ipvs, 10k', ours: times.load, references: [], unit: 'ms' },
    { name: 'one service, sets of mode ipvs, 10k', ours: percentile(times.service, 0.5), references: [], unit: 'ms p50', bar: '<= 10' },
    { name: '', ours: percentile(times.service, 0.99), references: [], unit: 'ms p99', bar: '<= 25' },
  ];
}

async function connections({ rounds, large, progress }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const layouts: [Layout, string, string?][] = [
    ['fast', 'nftables fast', '<= 1.1x'],
    ['legacy-bucketed', 'iptables-legacy bucketed', '<= 1.15x'],
    ['legacy-flat', 'iptables-legacy flat'],
    ...(large ? ([['nft-bucketed', 'iptables-nft bucketed']] as [Layout, string][]) : []),
  ];
  for (const [layout, what, bar] of layouts) {
    progress(`connections, ${what}, 10k`);
    const times: ConnectTimes | undefined = await run('connect', { layout, services: 10_000, rounds: 1_000 * rounds });
    if (!times) return [];
    rows.push({ name: `connect, ${what}, last of 10k`, ours: times.last, references: [times.first], unit: 'us', ...(bar && { bar }) });
    rows.push({ name: '  through any rule against none', ours: times.first, references: [times.direct], unit: 'us' });
  }
  return rows;
}

type Tasks = typeof tasks;

/** A task in a process and a network namespace of its own. */
async function run<Name extends keyof Tasks>(name: Name, task: Parameters<Tasks[Name]>[0]): Promise<Awaited<ReturnType<Tasks[Name]>>> {
  const worker = [process.execPath, fileURLToPath(import.meta.resolve('./worker.ts')), name, JSON.stringify(task)];
  const script = 'ip link set lo up; exec "$@"';
  const { stdout } = await promisify(execFile)('unshare', ['--net', '--', 'sh', '-c', script, 'sh', ...worker], {
    maxBuffer: 64 * 1024 * 1024,
    timeout: 900_000,
  });
  // Nothing at all stands for undefined.
  return (stdout.trim() === 'undefined' ? undefined : JSON.parse(stdout)) as Awaited<ReturnType<Tasks[Name]>>;
}
