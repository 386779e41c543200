import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { PassThrough } from 'node:stream';
import type { Clock } from '../../../runtime/clock.ts';
import { spdyConnection } from '../../../transport/spdy/connection.ts';
import { PodRunnerError } from '../../errors.ts';
import type { Interaction } from '../interaction.ts';

/** Which streams are wanted. On a terminal, standard error comes with standard output. */
export interface WantedStreams {
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** How long a runtime may take to answer a streaming request (ms). */
const upgradeTimeout = 30_000;

/**
 * Holds a process in a container by the URL that Exec or Attach has given: SPDY/3.1 with the streams of `v4.channel.k8s.io`, as kubelet does.
 * @throws PodRunnerError when the runtime's streaming server does not take the request
 */
export async function openStreams(url: string, { stdin, tty }: WantedStreams, clock: Clock): Promise<Interaction> {
  const { socket, head } = await upgrade(url);
  const connection = spdyConnection(socket, { role: 'client', clock, head });
  const open = (type: string): Duplex => connection.open(new Map([['streamtype', type]]));
  const error = open('error');
  error.end();
  const input = stdin ? open('stdin') : undefined;
  const stdout = open('stdout');
  stdout.end();
  const stderr = tty ? undefined : open('stderr');
  stderr?.end();
  const resize = tty ? open('resize') : undefined;
  input?.resume();
  resize?.resume();

  const none = new PassThrough();
  none.end();
  const received: Buffer[] = [];
  error.on('data', (piece: Buffer) => received.push(piece));
  const ended = Promise.all([over(error), over(stdout), ...(stderr ? [over(stderr)] : [])]).then(() => {
    connection.close();
    return exitCodeOf(Buffer.concat(received).toString('utf8'));
  });
  return {
    stdin: input,
    stdout,
    stderr: stderr ?? none,
    ended,
    resize: ({ width, height }) => void (resize?.writable && resize.write(`${JSON.stringify({ Width: width, Height: height })}\n`)),
    leave: () => connection.destroy(),
  };
}

const over = (stream: Duplex): Promise<void> => new Promise((resolve) => void stream.once('end', resolve).once('close', resolve));

function upgrade(url: string): Promise<{ socket: Duplex; head: Buffer }> {
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      method: 'POST',
      agent: false,
      timeout: upgradeTimeout,
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io', 'content-length': '0' },
    });
    const fail = (problem: string): void => reject(new PodRunnerError("the container runtime's streaming server", problem));
    asking.once('upgrade', (_response, socket, head) => {
      socket.setTimeout(0);
      resolve({ socket, head });
    });
    asking.once('response', (response) => {
      response.resume();
      fail(`answered ${response.statusCode} instead of changing to SPDY/3.1`);
    });
    asking.once('timeout', () => asking.destroy(new Error(`did not answer within ${upgradeTimeout / 1_000} s`)));
    asking.once('error', ({ message }) => fail(message));
    asking.end();
  });
}

/** The exit code out of the status on the error stream. @throws Error for what could not begin, in the runtime's words */
function exitCodeOf(text: string): number | undefined {
  // A connection that broke says nothing.
  if (text === '') return undefined;
  const status = JSON.parse(text) as {
    readonly status?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
  };
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (status.reason === 'NonZeroExitCode' && code !== undefined && /^\d+$/.test(code)) return Number(code);
  throw new Error(status.message ?? 'the container runtime gave no reason');
}
