import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Store } from '../../src/storage/index.ts';
import { type EtcdStoreOptions, openEtcdStore } from '../../src/storage/etcd/etcd-store.ts';
import { freePort } from '../free-port.ts';

/** A real etcd of one member on loopback, in a folder of its own. */
export interface EtcdServer {
  readonly url: string;
  readonly process: ChildProcess;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Stops all of its threads (SIGSTOP), and resolves when the last one has: until then it may still answer. SIGCONT lets it go on. */
  hang(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

export interface EtcdServerOptions {
  /** More flags, such as those of TLS. */
  readonly flags?: readonly string[];
  readonly scheme?: 'http' | 'https';
}

const program = '/usr/bin/etcd';
/** util-linux; sets what the kernel does to a process whose parent dies. */
const launcher = '/usr/bin/setpriv';

/** @throws Error when etcd is not installed or does not start. */
export async function startEtcd({ flags = [], scheme = 'http' }: EtcdServerOptions = {}): Promise<EtcdServer> {
  if (!existsSync(program)) throw new Error(`these tests need ${program}: apt-get install etcd-server (scripts/setup.sh test does)`);
  const folder = mkdtempSync(join(tmpdir(), 'podwire-etcd-'));
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const url = `${scheme}://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const args = [
    ...['--name', 'one', '--data-dir', folder, '--unsafe-no-fsync', '--log-level', 'error', '--logger', 'zap'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peer],
    ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`, ...flags],
  ];
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    // It ends with the thread that started it, also when that is killed.
    child = spawn(launcher, ['--pdeathsig', 'KILL', program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    for (let i = 0; i < 400; i++) {
      if (child.exitCode !== null) throw new Error(`etcd ended: ${output}`);
      if (await accepts(clientPort)) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`etcd does not listen: ${output}`);
  };
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  };
  await start();
  return {
    url,
    get process() {
      return child;
    },
    kill,
    async hang() {
      child.kill('SIGSTOP');
      const threads = `/proc/${child.pid}/task`;
      // The state follows the name in parentheses.
      const isStopped = (thread: string): boolean =>
        / [Tt] /.test(
          readFileSync(join(threads, thread, 'stat'), 'utf8')
            .split(')')
            .at(-1)!,
        );
      while (!readdirSync(threads).every(isStopped)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    restart: start,
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A store under a prefix of its own in that etcd, unless told otherwise. */
export function openTestEtcd(etcd: EtcdServer, options: Partial<EtcdStoreOptions> = {}): Promise<Store> {
  return openEtcdStore({
    servers: [etcd.url],
    prefix: '/registry',
    ca: undefined,
    clientCertificate: undefined,
    compactionInterval: 0,
    requestTimeout: 15_000,
    clock: systemClock,
    random: Math.random,
    ...options,
  });
}

async function accepts(port: number): Promise<boolean> {
  const { createConnection } = await import('node:net');
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
