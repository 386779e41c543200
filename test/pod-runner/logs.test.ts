import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { formatLog, formatLogRest, logTime, noRest, parseLogLine } from '../../src/pod-runner/logs/cri-log.ts';
import { createLogFilter } from '../../src/pod-runner/logs/log-filter.ts';
import { type LogOptions, parseLogOptions } from '../../src/pod-runner/logs/log-options.ts';
import { logRun } from '../../src/pod-runner/logs/log-status.ts';
import { LogReader, openLogFile } from '../../src/pod-runner/runtime/log-file.ts';

const now = Date.parse('2026-11-21T10:00:00.5Z');
const plain: LogOptions = { follow: false, previous: false, timestamps: false, tailLines: undefined, limitBytes: undefined, since: '' };

/** The log of what a stream wrote in these chunks. */
function logOf(chunks: readonly Buffer[]): Buffer {
  const out: Buffer[] = [];
  let rest = noRest;
  for (const chunk of chunks) {
    let lines: Buffer;
    [lines, rest] = formatLog(rest, chunk, 'stdout', now);
    out.push(lines);
  }
  return Buffer.concat([...out, formatLogRest(rest, 'stdout', now)]);
}

describe('log lines', () => {
  test('what a container writes comes out again, whatever it is and however it is cut', () => {
    const text = fc.array(fc.oneof(fc.constant('\n'), fc.string({ maxLength: 30 }), fc.constant('x'.repeat(20_000))), { maxLength: 6 });
    fc.assert(
      fc.property(text, fc.integer({ min: 200, max: 5_000 }), fc.integer({ min: 200, max: 5_000 }), (parts, cut, readCut) => {
        const written = Buffer.from(parts.join(''));
        const chunks: Buffer[] = [];
        for (let at = 0; at < written.length; at += cut) chunks.push(written.subarray(at, at + cut));
        const log = logOf(chunks);
        const filter = createLogFilter(plain);
        const read: Buffer[] = [];
        for (let at = 0; at < log.length; at += readCut) read.push(filter.take(log.subarray(at, at + readCut)));
        expect(Buffer.concat(read).equals(written)).toBe(true);
      }),
    );
  });

  test('are those of the Container Runtime Interface, with a part for a line that is too long or has no end', () => {
    const lines = logOf([Buffer.from(`one\n${'y'.repeat(16 * 1024 + 1)}\nno end`)])
      .toString()
      .split('\n');
    expect(lines.map((line) => line.slice(0, 42))).toEqual(
      [
        '2026-11-21T10:00:00.500000000Z stdout F one',
        '2026-11-21T10:00:00.500000000Z stdout P yyy',
        '2026-11-21T10:00:00.500000000Z stdout F y',
        '2026-11-21T10:00:00.500000000Z stdout P no ',
        '',
      ].map((line) => line.slice(0, 42)),
    );
  });

  test('of other programs are read, and what is none is left out', () => {
    const parse = (text: string) => parseLogLine(Buffer.from(text), 0, text.length);
    expect(parse('2016-10-06T00:17:09.669794202Z stderr P:x text\n')).toEqual({
      timeEnd: 30,
      stream: 'stderr',
      textStart: 42,
      textEnd: 46,
    });
    for (const bad of ['', 'x', '2016 stdout', '2016 stdwrong F text\n']) expect(parse(bad)).toBeUndefined();
  });
});

describe('what a client gets of a log', () => {
  const log = Buffer.concat(
    ['first', 'second', 'third'].map((text, index) => formatLog(noRest, Buffer.from(`${text}\n`), 'stdout', now + index * 1_000)[0]),
  );
  const take = (options: Partial<LogOptions>): string =>
    createLogFilter({ ...plain, ...options })
      .take(log)
      .toString();

  test('times before each line, as Go writes them', () => {
    expect(take({ timestamps: true })).toBe('2026-11-21T10:00:00.5Z first\n2026-11-21T10:00:01.5Z second\n2026-11-21T10:00:02.5Z third\n');
  });

  test('what is not older than asked for', () => {
    expect(take({ since: logTime(now + 1_000) })).toBe('second\nthird\n');
  });

  test('so many bytes and no more', () => {
    const filter = createLogFilter({ ...plain, limitBytes: 8 });
    expect(filter.take(log).toString()).toBe('first\nse');
    expect(filter.full).toBe(true);
  });

  test('by a query as PodLogOptions has it', () => {
    const parse = (text: string): LogOptions => parseLogOptions(new URLSearchParams(text), now);
    expect(parse('follow=true&tailLines=5&timestamps=1&previous=false')).toEqual({
      ...plain,
      follow: true,
      timestamps: true,
      tailLines: 5,
    });
    expect(parse('sinceSeconds=10').since).toBe('2026-11-21T09:59:50.500000000Z');
    expect(parse('sinceTime=2026-11-21T09:00:00%2B01:00').since).toBe('2026-11-21T08:00:00.000000000Z');
    for (const bad of [
      'tailLines=-1',
      'limitBytes=0',
      'tailLines=many',
      'sinceTime=yesterday',
      'sinceSeconds=1&sinceTime=2026-11-21T09:00:00Z',
    ])
      expect(() => parse(bad)).toThrow();
  });
});

