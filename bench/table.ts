/** One line of a benchmark: what we take beside what the references take, measured in the same run. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  /** One per reference of the report, in its order; undefined where it does not do the same thing or was not found. */
  readonly references: readonly (number | undefined)[];
  readonly unit: string;
  /** What is aimed at, such as `<= 150`. */
  readonly bar?: string;
}

export interface Report {
  readonly name: string;
  /** How the figures were taken. */
  readonly method: string;
  /** What we are measured against. */
  readonly references: readonly string[];
  readonly rows: readonly Row[];
}

/** What every benchmark is asked for. */
export interface BenchOptions {
  readonly rounds: number;
  /** Sizes beyond the usual ones too. */
  readonly large: boolean;
  /** Of a soak. */
  readonly updates: number;
  progress(text: string): void;
}

/** One JSON object whose rows hold name, ours, unit, bar and, per reference, its figure and ours divided by it. */
export const toJson = ({ name, method, references, rows }: Report): string =>
  JSON.stringify(
    {
      name,
      method,
      rows: rows.map((row) => ({
        name: row.name,
        ours: row.ours,
        unit: row.unit,
        bar: row.bar ?? null,
        references: references.map((reference, index) => {
          const value = row.references[index];
          return { name: reference, value: value ?? null, ratio: value === undefined ? null : row.ours / value };
        }),
      })),
    },
    null,
    2,
  );

/** What a benchmark is measured against is not there; the message says what to install. */
export class MissingReferenceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MissingReferenceError';
  }
}

export function toText({ name, method, references, rows }: Report): string {
  const bars = rows.some(({ bar }) => bar);
  const lines = [
    ['', 'OURS', ...(bars ? ['AIM'] : []), ...references.flatMap((reference) => [reference.toUpperCase(), 'RATIO']), 'UNIT'],
    ...rows.map((row) => [
      row.name,
      figure(row.ours),
      ...(bars ? [row.bar ?? ''] : []),
      ...references.flatMap((_, index) => {
        const value = row.references[index];
        return value === undefined ? ['-', '-'] : [figure(value), (row.ours / value).toFixed(2)];
      }),
      row.unit,
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const table = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('   '),
  );
  return `${name}\n${method}\n\n${table.join('\n')}\n`;
}

const figure = (value: number): string => value.toFixed(value >= 1_000 ? 0 : value >= 100 ? 1 : 3);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
