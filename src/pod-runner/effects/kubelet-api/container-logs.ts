import type { ServerResponse } from 'node:http';
import { type Clock, sleep } from '../../../runtime/clock.ts';
import { createLogFilter } from '../../logs/log-filter.ts';
import type { LogOptions } from '../../logs/log-options.ts';
import { LogReader } from '../../runtime/log-file.ts';
import type { ContainerLog } from '../../runtime/runtime.ts';

/** What a container wrote just before its end is waited for so long (ms). */
const lastWords = 1_000;

/**
 * Sends a log. With `follow` it goes on until the run has ended and all of it was sent. The reader's pace is kept; nothing waits in memory but a
 * piece of the file. Ends when the client goes.
 */
export async function sendLog(log: ContainerLog, options: LogOptions, response: ServerResponse, clock: Clock): Promise<void> {
  const reader = new LogReader(log.file);
  const filter = createLogFilter(options);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const ended = (): boolean => gone.signal.aborted || filter.full;
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  try {
    if (!options.follow) await settled(log, clock, gone.signal);
    reader.seek(options.tailLines, log.turns());
    for (;;) {
      // Asked before the reading: what is written after this makes another change.
      const change = watch(log, gone.signal);
      const open = log.open();
      await sendAll();
      if (options.follow && open && !ended()) await change.happened;
      change.cancel();
      if (!options.follow || !open || ended()) break;
    }
  } finally {
    reader.close();
    response.end();
  }

  function writable(): Promise<void> {
    return new Promise((resolve) => {
      const goOn = (): void => {
        response.off('drain', goOn).off('close', goOn);
        resolve();
      };
      response.once('drain', goOn).once('close', goOn);
    });
  }

  /** Sends what there is. */
  async function sendAll(): Promise<void> {
    for (let piece = reader.read(log.turns()); piece && !ended(); piece = reader.read(log.turns())) {
      const text = filter.take(piece);
      if (text.length > 0 && !response.write(text)) await writable();
    }
  }
}

/** Once the run has ended, its output must be in the log before it is read. */
async function settled(log: ContainerLog, clock: Clock, signal: AbortSignal): Promise<void> {
  if (log.running() || !log.open()) return;
  const change = new AbortController();
  const unsubscribe = log.subscribe(() => {
    if (!log.open()) change.abort();
  });
  await sleep(clock, lastWords, AbortSignal.any([signal, change.signal]));
  unsubscribe();
}

function watch(log: ContainerLog, signal: AbortSignal): { readonly happened: Promise<void>; cancel(): void } {
  let cancel = (): void => undefined;
  const happened = new Promise<void>((resolve) => {
    const unsubscribe = log.subscribe(resolve);
    cancel = () => {
      unsubscribe();
      signal.removeEventListener('abort', cancel);
      resolve();
    };
    signal.addEventListener('abort', cancel, { once: true });
  });
  return { happened, cancel };
}
