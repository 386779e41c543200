import { join } from 'node:path';
import { openReservations } from '../cni-plugin/effects/reservations.ts';
import { type JournalReport, journalReports } from '../cni-plugin/journal.ts';
import { type AttachmentReport, attachmentReports } from '../cni-plugin/report.ts';
import { bootMark, listReservations, parseJournal } from '../ipam/index.ts';
import { readBootId } from '../kernel/namespace-identity.ts';
import { readLog } from '../storage/bounded-log.ts';
import { journalPath } from '../storage/claim-files.ts';
import { type Column, type OutputFormat, renderRows } from './output.ts';

interface StateFlags {
  readonly stateDir: string;
  readonly network: string;
  readonly output: OutputFormat;
}

const attachmentColumns: readonly Column<AttachmentReport>[] = [
  { header: 'POD', cell: ({ pod }) => pod },
  { header: 'INTERFACE', cell: (attachment) => attachment.interface },
  { header: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
  { header: 'HOST LINK', cell: ({ hostLink }) => hostLink },
  { header: 'STATE', cell: ({ state }) => state },
  { header: 'SINCE', cell: ({ since }) => since, wide: true },
  { header: 'CONTAINER', cell: ({ containerId }) => containerId, wide: true },
  { header: 'NAMESPACE', cell: ({ netns }) => netns, wide: true },
];

/** `podwire cni list`. */
export function list({ stateDir, network, output }: StateFlags): void {
  const { reservations } = listReservations(openReservations(stateDir, network));
  process.stdout.write(renderRows(output, attachmentReports(reservations), attachmentColumns));
}

const journalColumns: readonly Column<JournalReport>[] = [
  { header: 'ADDRESS', cell: ({ address }) => address },
  { header: 'POD', cell: ({ pod }) => pod },
  { header: 'FROM', cell: ({ from }) => from },
  { header: 'UNTIL', cell: ({ until }) => until },
  { header: 'END', cell: ({ end }) => end },
  { header: 'INTERFACE', cell: (report) => report.interface, wide: true },
  { header: 'CONTAINER', cell: ({ containerId }) => containerId, wide: true },
];

interface JournalFlags extends StateFlags {
  readonly at?: number;
  readonly since?: number;
}

/** `podwire cni journal`. The process ends with 1 when somebody or something was asked for and is not in the journal. */
export function journal(about: string | undefined, { stateDir, network, at, since, output }: JournalFlags): void {
  const entries = parseJournal(readLog(journalPath(join(stateDir, network))));
  const question = { about, at, since: since === undefined ? undefined : Date.now() - since };
  const rows = journalReports(entries, bootMark(readBootId()), question);
  process.stdout.write(renderRows(output, rows, journalColumns));
  if (rows.length === 0 && (about !== undefined || at !== undefined)) process.exitCode = 1;
}
