import type { Test } from 'tap';
import type { RowResult } from './scenario-runner.ts';

/** One assertion for each row, with its title. */
export function checkRows(t: Test, results: readonly RowResult[]): void {
  for (const { row, got, wanted } of results) t.equal(got, wanted, row);
}

/** One assertion for all, and one for each row that failed. */
export function checkMany(t: Test, results: readonly RowResult[], count: number): void {
  t.equal(results.length, count);
  checkRows(
    t,
    results.filter(({ got, wanted }) => got !== wanted),
  );
}
