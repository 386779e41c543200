/** One line of a benchmark: what we take beside what the reference takes, measured in the same run. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  /** Undefined where nothing else does the same thing. */
  readonly reference?: number;
  readonly unit: string;
}

export interface Report {
  readonly name: string;
  /** How the figures were taken, in a sentence or two. */
  readonly method: string;
  readonly rows: readonly Row[];
}

const ratio = ({ ours, reference }: Row): number | null => (reference === undefined ? null : ours / reference);

/** One JSON object whose rows hold name, ours, reference, ratio, unit. */
export const toJson = ({ name, method, rows }: Report): string =>
  JSON.stringify(
    {
      name,
      method,
      rows: rows.map((row) => ({ name: row.name, ours: row.ours, reference: row.reference ?? null, ratio: ratio(row), unit: row.unit })),
    },
    null,
    2,
  );

export function toText({ name, method, rows }: Report): string {
  const lines = [
    ['', 'OURS', 'REFERENCE', 'RATIO', 'UNIT'],
    ...rows.map((row) => [row.name, row.ours.toFixed(3), row.reference?.toFixed(3) ?? '-', ratio(row)?.toFixed(2) ?? '-', row.unit]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const table = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('   '),
  );
  return `${name}\n${method}\n\n${table.join('\n')}\n`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
