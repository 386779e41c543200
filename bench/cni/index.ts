// The CNI plugin beside the reference plugins bridge and host-local (and portmap), which Debian packages as containernetworking-plugins.
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchOptions, median, type Report, type Row } from '../table.ts';
import { type Bed, makeBed, referenceVersion, type TierName } from './bed.ts';
import type { Times } from './driver.ts';

/** Turns of one round; with the usual three rounds each median is of 60. */
const turnsPerRound = 20;

const crowdSize = 200;

const filledWith = 4_000;

interface Case {
  readonly name: string;
  readonly title: string;
  readonly options: object;
  /** At most so much of the reference's ADD + DEL. */
  readonly aim?: string;
  readonly reservations?: number;
  readonly hostPorts?: Readonly<Record<TierName, object>>;
}

/** One TCP and one UDP port; each side has its own, for they share the node. */
const hostPorts = (first: number): object =>
  ['tcp', 'udp'].map((protocol, index) => ({ protocol, hostPort: first + index, containerPort: 80 + index }));

const cases: readonly Case[] = [
  { name: 'plain', title: 'plain', options: {}, aim: '<= 0.50 of it' },
  { name: 'masq', title: 'ipMasq', options: { ipMasq: true }, aim: '<= 0.25 of it' },
  {
    name: 'ports',
    title: '2 host ports',
    options: {},
    hostPorts: { agent: hostPorts(8_000), standalone: hostPorts(8_010), reference: hostPorts(8_020) },
  },
  { name: 'full', title: `${filledWith} reservations`, options: {}, reservations: filledWith },
];

export async function bench({ rounds, progress }: BenchOptions): Promise<Report> {
  const turns = rounds * turnsPerRound;
  progress('building the executable, making a node');
  const bed = await makeBed();
  try {
    const rows: Row[] = [];
    for (const each of cases) {
      progress(`${each.title}: ${turns} turns`);
      rows.push(...(await measureCase(bed, each, turns)));
    }
    progress(`CHECK, STATUS: ${turns} turns`);
    rows.push(...(await measureCheck(bed, turns)));
    progress(`${crowdSize} at once: ${rounds} rounds`);
    rows.push(...(await measureCrowds(bed, cases[0]!, rounds)));
    progress(`${crowdSize} at once, ipMasq`);
    rows.push(...(await measureCrowds(bed, cases[1]!, 1)));
    return { name: 'cni', method: method(turns, rounds), references: ['bridge + host-local'], rows };
  } finally {
    bed.close();
  }
}

const method = (turns: number, rounds: number): string => `\
Median of ${turns} of each command, from before the start of the process to its end, on this machine in this run: agent (the launcher, with a node
agent running), standalone (the executable alone) and the reference (containernetworking-plugins ${referenceVersion()}) take turns, with pauses in
which the kernel finishes what it does after an answer. Both families, a bridge with gateway addresses, default routes, hairpin. Everything is in
network namespaces made for this. Host ports: one TCP, one UDP; the reference's by its plugin portmap. At once: wall time of ${crowdSize} processes
started by a shell, median of ${rounds} round(s), one with ipMasq. STATUS: the reference has none before 1.6.`;

async function measureCase(bed: Bed, { name, title, options, aim, reservations, hostPorts: ports }: Case, turns: number): Promise<Row[]> {
  const tiers = bed.tiers(name, options, ports && { hostPorts: ports });
  // Makes the bridges, of both sides alike.
  await bed.measure({ tiers, turns: 1, warmUp: 0, label: `first-${name}-`, between: [] });
  if (reservations !== undefined) bed.fill(name, reservations);
  const times = await bed.measure({ tiers, turns, warmUp: 3, label: `${name}-`, between: [] });
  return (['agent', 'standalone'] as const).flatMap((tier) => {
    const row = (text: string, of: (tier: TierName) => number, bar?: string): Row => ({
      name: `${title}: ${tier}: ${text}`,
      ours: of(tier),
      references: [of('reference')],
      unit: 'ms',
      ...(bar === undefined ? {} : { bar }),
    });
    return [
      row('ADD + DEL', (each) => medianOf(times, each, 'ADD') + medianOf(times, each, 'DEL'), tier === 'agent' ? aim : undefined),
      row('  ADD', (each) => medianOf(times, each, 'ADD')),
      row('  DEL', (each) => medianOf(times, each, 'DEL')),
    ];
  });
}

async function measureCheck(bed: Bed, turns: number): Promise<Row[]> {
  const both = bed.tiers('check', {}, { names: ['agent', 'reference'] });
  const check = await bed.measure({ tiers: both, turns, warmUp: 3, label: 'check-', between: ['CHECK'] });
  const ours = bed.tiers('check', {}, { names: ['agent'] });
  const status = await bed.measure({ tiers: ours, turns, warmUp: 3, label: 'status-', between: ['STATUS'] });
  return [
    {
      name: 'plain: agent: CHECK',
      ours: medianOf(check, 'agent', 'CHECK'),
      references: [medianOf(check, 'reference', 'CHECK')],
      unit: 'ms',
    },
    { name: 'plain: agent: STATUS', ours: medianOf(status, 'agent', 'STATUS'), references: [undefined], unit: 'ms' },
  ];
}

const medianOf = (times: Times, tier: TierName, command: string): number => median(times[tier]![command]!);

async function measureCrowds(bed: Bed, { name, title, options }: Case, rounds: number): Promise<Row[]> {
  const [ours, reference] = bed.tiers(`${name}200`, options, { names: ['agent', 'reference'] });
  const found = { ours: [] as Crowd[], reference: [] as Crowd[] };
  await bed.crowd(ours!, 1);
  await bed.crowd(reference!, 1);
  for (let round = 0; round < rounds; round++) {
    await sleep(500);
    found.ours.push(await bed.crowd(ours!, crowdSize));
    await sleep(500);
    found.reference.push(await bed.crowd(reference!, crowdSize));
  }
  const row = (text: string, of: (crowd: Crowd) => number): Row => ({
    name: `${title}: ${crowdSize} at once: ${text}`,
    ours: median(found.ours.map(of)),
    references: [median(found.reference.map(of))],
    unit: 'ms',
    bar: '<= 0.50 of it',
  });
  const twice = found.ours.reduce((sum, { duplicates }) => sum + duplicates, 0);
  return [
    row('ADD', ({ add }) => add),
    row('DEL', ({ remove }) => remove),
    { name: `${title}: ${crowdSize} at once: addresses given twice`, ours: twice, references: [undefined], unit: '', bar: '0' },
  ];
}

type Crowd = Awaited<ReturnType<Bed['crowd']>>;
