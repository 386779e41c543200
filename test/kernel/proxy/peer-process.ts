// Runs inside a network namespace, told what to do over IPC: answers on a port with its name and the client's address, and connects to others.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';

export type PeerRequest =
  | { readonly op: 'serve'; readonly port: number }
  | {
      readonly op: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly count: number;
      readonly timeout: number;
      readonly from?: string;
    }
  /** From one socket, one after the other. */
  | {
      readonly op: 'udp';
      readonly host: string;
      readonly port: number;
      readonly count: number;
      readonly timeout: number;
      readonly sourcePort?: number;
      readonly newSockets?: boolean;
    }
  /** Opens a connection and keeps it; answers with its first line. */
  | { readonly op: 'open'; readonly host: string; readonly port: number }
  /** Sends a line over the kept connection; answers with the echo. */
  | { readonly op: 'echo'; readonly text: string };

export interface PeerAnswer {
  /** `NAME CLIENT-ADDRESS`, or `! CODE` for a failure. */
  readonly lines: readonly string[];
  readonly milliseconds: number;
}

const name = process.argv[2]!;
let kept: Socket | undefined;

function serve(port: number): Promise<string[]> {
  const plain = (address = ''): string => address.replace('::ffff:', '');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(`${name} ${plain(socket.remoteAddress)}\n`);
    socket.on('data', (data) => socket.write(data));
  });
  const udp = createSocket('udp6');
  udp.on('message', (_, from) => udp.send(`${name} ${plain(from.address)}`, from.port, from.address));
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '::', () => udp.bind(port, '::', () => resolve([])));
  });
}

function tcpOnce(host: string, port: number, timeout: number, from?: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(from ? { localAddress: from } : {}) });
    const finish = (line: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(line);
    };
    const timer = setTimeout(() => finish('! TIMEOUT'), timeout);
    socket.once('error', (error: NodeJS.ErrnoException) => finish(`! ${error.code}`));
    socket.once('data', (data) => finish(data.toString().trim()));
  });
}

async function udpSeries(request: Extract<PeerRequest, { op: 'udp' }>): Promise<string[]> {
  const lines: string[] = [];
  let socket: UdpSocket | undefined;
  for (let i = 0; i < request.count; i++) {
    if (request.newSockets) socket?.close();
    if (!socket || request.newSockets) {
      socket = createSocket(request.host.includes(':') ? 'udp6' : 'udp4');
      await new Promise<void>((resolve) => socket!.bind(request.sourcePort ?? 0, resolve));
      // Connected, so that a refusal (ICMP port unreachable) comes back as an error.
      await new Promise<void>((resolve, reject) =>
        socket!.connect(request.port, request.host, (error?: Error) => (error ? reject(error) : resolve())),
      );
    }
    const current = socket;
    lines.push(
      await new Promise((resolve) => {
        const finish = (line: string): void => {
          clearTimeout(timer);
          current.removeAllListeners('message').removeAllListeners('error');
          current.on('error', () => undefined);
          resolve(line);
        };
        const timer = setTimeout(() => finish('! TIMEOUT'), request.timeout);
        current.once('message', (data) => finish(data.toString()));
        current.once('error', (error: NodeJS.ErrnoException) => finish(`! ${error.code}`));
        current.send('hello');
      }),
    );
  }
  socket?.close();
  return lines;
}

async function answer(request: PeerRequest): Promise<string[]> {
  switch (request.op) {
    case 'serve':
      return serve(request.port);
    case 'tcp': {
      const lines: string[] = [];
      for (let i = 0; i < request.count; i++) lines.push(await tcpOnce(request.host, request.port, request.timeout, request.from));
      return lines;
    }
    case 'udp':
      return udpSeries(request);
    case 'open':
      kept = connect({ host: request.host, port: request.port });
      return [await nextLine(kept)];
    case 'echo':
      if (!kept) return ['! CLOSED'];
      kept.write(`${request.text}\n`);
      return [await nextLine(kept)];
  }
}

function nextLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('! TIMEOUT'), 3_000);
    socket.once('data', (data) => {
      clearTimeout(timer);
      resolve(data.toString().trim());
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(`! ${error.code}`));
  });
}

process.on('message', (request: PeerRequest) => {
  const start = performance.now();
  answer(request).then(
    (lines) => process.send!({ lines, milliseconds: performance.now() - start } satisfies PeerAnswer),
    (error: unknown) => process.send!({ lines: [`! ${String(error)}`], milliseconds: performance.now() - start } satisfies PeerAnswer),
  );
});
process.on('disconnect', () => process.exit(0));
