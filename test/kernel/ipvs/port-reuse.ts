// Connects five times from one port, each time right after the connection before was reset, and tells how often a SYN had to be sent again.
//
//     node port-reuse.ts ADDRESS PORT
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2) as [string, string];

/** Of this network namespace (TCPSynRetrans in /proc/net/netstat: names in one line, values in the next). */
function synsSentAgain(): number {
  const lines = readFileSync('/proc/net/netstat', 'utf8').split('\n');
  const at = lines.findIndex((line) => line.startsWith('TcpExt:'));
  const [names, values] = [lines[at]!.split(' '), lines[at + 1]!.split(' ')];
  return Number(values[names.indexOf('TCPSynRetrans')]);
}

const counts: number[] = [];
const outcomes: string[] = [];
for (let round = 0; round < 5; round++) {
  const before = synsSentAgain();
  outcomes.push(
    await new Promise<string>((resolve) => {
      const socket = connect({ host, port: Number(port), localPort: 41_000 });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(`${error.code}`));
      socket.on('data', () => {
        socket.resetAndDestroy();
        resolve('connected');
      });
    }),
  );
  counts.push(synsSentAgain() - before);
}
process.send!({ outcomes, counts });
