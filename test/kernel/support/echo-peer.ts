// A program for tests in network namespaces: servers that tell a client its address as they see it, and clients that print the answers.
//
//     node echo-peer.ts serve NAME tcp/PORT udp/PORT ...   prints `ready`; answers `NAME ADDRESS`; TCP reads all that it is sent first
//     node echo-peer.ts ask tcp/HOST/PORT/SOURCE-PORT ...  prints a JSON list of answers, null where there was none within a second
//     node echo-peer.ts push HOST PORT BYTES               prints the seconds until the server had them all
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

async function serve(name: string, ports: readonly string[]): Promise<void> {
  for (const text of ports) {
    const [protocol, port] = text.split('/');
    if (protocol === 'tcp') {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => undefined).resume();
        socket.on('end', () => socket.end(`${name} ${plain(socket.remoteAddress)}`));
      });
      await once(server.listen(Number(port), '::'), 'listening');
    } else {
      const socket = createSocket('udp6');
      socket.on('message', (_, from) => socket.send(`${name} ${plain(from.address)}`, from.port, from.address));
      await once(socket.bind(Number(port), '::'), 'listening');
    }
  }
  console.log('ready');
}

async function ask(text: string): Promise<string | null> {
  const [protocol, host = '', port, source] = text.split('/');
  const timeout = AbortSignal.timeout(1_000);
  try {
    if (protocol === 'tcp') {
      const socket = connect({ host, port: Number(port), allowHalfOpen: true });
      timeout.addEventListener('abort', () => socket.destroy(new Error('no answer')));
      socket.end();
      let answer = '';
      for await (const chunk of socket.setEncoding('utf8')) answer += chunk as string;
      return answer;
    }
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    try {
      await once(socket.bind(Number(source ?? 0)), 'listening');
      socket.on('error', () => undefined);
      socket.send('?', Number(port), host);
      const [answer] = (await once(socket, 'message', { signal: timeout })) as [Buffer];
      return answer.toString();
    } finally {
      socket.close();
    }
  } catch {
    return null;
  }
}

async function push(host: string, port: number, bytes: number): Promise<number> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect');
  const started = performance.now();
  socket.end(Buffer.alloc(bytes));
  await once(socket.resume(), 'end');
  return (performance.now() - started) / 1_000;
}

const [what, ...words] = process.argv.slice(2);
if (what === 'serve') await serve(words[0]!, words.slice(1));
else if (what === 'ask') {
  const answers: (string | null)[] = [];
  for (const word of words) answers.push(await ask(word));
  console.log(JSON.stringify(answers));
} else if (what === 'push') console.log(await push(words[0]!, Number(words[1]), Number(words[2])));
