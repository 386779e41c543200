import { finished, type Readable, type Writable } from 'node:stream';
import { type Clock, sleep } from '../../../runtime/clock.ts';
import { commandEnded, internalFailure, succeeded } from '../../remote/status.ts';
import { readSizes } from '../../remote/sizes.ts';
import type { TerminalSize } from '../../render/terminal.ts';
import type { Interaction } from '../../runtime/interaction.ts';
import type { RemoteStreams } from './remote-streams.ts';

/** Clients send the size of their terminal at once; a command waits so long for it (ms), so that it finds it when it begins. */
const sizePatience = 200;

/**
 * Joins a client to what it wants to hold: a command, or a container's own process. `begin` is given the size of the client's terminal. Ends
 * when either side does. Never rejects: what goes wrong is told to the client.
 */
export async function serveRemoteCommand(
  streams: RemoteStreams,
  begin: (size: TerminalSize | undefined) => Promise<Interaction>,
  clock: Clock,
): Promise<void> {
  const left = new AbortController();
  streams.onClose(() => left.abort());
  const sizes = followSizes(streams.resize);
  if (streams.resize) await Promise.race([sizes.first, sleep(clock, sizePatience, left.signal)]);
  if (left.signal.aborted) return;
  let interaction: Interaction;
  try {
    interaction = await begin(sizes.take());
  } catch (error) {
    streams.finish(internalFailure(`error executing command in container: ${(error as Error).message}`));
    return;
  }
  if (left.signal.aborted) return interaction.leave();
  left.signal.addEventListener('abort', () => interaction.leave());
  sizes.to(interaction.resize);
  if (streams.stdin && interaction.stdin) streams.stdin.pipe(interaction.stdin);
  else streams.stdin?.resume();
  // A process that reads no more must not leave what is still typed waiting for ever.
  interaction.stdin?.once('close', () => streams.stdin?.resume());
  const sent = [carry(interaction.stdout, streams.stdout), carry(interaction.stderr, streams.stderr)];
  try {
    const code = await interaction.ended;
    await Promise.race([
      Promise.all(sent),
      left.signal.aborted ? undefined : new Promise((resolve) => left.signal.addEventListener('abort', resolve)),
    ]);
    streams.finish(code === undefined ? succeeded : commandEnded(code));
  } catch (error) {
    streams.finish(internalFailure(`error executing command in container: ${(error as Error).message}`));
  }
}

/** Sends all that comes; resolves when it has left, or nobody wants it any more. */
function carry(from: Readable, to: Writable | undefined): Promise<void> {
  if (!to) {
    from.resume();
    return Promise.resolve();
  }
  from.pipe(to);
  // A source that is cut off, because only children of the command are left to write to it, ends nothing by itself.
  from.once('close', () => to.end());
  return new Promise((resolve) => finished(to, { readable: false }, () => resolve()));
}

function followSizes(stream: Readable | undefined): {
  readonly first: Promise<void>;
  take(): TerminalSize | undefined;
  to(listener: (size: TerminalSize) => void): void;
} {
  let listener: ((size: TerminalSize) => void) | undefined;
  let latest: TerminalSize | undefined;
  let arrived = (): void => undefined;
  const first = new Promise<void>((resolve) => (arrived = resolve));
  let rest = '';
  stream?.setEncoding('latin1').on('data', (chunk: string) => {
    const [sizes, left] = readSizes(rest, chunk);
    rest = left;
    for (const size of sizes) {
      if (listener) listener(size);
      else latest = size;
      arrived();
    }
  });
  return {
    first,
    take() {
      const size = latest;
      latest = undefined;
      return size;
    },
    to(next) {
      listener = next;
      if (latest) next(latest);
    },
  };
}
