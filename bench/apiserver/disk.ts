import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from './statistics.ts';

const bytes = 8 * 1024;
/** The file is written over and over, so that it neither grows nor is one page. */
const places = 64;

/**
 * What the disk alone takes to make 8 KiB durable, at the pace of the POSTs that watchers wait for: no server with a durable store can be quicker, and
 * a slow one in a hundred is in every p99.
 */
export async function measureDisk(folder: string, { writes, gap }: { writes: number; gap: number }): Promise<{ p50: number; p99: number }> {
  const file = openSync(join(folder, 'disk'), 'w');
  const page = Buffer.alloc(bytes, 1);
  const times: number[] = [];
  try {
    for (let i = 0; i < places; i++) writeSync(file, page, 0, bytes, i * bytes);
    fdatasyncSync(file);
    for (let i = 0; i < writes; i++) {
      await sleep(gap);
      const start = performance.now();
      writeSync(file, page, 0, bytes, (i % places) * bytes);
      fdatasyncSync(file);
      times.push(performance.now() - start);
    }
  } finally {
    closeSync(file);
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
