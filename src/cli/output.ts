import { InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';

export type OutputFormat = 'table' | 'wide' | 'json' | 'yaml';

/** `-o json|yaml|wide` for commands that list things; the table is the default. */
export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'json, yaml or wide')
    .argParser((text): OutputFormat => {
      if (text !== 'json' && text !== 'yaml' && text !== 'wide' && text !== 'table')
        throw new InvalidArgumentError('Expected json, yaml or wide.');
      return text;
    })
    .default('table' satisfies OutputFormat, 'table');

export interface Column<Row> {
  readonly header: string;
  cell(row: Row): string | number | undefined;
  /** Shown only by `-o wide`. */
  readonly wide?: boolean;
}

/** The rows as text in the format asked for, ending in a newline. Tables look like kubectl's. */
export function renderRows<Row>(format: OutputFormat, rows: readonly Row[], columns: readonly Column<Row>[]): string {
  if (format === 'json') return `${JSON.stringify(rows, null, 2)}\n`;
  if (format === 'yaml') return stringify(rows);
  const shown = columns.filter((column) => format === 'wide' || !column.wide);
  return renderTable([
    shown.map((column) => column.header),
    ...rows.map((row) => shown.map((column) => String(column.cell(row) ?? '<none>'))),
  ]);
}

/** Cells padded to columns, three spaces between them, no trailing blanks. */
export function renderTable(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) for (const [index, cell] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join('   ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Wraps text in a colour when the stream is a terminal and NO_COLOR is unset. */
export function paint(
  colour: 'green' | 'red' | 'yellow' | 'dim' | 'bold',
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  if (!stream.isTTY || process.env['NO_COLOR']) return text;
  const code = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 }[colour];
  return `\u001b[${code}m${text}\u001b[0m`;
}
