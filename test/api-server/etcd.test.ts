import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestEtcd, startEtcd, type EtcdServer } from '../storage/etcd-server.ts';
import { cleanup, configMap, inDefault, startTestServer, type TestServer } from './harness.ts';

let etcd: EtcdServer;
let prefixes = 0;
beforeAll(async () => {
  etcd = await startEtcd();
}, 30_000);
afterAll(() => etcd?.remove());

/** API servers on one etcd, on which nothing else is. */
async function startServers(count: number, options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer[]> {
  const prefix = `/cluster${prefixes++}`;
  const servers: TestServer[] = [];
  for (let i = 0; i < count; i++) {
    servers.push(await startTestServer({ advertiseAddress: `192.168.88.${11 + i}`, ...options }, await openTestEtcd(etcd, { prefix })));
  }
  return servers;
}

const path = inDefault('configmaps');
const services = inDefault('services');
const nodePort = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { type: 'NodePort', selector: { app: name }, ports: [{ port: 80 }] },
});

describe('two API servers on one etcd', () => {
  it('read what the other has written, at once and from the cache a moment later', async () => {
    const [a, b] = (await startServers(2)) as [TestServer, TestServer];
    for (let i = 0; i < 20; i++) {
      await a.expect(201, 'POST', path, configMap(`c${i}`));
      await b.expect(200, 'GET', `${path}/c${i}`);
      const listed = await b.expect(200, 'GET', path);
      expect(listed.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toContain(`c${i}`);
      await b.expect(200, 'PUT', `${path}/c${i}`, configMap(`c${i}`, { by: 'b' }));
      expect((await a.expect(200, 'GET', `${path}/c${i}`)).data).toEqual({ by: 'b' });
      await a.expect(200, 'DELETE', `${path}/c${i}`);
      await b.expect(404, 'GET', `${path}/c${i}`);
      await b.expect(201, 'POST', path, configMap(`c${i}`));
    }
    const { metadata, items } = await b.expect(200, 'GET', path);
    const since = await a.expect(200, 'GET', `${path}?resourceVersion=${metadata.resourceVersion}`);
    expect(since.items).toEqual(items);
  });

  it('tell a watcher of a write on the other in less than 50 ms', async () => {
    const [a, b] = (await startServers(2)) as [TestServer, TestServer];
    const watch = await b.watch(`${path}?watch=1&resourceVersion=${b.store.revision()}`);
    const delays: number[] = [];
    for (let i = 0; i < 40; i++) {
      const began = performance.now();
      const next = watch.next();
      await a.expect(201, 'POST', path, configMap(`c${i}`));
      expect((await next).object.metadata.name).toBe(`c${i}`);
      delays.push(performance.now() - began);
    }
    delays.sort((x, y) => x - y);
    // The whole way: request, etcd, the other server, its client. Half of them, because tests beside this one stall the machine.
    expect(delays[Math.floor(delays.length / 2)]!).toBeLessThan(50);
  });

  it('give 100 Services created on both at once addresses and node ports of their own', { timeout: 60_000 }, async () => {
    const [a, b] = (await startServers(2, { serviceNodePortRange: { first: 30_000, last: 30_099 } })) as [TestServer, TestServer];
    const made = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? a : b).expect(201, 'POST', services, nodePort(`s${i}`))));
    expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(100);
    expect(new Set(made.map(({ spec }) => spec.ports[0].nodePort)).size).toBe(100);
    const full = await a.expect(422, 'POST', services, nodePort('one-more'));
    expect(full.message).toContain('range is full');
    await b.expect(200, 'DELETE', `${services}/s7`);
    await a.expect(201, 'POST', services, nodePort('heir'));
    const stolen = { ...nodePort('thief').spec, type: 'ClusterIP', clusterIP: made[8].spec.clusterIP };
    await b.expect(422, 'POST', services, { ...nodePort('thief'), spec: stolen });
  });

  it('let one of 50 PUTs on one revision through, the rest get 409', async () => {
    const [a, b] = (await startServers(2)) as [TestServer, TestServer];
    const { metadata } = await a.expect(201, 'POST', path, configMap('c'));
    const { resourceVersion } = metadata;
    const codes = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const body = configMap('c', { i: String(i) }, { resourceVersion });
        return (await (i % 2 ? a : b).call('PUT', `${path}/c`, body)).code;
      }),
    );
    expect(codes.filter((code) => code === 200)).toHaveLength(1);
    expect(codes.filter((code) => code === 409)).toHaveLength(49);
  });

  it('are both endpoints of the Service kubernetes, until one leaves', async () => {
    const [a, b] = (await startServers(2)) as [TestServer, TestServer];
    const ips = async (): Promise<string[]> =>
      (await a.expect(200, 'GET', inDefault('endpoints', 'kubernetes'))).subsets
        .flatMap(({ addresses }: { addresses: { ip: string }[] }) => addresses.map(({ ip }) => ip))
        .sort();
    expect(await ips()).toEqual(['192.168.88.11', '192.168.88.12']);
    await b.server.stop();
    expect(await ips()).toEqual(['192.168.88.11']);
  });
});

