import type { Duplex } from 'node:stream';
import type { Upgrade } from './upgrades.ts';
import type { UpgradeAnswer } from './kubelet-client.ts';

/** Sends kubelet's 101 to the client, and from then on every byte both ways, until either side ends. */
export function passThrough({ socket: client, head }: Upgrade, answer: UpgradeAnswer & { upgraded: true }): void {
  const lines: string[] = [];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
    lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}\r\n`);
  client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
  if (answer.head.length > 0) client.write(answer.head);
  if (head.length > 0) answer.socket.write(head);
  join(client, answer.socket);
}

/** Joins two connections. What one has sent before its end reaches the other; then both end. */
export function join(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    // After an orderly end the pipe has ended the other, and what it still has to send is sent.
    from.once('close', () => {
      if (!to.writableEnded) to.destroy();
      else if (!to.writableFinished) to.once('finish', () => to.destroy());
      else to.destroy();
    });
  }
}
