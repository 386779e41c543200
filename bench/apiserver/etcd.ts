import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { configMapBody } from './objects.ts';
import { freePort } from '../../test/free-port.ts';
import { residentMegabytes } from './processes.ts';
import { startEtcd } from './servers.ts';

/** Figures of etcd by itself, under the names that the API servers' figures have. */
export type EtcdFigures = Readonly<Record<string, number>>;

/**
 * What durable writes cost in etcd with nothing in front of it: puts of the same keys and values by as many clients, over one plain HTTP/2
 * connection, on the same disk.
 */
export async function measureEtcd(file: string, folder: string, counts: Readonly<Record<number, number>>): Promise<EtcdFigures> {
  const ports = [await freePort(), await freePort()] as const;
  let problem: string | undefined;
  const program = startEtcd(file, join(folder, 'etcd-alone'), ports, (text) => {
    problem = text;
  });
  const client = new Client(`127.0.0.1:${ports[0]}`, credentials.createInsecure());
  try {
    await untilAnswers(client, () => problem);
    const figures: Record<string, number> = {};
    for (const [clients, count] of Object.entries(counts)) figures[`create x${clients}`] = await puts(client, Number(clients), count);
    figures['memory full'] = residentMegabytes(program.pid);
    return figures;
  } finally {
    client.close();
    await program.stop();
  }
}

async function untilAnswers(client: Client, problem: () => string | undefined): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await put(client, '/bench', '');
      return;
    } catch (error) {
      if (problem() || tries > 1_000) throw new Error(problem() ?? 'etcd does not answer', { cause: error });
      await sleep(10);
    }
  }
}

async function puts(client: Client, clients: number, count: number): Promise<number> {
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next < count) {
        const name = `x${clients}-${next++}`;
        await put(client, `/registry/configmaps/bench/${name}`, configMapBody(name));
      }
    }),
  );
  return count / ((performance.now() - start) / 1_000);
}

/** etcdserverpb.KV/Put: key is field 1, value field 2, both bytes. The answer's header is of no interest. */
const put = (client: Client, key: string, value: string): Promise<void> =>
  new Promise((done, fail) => {
    client.makeUnaryRequest(
      '/etcdserverpb.KV/Put',
      (message: Buffer) => message,
      () => undefined,
      Buffer.concat([bytesField(1, key), bytesField(2, value)]),
      (error) => (error ? fail(error) : done()),
    );
  });

function bytesField(number: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes]);
}
