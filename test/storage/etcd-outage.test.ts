import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createCertificateAuthority } from '../../src/kube/pki/authority.ts';
import { type CompactedError, type Store, StoreError, type StoreEvent } from '../../src/storage/index.ts';
import { createEtcdMaintenance } from '../../src/storage/etcd/maintenance.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { cleanup, put, putAt } from './contract.ts';
import { type EtcdServer, type EtcdServerOptions, openTestEtcd, startEtcd } from './etcd-server.ts';
import { freePort } from '../free-port.ts';

async function etcdServer(options?: EtcdServerOptions): Promise<EtcdServer> {
  const etcd = await startEtcd(options);
  cleanup(() => etcd.remove());
  return etcd;
}

async function openStore(...args: Parameters<typeof openTestEtcd>): Promise<Store> {
  const store = await openTestEtcd(...args);
  cleanup(() => store.close());
  return store;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes from 8 writers until told to stop; keys with what became of them. */
function startWriting(store: Store): { stop(): Promise<{ acknowledged: Map<string, number>; unsure: Set<string> }> } {
  let going = true;
  const acknowledged = new Map<string, number>();
  const unsure = new Set<string>();
  const writer = async (id: number): Promise<void> => {
    for (let i = 0; going; i++) {
      const key = `/registry/things/${id}-${i}`;
      try {
        const outcome = await put(store, key, '{}', 0);
        if (outcome.ok) acknowledged.set(key, outcome.revision);
      } catch (error) {
        expect(error).toBeInstanceOf(StoreError);
        expect((error as StoreError).message).toMatch(/^etcd at http/);
        if ((error as StoreError).reason === 'unknown') unsure.add(key);
        else expect((error as StoreError).reason).toBe('unavailable');
      }
      await pause(2);
    }
  };
  const writers = Array.from({ length: 8 }, (_, id) => writer(id));
  return {
    async stop() {
      going = false;
      await Promise.all(writers);
      return { acknowledged, unsure };
    },
  };
}

/** Ten seconds without etcd in the middle of writes: nothing acknowledged is lost, and the watch goes on where it was. */
async function surviveOutage(begin: (etcd: EtcdServer) => unknown, end: (etcd: EtcdServer) => unknown): Promise<void> {
  const etcd = await etcdServer();
  const store = await openStore(etcd);
  const seen: StoreEvent[] = [];
  await store.watch('/registry/things/', store.revision(), (event) => seen.push(event));
  const writing = startWriting(store);
  await pause(500);
  await begin(etcd);
  await pause(9_000);
  expect(store.problem()).toMatch(/etcd/);
  await pause(1_000);
  await end(etcd);
  await pause(2_500);
  const { acknowledged, unsure } = await writing.stop();
  const { values } = await store.list('/registry/things/');
  const found = new Map(values.map(({ key, modRevision }) => [key, modRevision]));
  for (const [key, revision] of acknowledged) expect([key, found.get(key)]).toEqual([key, revision]);
  for (const key of found.keys()) expect(acknowledged.has(key) || unsure.has(key)).toBe(true);
  // Written before and after.
  expect([...acknowledged.keys()].filter((key) => key.endsWith('-0'))).toHaveLength(8);
  expect(await putAt(store, '/registry/things/last', '{}')).toBe(seen.at(-1)!.revision);
  expect(seen.slice(0, -1).map(({ key, revision }) => [key, revision])).toEqual([...found].sort((a, b) => a[1] - b[1]));
  expect(store.problem()).toBeUndefined();
}

it('survives ten seconds without etcd, stopped or killed', { timeout: 60_000 }, async () => {
  await Promise.all([
    surviveOutage(
      (etcd) => etcd.hang(),
      (etcd) => etcd.process.kill('SIGCONT'),
    ),
    surviveOutage(
      (etcd) => etcd.kill(),
      (etcd) => etcd.restart(),
    ),
  ]);
});

it('says that etcd cannot be reached, where, and why', { timeout: 30_000 }, async () => {
  const port = await freePort();
  const gone = { url: `http://127.0.0.1:${port}` } as EtcdServer;
  await expect(openTestEtcd(gone, { requestTimeout: 600 })).rejects.toMatchObject({
    reason: 'unavailable',
    message: expect.stringMatching(new RegExp(`^etcd at http://127.0.0.1:${port}: .*ECONNREFUSED`)),
  });
});

it.each([
  [['http://10.0.0.1:2379'], 'plain HTTP'],
  [['10.0.0.1:2379'], 'not a URL'],
  [['ftp://127.0.0.1:1'], 'not a URL'],
  [[], 'no etcd server'],
])('refuses the servers %j', async (servers, why) => {
  await expect(openTestEtcd({ url: '' } as EtcdServer, { servers })).rejects.toMatchObject({
    reason: 'invalid',
    message: expect.stringContaining(why),
  });
});

it('goes on at another member when one is gone, hangs, or never was', { timeout: 40_000 }, async () => {
  // A member that takes connections and says nothing.
  const mute = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  cleanup(() => mute.close());
  const { port } = mute.address() as { port: number };
  const etcd = await etcdServer();
  const servers = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${port}`, etcd.url];
  const store = await openStore(etcd, { servers });
  const first = await putAt(store, '/registry/things/a', '1');
  const seen: number[] = [];
  await store.watch('/registry/things/', first, ({ revision }) => seen.push(revision));
  await etcd.kill();
  await etcd.restart();
  const second = await putAt(store, '/registry/things/a', '2');
  expect(seen).toEqual([second]);
});

it('speaks TLS with a client certificate, and to nobody else', { timeout: 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-etcd-pki-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  const ca = await createCertificateAuthority('etcd-ca', Date.now());
  const server = await ca.issueServer({ commonName: 'etcd', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
  const client = await ca.issueClient({ user: 'podwire', groups: [] });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tls = ['--cert-file', file('server.crt', server.certificate), '--key-file', file('server.key', server.key)];
  const etcd = await etcdServer({
    scheme: 'https',
    flags: [...tls, '--client-cert-auth', '--trusted-ca-file', file('ca.crt', ca.certificate)],
  });
  const pem = (text: string): Buffer => Buffer.from(text);
  const clientCertificate = { certificate: pem(client.certificate), key: pem(client.key) };

  const store = await openStore(etcd, { ca: pem(ca.certificate), clientCertificate });
  await putAt(store, '/registry/things/a', '1');
  expect((await store.get('/registry/things/a'))?.value).toBe('1');

  const other = await createCertificateAuthority('other-ca', Date.now());
  const refused = { reason: 'unavailable', message: expect.stringMatching(/^etcd at https:\/\/127.*(certificate|No connection)/) };
  const options = { requestTimeout: 1_500 };
  await expect(openTestEtcd(etcd, { ...options, ca: pem(other.certificate), clientCertificate })).rejects.toMatchObject(refused);
  await expect(openTestEtcd(etcd, { ...options, ca: pem(ca.certificate) })).rejects.toMatchObject(refused);
});

it('tells a watcher when what it missed is compacted, and watches on from what is now', { timeout: 30_000 }, async () => {
  const etcd = await etcdServer();
  const cut = await breakableProxy(Number(new URL(etcd.url).port));
  const store = await openStore(etcd, { servers: [`http://127.0.0.1:${cut.port}`] });
  const direct = await openStore(etcd);
  await putAt(store, '/registry/things/a', '1');
  const lost = new Promise<CompactedError | StoreError>((resolve) => {
    void store.watch('/registry/things/', store.revision(), () => {}, { lost: resolve });
  });
  await pause(50);
  cut.down();
  for (let i = 0; i < 10; i++) await putAt(direct, '/registry/things/a', String(i));
  const maintenance = createEtcdMaintenance(etcdOptions(etcd), systemClock);
  await maintenance.compact(undefined);
  maintenance.close();
  cut.up();
  expect((await lost).name).toBe('CompactedError');
  const listed = await store.list('/registry/things/');
  expect(listed.values.map(({ value }) => value)).toEqual(['9']);
  expect(store.compactedRevision()).toBeLessThanOrEqual(listed.revision);
  const seen: string[] = [];
  await store.watch('/registry/things/', listed.revision, ({ value }) => seen.push(value));
  await putAt(direct, '/registry/things/a', 'after');
  await store.consistentRevision();
  expect(seen).toEqual(['after']);
});

it('several stores compact once an interval, and all of them know', { timeout: 30_000 }, async () => {
  const etcd = await etcdServer();
  const options = { compactionInterval: 400 };
  const stores = [await openStore(etcd, options), await openStore(etcd, options)];
  const first = await putAt(stores[0]!, '/registry/things/a', '1');
  for (let i = 0; i < 40 && stores.some((store) => store.compactedRevision() < first); i++) await pause(100);
  for (const store of stores) {
    expect(store.compactedRevision()).toBeGreaterThanOrEqual(first);
    await expect(store.watch('/registry/', 1, () => {})).rejects.toMatchObject({ name: 'CompactedError' });
  }
  // What etcd itself has let go of is not promised by one that starts now.
  const late = await openStore(etcd);
  expect(late.compactedRevision()).toBeGreaterThanOrEqual(first);
});

it('does not read what another kind of API server wrote', async () => {
  const etcd = await etcdServer();
  const store = await openStore(etcd);
  await putAt(store, '/registry/pods/default/a', 'k8s\0\n\u0006');
  const foreign = { reason: 'foreign', message: expect.stringContaining('--etcd-prefix') };
  await expect(store.list('/registry/')).rejects.toMatchObject(foreign);
  expect(store.problem()).toContain('--etcd-prefix');
  const late = await openStore(etcd);
  await expect(late.list('/registry/')).rejects.toMatchObject(foreign);
});

it('reads consistently although keys outside of its prefix take revisions', async () => {
  const etcd = await etcdServer();
  const [ours, others] = [await openStore(etcd), await openStore(etcd, { prefix: '/others' })];
  for (let i = 0; i < 5; i++) {
    const foreign = await putAt(others, '/registry/things/x', String(i));
    expect(await ours.consistentRevision()).toBeGreaterThanOrEqual(foreign);
  }
});

const etcdOptions = (etcd: EtcdServer) => ({
  servers: [etcd.url],
  prefix: '/registry',
  ca: undefined,
  clientCertificate: undefined,
  compactionInterval: 0,
  requestTimeout: 10_000,
});

/** A way to etcd that can be cut. */
async function breakableProxy(target: number): Promise<{ port: number; down(): void; up(): void }> {
  const sockets = new Set<Socket>();
  let open = true;
  const server = createServer((socket) => {
    if (!open) return void socket.destroy();
    const upstream = createConnection(target, '127.0.0.1');
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => {});
      each.on('close', () => sockets.delete(each));
    }
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    down() {
      open = false;
      for (const socket of sockets) socket.destroy();
    },
    up() {
      open = true;
    },
  };
}
