import type { Address } from '../net/index.ts';
import { type BgpError, listenError } from './errors.ts';
import type { SpeakerConnection, SpeakerLog } from './speaker/ports.ts';

export interface ListenerParts {
  readonly tcp: {
    listen(
      endpoint: { address: string; port: number },
      accept: (connection: SpeakerConnection) => void,
    ): Promise<{ close(): Promise<void> }>;
  };
  readonly clock: { setTimer(delay: number, callback: () => void): () => void };
  readonly log: SpeakerLog;
  readonly port: number;
}

/** The listening sockets of the daemon: as many as it has addresses to listen on. */
export interface Listeners {
  /** Listens on these addresses and no others. Rejects with the first failure, and goes on trying in the background all the same. */
  set(addresses: readonly Address[]): Promise<void>;
  /** Those that are listened on. */
  addresses(): string[];
  /** Why some address is not listened on; undefined when all are. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

/** Milliseconds between tries. */
const retryDelay = 500;

export function startListeners({ tcp, clock, log, port }: ListenerParts, accept: (connection: SpeakerConnection) => void): Listeners {
  const open = new Map<string, { close(): Promise<void> }>();
  const failures = new Map<string, BgpError>();
  let wanted = new Set<string>();
  let running: Promise<void> = Promise.resolve();
  let cancelRetry: () => void = () => undefined;

  async function bring(): Promise<void> {
    for (const [address, listener] of [...open]) {
      if (wanted.has(address)) continue;
      open.delete(address);
      await listener.close();
    }
    for (const address of failures.keys()) if (!wanted.has(address)) failures.delete(address);
    for (const address of wanted) if (!open.has(address)) await listen(address);
    cancelRetry();
    if (failures.size > 0) cancelRetry = clock.setTimer(retryDelay, () => void enqueue());
  }

  async function listen(address: string): Promise<void> {
    try {
      const listener = await tcp.listen({ address, port }, accept);
      open.set(address, listener);
      failures.delete(address);
      log.info({ address, port }, 'listening for BGP');
    } catch (error) {
      const failure = listenError(address, port, error as NodeJS.ErrnoException);
      if (failures.get(address)?.message !== failure.message) log.warn({ address, port }, failure.message);
      failures.set(address, failure);
    }
  }

  /** One change at a time. */
  function enqueue(): Promise<void> {
    running = running.then(bring);
    return running;
  }

  return {
    async set(addresses) {
      wanted = new Set(addresses.map(({ text }) => text));
      await enqueue();
      const [failure] = failures.values();
      if (failure) throw failure;
    },
    addresses: () => [...open.keys()],
    problem: () => [...failures.values()][0]?.message,
    async stop() {
      wanted = new Set();
      await enqueue();
      cancelRetry();
    },
  };
}