describe('which run of a container is meant', () => {
  const status = (state: object, lastState: object = {}, restartCount = 0) => ({
    containerStatuses: [{ name: 'main', state, lastState, restartCount, ready: false, image: '', imageID: '' }],
  });
  const ended = { terminated: { exitCode: 1, containerID: 'podwire://x' } };

  test.each([
    ['runs', status({ running: {} }), false, { attempt: 0 }],
    ['runs again', status({ running: {} }, ended, 2), false, { attempt: 2 }],
    ['before the one that runs', status({ running: {} }, ended, 2), true, { attempt: 1 }],
    ['held back after its end', status({ waiting: { reason: 'CrashLoopBackOff' } }, ended, 2), false, { attempt: 2 }],
    ['before, while held back: the one that ended', status({ waiting: { reason: 'CrashLoopBackOff' } }, ended, 2), true, { attempt: 2 }],
    [
      'not started',
      status({ waiting: { reason: 'ContainerCreating' } }),
      false,
      { problem: 'container "main" in pod "web" is waiting to start: ContainerCreating' },
    ],
    [
      'without an image',
      status({ waiting: { reason: 'ImagePullBackOff' } }),
      false,
      { problem: 'container "main" in pod "web" is waiting to start: trying and failing to pull image' },
    ],
    ['before the first', status({ running: {} }), true, { problem: 'previous terminated container "main" in pod "web" not found' }],
    ['of no status', {}, false, { problem: 'container "main" in pod "web" is not available' }],
  ])('%s', (_name, podStatus, previous, expected) => {
    expect(logRun('web', podStatus, 'main', previous)).toEqual(expected);
  });
});

describe('log files', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  const newLog = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-log-'));
    folders.push(folder);
    return join(folder, 'x.log');
  };
  const numbered = (number: number): Buffer => Buffer.from(`${String(number).padStart(99, '.')}\n`);
  const readAll = (reader: LogReader, turns: number): string => {
    const pieces: Buffer[] = [];
    for (let piece = reader.read(turns); piece; piece = reader.read(turns)) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  };

  test('the last lines are found, across what was set aside, and a reader goes on where the writer does', () => {
    const file = newLog();
    const log = openLogFile(file);
    const chunk = Buffer.concat(Array.from({ length: 20_000 }, (_, index) => numbered(index)));
    for (let round = 0; round < 8; round++) log.append(chunk);
    log.append(numbered(1));
    expect(log.turns).toBe(1);
    const reader = new LogReader(file);
    reader.seek(3, log.turns);
    expect(
      readAll(reader, log.turns)
        .split('\n')
        .map((line) => Number(line.replace(/^\.+/, ''))),
    ).toEqual([19_998, 19_999, 1, 0]);
    log.append(numbered(2));
    expect(readAll(reader, log.turns)).toBe(numbered(2).toString());
    // Set aside while it is read: nothing is left out.
    log.append(numbered(3));
    for (let round = 0; round < 6; round++) log.append(chunk);
    const read = readAll(reader, log.turns);
    expect(log.turns).toBe(2);
    expect(read.length).toBe(numbered(3).length + chunk.length * 6);
    reader.close();
    const whole = new LogReader(file);
    whole.seek(undefined, log.turns);
    expect(readAll(whole, log.turns).length).toBe(chunk.length * 14 + 300);
    whole.close();
    log.close();
  });

  test('any number of last lines of any text', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\n', ' ')),
          { maxLength: 30 },
        ),
        fc.nat({ max: 35 }),
        (lines, tail) => {
          const file = newLog();
          const log = openLogFile(file);
          log.append(Buffer.from(lines.map((line) => `${line}\n`).join('')));
          const reader = new LogReader(file);
          reader.seek(tail, 0);
          const expected = tail === 0 ? [] : lines.slice(-tail);
          expect(readAll(reader, 0)).toBe(expected.map((line) => `${line}\n`).join(''));
          reader.close();
          log.close();
        },
      ),
      { numRuns: 50 },
    );
  });
});
