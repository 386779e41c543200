// A small server for pods, run as a program of its own: `web serve | netexec | serve-hostname | pause`. Only Node's own modules, so that it starts fast.
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';

const { PODWIRE_POD: pod = hostname(), PODWIRE_NODE: node = '', PODWIRE_ANNOUNCE: announceFile } = process.env;
const [mode = 'serve', ...flags] = process.argv.slice(2);

const flag = (name: string, fallback: number): number => {
  const index = flags.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (index === -1) return fallback;
  const text = flags[index]!.includes('=') ? flags[index]!.split('=')[1] : flags[index + 1];
  const port = Number(text);
  if (!Number.isInteger(port) || port < -1 || port > 65_535) fail(`--${name} must be a port, not ${text}`);
  return port;
};

function fail(problem: string): never {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
}

/** A dual-stack socket shows IPv4 peers as `::ffff:10.0.0.1`. */
const plain = (address = ''): string => address.replace(/^::ffff:(?=\d+\.)/, '');
const endpoint = (address: string | undefined, port: number | undefined): string => {
  const text = plain(address);
  return `${text.includes(':') ? `[${text}]` : text}:${port}`;
};

function tellWho({ socket, headers }: IncomingMessage, response: ServerResponse): void {
  const who = {
    pod,
    node,
    address: endpoint(socket.localAddress, socket.localPort),
    client: endpoint(socket.remoteAddress, socket.remotePort),
  };
  if (headers.accept?.includes('application/json')) return void send(response, `${JSON.stringify(who)}\n`, 'application/json');
  const lines = Object.entries(who).map(([name, value]) => `${name} ${value}`);
  send(response, `${lines.join('\n')}\n`);
}

function send(response: ServerResponse, text: string, type = 'text/plain; charset=utf-8', code = 200): void {
  response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(text), server: 'podwire' }).end(text);
}

/** The paths of agnhost's netexec that tests of networks use. */
function netexec(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const { remoteAddress, remotePort } = request.socket;
  const answers: Record<string, () => string> = {
    '/': () => `NOW: ${new Date().toISOString()}`,
    '/hostname': () => pod,
    '/hostName': () => pod,
    '/clientip': () => endpoint(remoteAddress, remotePort),
    '/echo': () => searchParams.get('msg') ?? '',
    '/healthz': () => '',
  };
  const answer = Object.hasOwn(answers, pathname) ? answers[pathname] : undefined;
  if (answer) send(response, answer());
  else send(response, '404 page not found\n', undefined, 404);
}

function serveHttp(port: number, handle: (request: IncomingMessage, response: ServerResponse) => void, ready: () => void): void {
  const server = createServer(handle);
  let host = '::';
  server.on('error', (error: NodeJS.ErrnoException) => {
    // A kernel without IPv6.
    if (error.code !== 'EAFNOSUPPORT' || host === '0.0.0.0') fail(`cannot listen on port ${port}: ${error.message}`);
    host = '0.0.0.0';
    server.listen(port, host);
  });
  server.on('listening', ready);
  server.listen({ port, host, backlog: 511 });
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), 500);
  });
}

function serveUdp(port: number, ready: () => void): void {
  const socket = createSocket('udp6');
  socket.on('error', (error) => fail(`cannot listen on UDP port ${port}: ${error.message}`));
  socket.on('message', (message, peer) => {
    const [command = '', ...words] = message.toString('utf8').trim().split(' ');
    const answers: Record<string, () => string> = {
      echo: () => words.join(' '),
      hostname: () => pod,
      hostName: () => pod,
      clientip: () => endpoint(peer.address, peer.port),
    };
    const answer = Object.hasOwn(answers, command.toLowerCase()) ? answers[command.toLowerCase()]!() : `unknown command ${command}`;
    socket.send(answer, peer.port, peer.address);
  });
  socket.bind(port, '::', ready);
}

const announce = (): void => {
  process.stdout.write(`${pod} is listening\n`);
  if (announceFile) writeFileSync(announceFile, '');
};

function start(): void {
  if (mode === 'serve') return serveHttp(flag('http-port', 80), tellWho, announce);
  if (mode === 'serve-hostname') return serveHttp(flag('port', 9376), (_request, response) => send(response, pod), announce);
  if (mode === 'netexec') {
    const udp = flag('udp-port', 8081);
    return serveHttp(flag('http-port', 8080), netexec, () => (udp === -1 ? announce() : serveUdp(udp, announce)));
  }
  if (mode === 'pause') {
    process.on('SIGTERM', () => process.exit(0));
    setInterval(() => undefined, 2 ** 30);
    return;
  }
  fail(`unknown mode ${mode}: netexec, serve-hostname and pause are there`);
}

process.on('SIGINT', () => process.exit(0));
start();
