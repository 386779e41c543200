// The log format of the Container Runtime Interface (CRI design document "logging"): `TIME STREAM TAG TEXT`, one line each; TAG is F for a whole
// line and P for a part of one.

export type LogStream = 'stdout' | 'stderr';

/** What of a stream waits for the end of its line. */
export type LogRest = Buffer;
export const noRest: LogRest = Buffer.alloc(0);

/** A longer line is cut into parts of this many bytes, as containerd does. */
const longestLine = 16 * 1024;
const newline = 0x0a;

/** RFC 3339 in UTC with nine digits of a second, so that texts compare as times do. `now` in ms since the epoch. */
export const logTime = (now: number): string => new Date(now).toISOString().replace('Z', '000000Z');

/** The log lines of what a stream has written, and what is left of it for the next time. */
export function formatLog(rest: LogRest, chunk: Buffer, stream: LogStream, now: number): readonly [lines: Buffer, rest: LogRest] {
  const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
  const head = `${logTime(now)} ${stream} `;
  const full = Buffer.from(`${head}F `);
  const part = Buffer.from(`${head}P `);
  const end = Buffer.from('\n');
  const out: Buffer[] = [];
  let at = 0;
  for (;;) {
    const found = bytes.indexOf(newline, at);
    const stop = found === -1 ? bytes.length : found;
    while (stop - at > longestLine) {
      out.push(part, bytes.subarray(at, at + longestLine), end);
      at += longestLine;
    }
    if (found === -1) break;
    out.push(full, bytes.subarray(at, found + 1));
    at = found + 1;
  }
  return [Buffer.concat(out), at === bytes.length ? noRest : Buffer.from(bytes.subarray(at))];
}

/** The log line for text whose line never ended: a part. */
export const formatLogRest = (rest: LogRest, stream: LogStream, now: number): Buffer =>
  rest.length === 0 ? rest : Buffer.concat([Buffer.from(`${logTime(now)} ${stream} P `), rest, Buffer.from('\n')]);

/** Where the parts of one log line are in a buffer. */
export interface LogLine {
  /** The time ends here; it begins where the line does. */
  readonly timeEnd: number;
  readonly stream: LogStream;
  readonly textStart: number;
  /** The newline is of the text if the line ended there, and not if it goes on in the next one. */
  readonly textEnd: number;
}

const space = 0x20;
const partTag = 0x50;
const streamNames: readonly (readonly [LogStream, Buffer])[] = [
  ['stdout', Buffer.from('stdout')],
  ['stderr', Buffer.from('stderr')],
];

/** Finds the parts of the line from `start` to `end`, its newline included. Undefined for what is no line of this format. */
export function parseLogLine(bytes: Buffer, start: number, end: number): LogLine | undefined {
  const first = bytes.indexOf(space, start);
  const second = bytes.indexOf(space, first + 1);
  const third = bytes.indexOf(space, second + 1);
  if (first <= start || second < first || third < second || third >= end) return undefined;
  const stream = streamNames.find(([, name]) => bytes.compare(name, 0, name.length, first + 1, second) === 0)?.[0];
  if (!stream) return undefined;
  // A tag may go on after a colon.
  const isPart = bytes[second + 1] === partTag && (third === second + 2 || bytes[second + 2] === 0x3a);
  return { timeEnd: first, stream, textStart: third + 1, textEnd: isPart && bytes[end - 1] === newline ? end - 1 : end };
}
