import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendToLog, readLog } from '../../src/storage/bounded-log.ts';
import { headerBytes, openLineQueues } from '../../src/storage/line-queue.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-queue-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = () => openLineQueues((name) => join(folder, 'queues', name));
/** Takes the oldest line. */
function pop(queues: ReturnType<typeof open>, remark = ''): string | undefined {
  const page = queues.read('q')!;
  const [line] = page.lines;
  if (line) queues.advance('q', page.id, line.next, remark);
  return line?.text;
}

describe('a queue of lines', () => {
  it('gives the lines in the order in which they were pushed, each once, and keeps the last remark', () => {
    const step = fc.oneof(fc.array(fc.stringMatching(/^[a-z0-9 .:]{1,60}$/), { maxLength: 8 }), fc.constant('pop' as const));
    let round = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queues = openLineQueues((name) => join(folder, `round-${round}`, name));
        round++;
        queues.advance('q', undefined, 0, 'begin');
        const expected: string[] = [];
        for (const [index, what] of steps.entries()) {
          if (what !== 'pop') {
            queues.push('q', what);
            expected.push(...what);
          } else if (expected.length > 0) {
            expect(pop(queues, `r${index}`)).toBe(expected.shift());
            expect(queues.read('q')!.remark).toBe(`r${index}`);
          } else expect(pop(queues)).toBeUndefined();
        }
      }),
      { numRuns: 50 },
    );
  });

  it('does not grow with what was taken, and loses nothing when it moves', () => {
    const queues = open();
    queues.advance('q', undefined, 0, '');
    const waiting = Array.from({ length: 200 }, (_, n) => `line ${n} ${'x'.repeat(80)}`);
    queues.push('q', waiting);
    for (let n = 0; n < 2_500; n++) {
      const line = pop(queues)!;
      expect(line).toBe(waiting.shift());
      const next = `line ${n + 200} ${'x'.repeat(80)}`;
      queues.push('q', [next]);
      waiting.push(next);
    }
    expect(statSync(join(folder, 'queues/q')).size).toBeLessThan(120 * 1024);
    expect(readdirSync(join(folder, 'queues'))).toEqual(['q']);
  });

  it('takes no head from a page of the file before, and starts anew from a head that cannot be', () => {
    const queues = open();
    queues.advance('q', undefined, 0, 'a');
    queues.push('q', ['one', 'two']);
    const page = queues.read('q')!;
    queues.advance('q', page.id + 1, 9_999, 'b');
    expect(queues.read('q')).toMatchObject({ head: headerBytes, remark: 'a' });
    queues.advance('q', page.id, 60_000, 'c');
    expect(queues.read('q')).toMatchObject({ head: headerBytes, remark: 'c', lines: [{ text: 'one' }, { text: 'two' }] });
  });

  it('is read whatever is in the file', () => {
    const queues = open();
    queues.advance('q', undefined, 0, '');
    const path = join(folder, 'queues/q');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10_000 }), (bytes) => {
        writeFileSync(path, bytes);
        let from: number | undefined;
        for (let pages = 0; pages < 400; pages++) {
          const lines = queues.read('q', from)!.lines;
          if (lines.length === 0) return;
          from = lines.at(-1)!.next;
        }
        expect.unreachable('it has no end');
      }),
      { numRuns: 50 },
    );
    writeFileSync(path, `${'head 0000000256 x'.padEnd(headerBytes - 1)}\nwhole\ncut`);
    expect(queues.read('q')!.lines.map(({ text }) => text)).toEqual(['whole']);
    truncateSync(path, 3);
    expect(queues.read('q')!.lines).toEqual([]);
    expect([queues.read('none'), queues.push('none', ['x'])], 'an absent one is made by nobody but advance').toEqual([
      undefined,
      undefined,
    ]);
    expect(readdirSync(join(folder, 'queues'))).toEqual(['q']);
  });

  it('can be read by a person', () => {
    const queues = open();
    queues.advance('q', undefined, 0, '10.244.1.9 fd00::9');
    queues.push('q', ['10.244.1.4 fd00::4 2026-01-01T00:00:00.000Z']);
    expect(
      readFileSync(join(folder, 'queues/q'), 'utf8')
        .split('\n')
        .map((line) => line.trimEnd()),
    ).toEqual(['head 0000000256 10.244.1.9 fd00::9', '10.244.1.4 fd00::4 2026-01-01T00:00:00.000Z', '']);
  });
});

describe('a bounded log', () => {
  it('keeps the latest lines and never more than twice the limit', () => {
    const path = join(folder, 'deep/journal');
    for (let n = 0; n < 500; n++) appendToLog(path, `line ${n}`, 1_000);
    const lines = readLog(path).trim().split('\n');
    expect(lines.at(-1)).toBe('line 499');
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, index) => `line ${500 - lines.length + index}`));
    expect(lines.length).toBeGreaterThan(90);
    expect(statSync(path).size + statSync(`${path}.1`).size).toBeLessThan(2_100);
  });

  it('goes on after a line that was cut short', () => {
    const path = join(folder, 'journal');
    appendToLog(path, 'first');
    appendFileSync(path, 'cut sho');
    appendToLog(path, 'next');
    expect(readLog(path)).toBe('first\ncut shonext\n');
    expect(readLog(join(folder, 'none'))).toBe('');
  });
});
