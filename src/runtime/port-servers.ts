import { createServer, type Server } from 'node:http';
import type { Logger } from './log.ts';

/** An answer to any request. */
export interface PortAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One small HTTP server for each port that is wanted at the moment. */
export interface PortServers {
  /** Opens what is missing, closes what is no longer wanted, and answers from now on as told. Returns why a port could not be opened, by port. */
  serve(wanted: ReadonlyMap<number, PortAnswer>): Promise<ReadonlyMap<number, string>>;
  close(): Promise<void>;
}

/** Listens on every address of the machine, IPv4 and IPv6. */
export function createPortServers(log: Logger): PortServers {
  const servers = new Map<number, Server>();
  let answers: ReadonlyMap<number, PortAnswer> = new Map();

  const open = (port: number): Promise<Server> =>
    new Promise((resolve, reject) => {
      const server = createServer((_request, response) => {
        const answer = answers.get(port);
        if (answer) response.writeHead(answer.code, answer.headers).end(answer.body);
        else response.writeHead(404).end();
      });
      server.requestTimeout = 5_000;
      server.maxConnections = 64;
      server.once('error', reject);
      server.listen(port, () => resolve(server));
    });

  const shut = (server: Server): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });

  let last: Promise<unknown> = Promise.resolve();
  /** One call at a time, or two would open the same port. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const run = last.then(work);
    last = run.catch(() => undefined);
    return run;
  };

  async function reconcile(wanted: ReadonlyMap<number, PortAnswer>): Promise<ReadonlyMap<number, string>> {
    answers = wanted;
    const problems = new Map<number, string>();
    const surplus = [...servers].filter(([port]) => !wanted.has(port));
    for (const [port] of surplus) servers.delete(port);
    await Promise.all(surplus.map(([, server]) => shut(server)));
    for (const port of wanted.keys()) {
      if (servers.has(port)) continue;
      try {
        servers.set(port, await open(port));
      } catch (error) {
        problems.set(port, (error as Error).message);
        log.warn({ err: error, port }, 'cannot listen on a port');
      }
    }
    return problems;
  }

  return {
    serve: (wanted) => inTurn(() => reconcile(wanted)),
    async close() {
      await inTurn(() => reconcile(new Map()));
    },
  };
}