describe('an API server on etcd', () => {
  it('keeps readable JSON under the keys of the reference, events with a lease', async () => {
    const prefix = '/readable';
    const store = await openTestEtcd(etcd, { prefix, expiries: [{ prefix: '/registry/events/', seconds: 3_600 }] });
    const api = await startTestServer({}, store);
    await api.expect(201, 'POST', path, configMap('colours', { sky: 'blue' }));
    const text = await etcdctl('get', `${prefix}/configmaps/default/colours`, '--print-value-only');
    expect(JSON.parse(text)).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'colours' }, data: { sky: 'blue' } });
    const event = { kind: 'Event', apiVersion: 'v1', metadata: { name: 'e' }, involvedObject: { namespace: 'default' }, reason: 'R' };
    await api.expect(201, 'POST', inDefault('events'), event);
    const { kvs } = JSON.parse(await etcdctl('get', `${prefix}/events/default/e`, '-w', 'json')) as { kvs: { lease?: number }[] };
    expect(kvs[0]!.lease).toBeGreaterThan(0);
    const { kvs: others } = JSON.parse(await etcdctl('get', `${prefix}/configmaps/default/colours`, '-w', 'json'));
    expect(others[0].lease).toBeUndefined();
  });

  it('lists page by page at one revision while others write, and watches on from it', async () => {
    const [a, b] = (await startServers(2)) as [TestServer, TestServer];
    await Promise.all(Array.from({ length: 30 }, (_, i) => a.expect(201, 'POST', path, configMap(`c${String(i).padStart(2, '0')}`))));
    const first = await b.expect(200, 'GET', `${path}?limit=10`);
    await a.expect(200, 'DELETE', `${path}/c15`);
    await a.expect(201, 'POST', path, configMap('c99'));
    const rest = await a.expect(200, 'GET', `${path}?continue=${first.metadata.continue}`);
    const names = [...first.items, ...rest.items].map(({ metadata }) => metadata.name).filter((name) => name.startsWith('c'));
    expect(names).toContain('c15');
    expect(names).not.toContain('c99');
    expect(rest.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const watch = await b.watch(`${path}?watch=1&resourceVersion=${first.metadata.resourceVersion}`);
    const seen = [await watch.next(), await watch.next()].map(({ type, object }) => `${type} ${object.metadata.name}`);
    expect(seen).toEqual(['DELETED c15', 'ADDED c99']);
  });

  it('resumes a watch over its restart without gap or repeat', async () => {
    const prefix = '/restarted';
    const first = await startTestServer({}, await openTestEtcd(etcd, { prefix }));
    const { metadata } = await first.expect(200, 'GET', path);
    for (let i = 0; i < 5; i++) await first.expect(201, 'POST', path, configMap(`c${i}`));
    await first.server.stop();
    const second = await startTestServer({}, await openTestEtcd(etcd, { prefix }));
    const watch = await second.watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`);
    await second.expect(201, 'POST', path, configMap('c5'));
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) seen.push((await watch.next()).object.metadata.name);
    expect(seen).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5']);
  });
});

it('while etcd hangs, what may be old is read from the cache, and what must be new waits for etcd', { timeout: 30_000 }, async () => {
  const own = await startEtcd();
  cleanup(() => own.remove());
  const api = await startTestServer({}, await openTestEtcd(own));
  await api.expect(201, 'POST', path, configMap('a'));
  await own.hang();
  const answers: string[] = [];
  const asked = [api.expect(200, 'GET', `${path}/a`), api.expect(200, 'GET', path), api.expect(201, 'POST', path, configMap('b'))];
  for (const answer of asked) void answer.then(({ kind }) => answers.push(kind));
  await api.expect(200, 'GET', `${path}/a?resourceVersion=0`);
  await api.expect(200, 'GET', `${path}?resourceVersion=0`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(answers).toEqual([]);
  own.process.kill('SIGCONT');
  await Promise.all(asked);
  expect(answers.sort()).toEqual(['ConfigMap', 'ConfigMap', 'ConfigMapList']);
});

async function etcdctl(...args: string[]): Promise<string> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    execFile(
      'etcdctl',
      ['--endpoints', etcd.url, ...args],
      { timeout: 10_000, env: { ...process.env, ETCDCTL_API: '3' } },
      (error, stdout, stderr) =>
        error ? reject(new Error(`these tests need etcdctl (apt-get install etcd-client): ${error.message} ${stderr}`)) : resolve(stdout),
    );
  });
}
