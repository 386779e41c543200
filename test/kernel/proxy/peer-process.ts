// Runs inside a network namespace. Answers on its ports with who it is and whom it sees, and sends packets as told over IPC.
//
//     node peer-process.ts NAME '{"addresses": [...], "ports": [...]}'
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';

/** Connections or datagrams to one address, each from a socket of its own, until `want` different peers have answered or `tries` were made. */
export interface Probe {
  readonly protocol: 'TCP' | 'UDP';
  readonly host: string;
  readonly port: number;
  /** Source address. */
  readonly from: string;
  readonly want: number;
  readonly tries: number;
  /** Milliseconds that one try waits for its answer. */
  readonly timeout: number;
}

export type PeerRequest =
  | { readonly op: 'probe'; readonly probes: readonly Probe[] }
  /** Opens a flow that stays, by name; answers with its first line. UDP: the socket is connected, and a first datagram sent. */
  | { readonly op: 'open'; readonly flow: string; readonly protocol: 'TCP' | 'UDP'; readonly host: string; readonly port: number }
  /** Sends a line over the flow; answers with what comes back. */
  | { readonly op: 'echo'; readonly flow: string; readonly text: string; readonly timeout: number }
  | { readonly op: 'close'; readonly flow: string }
  /** So many TCP connections, each until its first line, `width` at a time; answers with the number of those that failed, and why the first did. */
  | ({ readonly op: 'storm'; readonly count: number; readonly width: number } & Pick<Probe, 'host' | 'port' | 'from' | 'timeout'>);

/** For a probe, each different answer once: `NAME ADDRESS:PORT SOURCE`, as the peer has it, or `! CODE`. */
export type PeerAnswer = readonly string[];

const name = process.argv[2]!;
const { addresses, ports } = JSON.parse(process.argv[3]!) as { addresses: string[]; ports: number[] };
const plain = (address = ''): string => address.replace('::ffff:', '');
const hostPort = (address: string, port: number): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
const patience = 3_000;

async function serve(): Promise<void> {
  for (const port of ports) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`${name} ${hostPort(plain(socket.localAddress), port)} ${plain(socket.remoteAddress)}\n`);
      socket.on('data', (data) => socket.write(data));
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '::', 1_024, resolve));
    // One socket for each address, so that an answer comes from where it was asked.
    for (const address of addresses) {
      const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      udp.on('message', (_, from) => udp.send(`${name} ${hostPort(address, port)} ${from.address}`, from.port, from.address));
      udp.on('error', () => undefined);
      await new Promise<void>((resolve) => udp.bind(port, address, resolve));
    }
  }
}

/** A socket, and what makes and ends one, alike for both protocols. */
interface Line {
  write(text: string): void;
  close(): void;
}

function openLine(
  { protocol, host, port, from }: Pick<Probe, 'protocol' | 'host' | 'port'> & { from?: string },
  told: (text: string) => void,
): Line {
  if (protocol === 'TCP') {
    const socket: Socket = connect({ host, port, noDelay: true, ...(from === undefined ? {} : { localAddress: from }) });
    socket.on('error', (error: NodeJS.ErrnoException) => told(`! ${error.code}`));
    socket.on('data', (data) => told(data.toString().trim()));
    socket.on('close', () => told('! CLOSED'));
    return { write: (text) => void socket.write(`${text}\n`), close: () => void socket.resetAndDestroy() };
  }
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (data) => told(data.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => told(`! ${error.code}`));
  let queue: string[] | undefined = ['hello'];
  socket.bind(0, from, () =>
    // Connected, so that a refusal (ICMP port unreachable) comes back as an error.
    socket.connect(port, host, () => {
      for (const text of queue ?? []) socket.send(text);
      queue = undefined;
    }),
  );
  let closed = false;
  return {
    write: (text) => void (queue ? queue.push(text) : socket.send(text)),
    close: () => {
      if (!closed) socket.close();
      closed = true;
    },
  };
}

const once = (probe: Probe): Promise<string> =>
  new Promise((resolve) => {
    const finish = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
      line.close();
    };
    const timer = setTimeout(() => finish('! TIMEOUT'), probe.timeout);
    const line = openLine(probe, finish);
  });

async function probe(asked: Probe): Promise<string> {
  const seen = new Set<string>();
  for (let tried = 0; tried < asked.tries && (tried === 0 || seen.size < asked.want); ) {
    const round = Math.min(asked.want > 1 ? 8 : 2, asked.tries - tried);
    for (const answer of await Promise.all(Array.from({ length: round }, () => once(asked)))) seen.add(answer);
    tried += round;
  }
  return [...seen].sort().join('; ');
}

async function storm({ count, width, ...where }: Extract<PeerRequest, { op: 'storm' }>): Promise<PeerAnswer> {
  const failures: string[] = [];
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started++ < count) {
      const line = await once({ ...where, protocol: 'TCP', want: 1, tries: 1 });
      if (line.startsWith('!')) failures.push(line);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return [`${failures.length}`, failures[0] ?? ''];
}

const kept = new Map<string, { line: Line; heard: string[]; wake: () => void }>();

async function nextLine(flow: string, timeout: number): Promise<string> {
  const known = kept.get(flow);
  if (!known) return '! UNKNOWN';
  if (known.heard.length === 0) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout);
      known.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  return known.heard.shift() ?? '! TIMEOUT';
}

async function answer(request: PeerRequest): Promise<PeerAnswer> {
  switch (request.op) {
    case 'probe':
      return Promise.all(request.probes.map(probe));
    case 'open': {
      const entry = { heard: [] as string[], wake: () => undefined as void };
      const told = (text: string): void => {
        entry.heard.push(text);
        entry.wake();
      };
      kept.get(request.flow)?.line.close();
      kept.set(request.flow, Object.assign(entry, { line: openLine(request, told) }));
      return [await nextLine(request.flow, patience)];
    }
    case 'echo':
      kept.get(request.flow)?.line.write(request.text);
      return [await nextLine(request.flow, request.timeout)];
    case 'storm':
      return storm(request);
    case 'close':
      kept.get(request.flow)?.line.close();
      kept.delete(request.flow);
      return [];
  }
}

process.on('message', ({ id, request }: { id: number; request: PeerRequest }) => {
  answer(request).then(
    (lines) => process.send!({ id, lines }),
    (error: unknown) => process.send!({ id, lines: [`! ${String(error)}`] }),
  );
});
process.on('disconnect', () => process.exit(0));
await serve();
process.send!({ ready: true });
