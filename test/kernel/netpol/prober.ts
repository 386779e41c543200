// Runs inside a pod of the test: answers on TCP and UDP, and tries connections as told on standard input, one JSON object a line.
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Order {
  id: number;
  op: 'connect' | 'open' | 'echo' | 'udp';
  host: string;
  port: number;
}

const patience = 400;
const open = new Map<string, Socket>();
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

for (const port of [80, 81]) createServer((socket) => void socket.on('error', () => undefined).pipe(socket)).listen({ host: '::', port });
for (const port of [53, 54]) {
  const server = createSocket('udp6');
  server.on('message', (bytes, from) => server.send(bytes, from.port, from.address));
  server.bind(port, '::');
}

const tcp = (host: string, port: number): Promise<Socket | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const give = (value: Socket | undefined): void => {
      clearTimeout(timer);
      if (!value) socket.destroy();
      resolve(value);
    };
    const timer = setTimeout(() => give(undefined), patience);
    socket.once('connect', () => give(socket));
    socket.on('error', () => give(undefined));
  });

const echo = (socket: Socket): Promise<boolean> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patience);
    socket.once('data', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.write('ping');
  });

const udp = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const give = (value: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(value);
    };
    const timer = setTimeout(() => give(false), patience);
    socket.once('message', () => give(true));
    socket.on('error', () => undefined);
    socket.send('ping', port, host);
  });

async function carryOut({ op, host, port }: Order): Promise<boolean> {
  if (op === 'udp') return udp(host, port);
  if (op === 'echo') return echo(open.get(`${host} ${port}`)!);
  const socket = await tcp(host, port);
  if (op === 'open' && socket) open.set(`${host} ${port}`, socket);
  else socket?.destroy();
  return socket !== undefined;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line) as Order;
  void carryOut(order).then((ok) => say({ id: order.id, ok }));
});
say({ ready: true });
