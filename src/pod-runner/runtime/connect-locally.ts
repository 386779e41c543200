import { connect, type Socket } from 'node:net';

/** Connects to a port of 127.0.0.1, then of ::1. The connection is not read from yet. Rejects with the words of container runtimes. */
export async function connectLocally(port: number): Promise<Socket> {
  const problems: string[] = [];
  for (const [family, host, shown] of [
    ['IPv4', '127.0.0.1', 'tcp4 127.0.0.1'],
    ['IPv6', '::1', 'tcp6 [::1]'],
  ] as const) {
    try {
      return await connectTo(host, port);
    } catch (error) {
      problems.push(`${family}: dial ${shown}:${port}: ${wordsFor(error as NodeJS.ErrnoException)}`);
    }
  }
  throw new Error(`failed to connect to localhost:${port} inside the network of the pod, ${problems.join(', ')}`);
}

function connectTo(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    // Whoever takes it over must not miss its first bytes.
    socket.pause();
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** As Go says it, since people search for that. */
function wordsFor(error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNREFUSED') return 'connect: connection refused';
  if (error.code === 'EADDRNOTAVAIL') return 'connect: cannot assign requested address';
  return error.message;
}
