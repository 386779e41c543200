import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { startDns } from '../../src/dns/daemon.ts';
import type { DnsOptions } from '../../src/dns/index.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { frame, splitMessages } from '../../src/transport/dns-tcp.ts';
import { decodeAnswer, encodeRequest, sampleInput, service, slice } from './fixtures.ts';

const run = promisify(execFile);
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<DnsOptions> = {}, { empty = false } = {}) {
  const cluster = createFakeCluster();
  const from = sampleInput();
  if (!empty) {
    for (const object of from.services) cluster.set(resources.services, object);
    for (const object of from.endpointSlices) cluster.set(resources.endpointSlices, object);
  }
  for (const object of from.namespaces) cluster.set(resources.namespaces, object);
  const metrics = new Registry();
  const health = createHealth();
  const dns = await startDns(
    { listenAddresses: ['127.0.0.1'], port: 0, ...options },
    { cluster },
    { log: silentLogger(), clock: systemClock, metrics, health },
  );
  cleanups.push(() => dns.stop());
  await expect.poll(() => health.ready().ok).toBe(true);
  const port = Number(/:(\d+)$/.exec(dns.report().listening[0]!)![1]);
  /** The lines of a real client's answer. */
  const dig = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=2', ...args]);
    return stdout.split('\n').filter((line) => line !== '' && !/mDNS|Multicast DNS/.test(line));
  };
  return { cluster, metrics, dns, port, dig };
}

/** Sends bytes over one connection and collects answers until it ends or there are `count`. */
function overTcp(port: number, chunks: readonly Uint8Array[], count: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const answers: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => chunks.forEach((chunk) => void socket.write(chunk)));
    const done = (): void => {
      socket.destroy();
      resolve(answers);
    };
    const split = splitMessages(65_535, (message) => {
      answers.push(Buffer.from(message));
      if (answers.length === count) done();
    });
    socket.on('data', (chunk) => void split(chunk));
    socket.on('close', done);
    socket.on('error', reject);
  });
}

describe('dig, as a client', () => {
  it('gets A, AAAA, SRV, PTR, TXT and CNAME over UDP and TCP', async () => {
    const { dig } = await start();
    for (const transport of ['+notcp', '+tcp']) {
      expect(await dig('+short', transport, 'web.default.svc.cluster.local')).toEqual(['10.96.1.1']);
      expect(await dig('+short', transport, 'web.default.svc.cluster.local', 'AAAA')).toEqual(['fd00:10:96::1:1']);
      expect(await dig('+short', transport, '_http._tcp.web.default.svc.cluster.local', 'SRV')).toEqual([
        '0 100 80 web.default.svc.cluster.local.',
      ]);
      expect(await dig('+short', transport, '-x', '10.96.1.1')).toEqual(['web.default.svc.cluster.local.']);
      expect(await dig('+short', transport, '-x', 'fd00:10:244:1::7')).toEqual(['db-0.db.default.svc.cluster.local.']);
      expect(await dig('+short', transport, 'dns-version.cluster.local', 'TXT')).toEqual(['"1.1.0"']);
      expect(await dig('+short', transport, 'alias.default.svc.cluster.local')).toEqual(['web.default.svc.cluster.local.', '10.96.1.1']);
    }
  });

  it('sees no warning in what it gets, with EDNS, cookies and without', async () => {
    const { dig } = await start();
    for (const flags of [['+edns', '+cookie'], ['+noedns'], ['+edns', '+dnssec', '+bufsize=4096']]) {
      const lines = await dig('+noall', '+comments', '+answer', '+authority', '+norecurse', ...flags, 'nothing.default.svc.cluster.local');
      expect(lines.join('\n')).toMatch(/status: NXDOMAIN/);
      expect(lines.join('\n')).toMatch(/flags: qr aa/);
      expect(lines.join('\n')).toMatch(/SOA\s+ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\./);
      expect(lines.join('\n')).not.toMatch(/WARNING|malformed|mismatch|bad cookie/i);
    }
  });

  it('is sent to TCP by a truncated answer and finds all there', async () => {
    const { dig, cluster } = await start();
    cluster.set(resources.services, service('many', { clusterIP: 'None' }));
    cluster.set(
      resources.endpointSlices,
      slice(
        'many',
        Array.from({ length: 200 }, (_, index) => ({ addresses: [`10.244.9.${index}`] })),
      ),
    );
    await expect.poll(() => dig('+short', 'many.default.svc.cluster.local')).toHaveLength(200);
    expect(await dig('+short', '+ignore', '+noedns', 'many.default.svc.cluster.local')).toHaveLength(29);
  });
});

describe('the server', () => {
  it('answers a name right after its Service exists, however often it was asked before', async () => {
    const { dig, cluster } = await start({}, { empty: true });
    for (let n = 0; n < 3; n++) expect((await dig('late.default.svc.cluster.local')).join()).toMatch(/NXDOMAIN/);
    cluster.set(resources.services, service('late', { clusterIP: '10.96.7.7' }));
    await expect.poll(() => dig('+short', 'late.default.svc.cluster.local')).toEqual(['10.96.7.7']);
    cluster.remove(resources.services, 'default/late');
    await expect.poll(() => dig('+short', 'late.default.svc.cluster.local')).toEqual([]);
  });

  it('answers many requests of one TCP connection, also when they come in pieces', async () => {
    const { port } = await start();
    const requests = Buffer.concat(
      Array.from({ length: 50 }, (_, id) => frame(encodeRequest('web.default.svc.cluster.local', 'A', { id }))),
    );
    const answers = await overTcp(port, [requests.subarray(0, 1), requests.subarray(1, 100), requests.subarray(100)], 50);
    expect(answers.map((answer) => answer.readUInt16BE(0))).toEqual(Array.from({ length: 50 }, (_, id) => id));
    expect(answers.every((answer) => decodeAnswer(answer).answers.length === 1)).toBe(true);
  });

  it('closes TCP connections that are idle, too many, or send too long a request', async () => {
    const { port, dns } = await start({ tcpIdleTimeout: 1_500, maxTcpConnections: 2 });
    expect(await overTcp(port, [Uint8Array.of(0xff, 0xff)], 1)).toEqual([]);
    const held = [overTcp(port, [], 1), overTcp(port, [Uint8Array.of(0, 50, 1)], 1)];
    await expect.poll(() => dns.report().tcpConnections).toBe(2);
    const began = Date.now();
    expect(await overTcp(port, [frame(encodeRequest('web.default.svc.cluster.local', 'A'))], 1).catch(() => [])).toEqual([]);
    expect(Date.now() - began).toBeLessThan(1_400);
    expect(await Promise.all(held)).toEqual([[], []]);
    await expect.poll(() => dns.report().tcpConnections).toBe(0);
  });

  it('reports its zone and counts its answers under the names known from CoreDNS', async () => {
    const { dig, dns, metrics } = await start();
    await dig('web.default.svc.cluster.local');
    await dig('+tcp', 'nothing.default.svc.cluster.local', 'AAAA');
    expect(dns.report()).toMatchObject({
      zone: 'cluster.local',
      synced: true,
      records: { CNAME: 5, SRV: 5 },
      queries: { total: 2, byRcode: { NOERROR: 1, NXDOMAIN: 1 } },
    });
    const text = await metrics.metrics();
    expect(text).toMatch(/coredns_dns_requests_total\{.*zone="cluster.local.".*proto="tcp",family="1",type="AAAA"\} 1/);
    expect(text).toMatch(/coredns_dns_responses_total\{.*rcode="NXDOMAIN",plugin="kubernetes"\} 1/);
    expect(text).toMatch(/coredns_dns_request_duration_seconds_count\{.*\} 2/);
  });

  it('says what to do when the port is taken, and leaves nothing listening', async () => {
    const { port } = await start();
    await expect(start({ port, listenAddresses: ['127.0.0.2', '127.0.0.1'] })).rejects.toThrow(/another DNS server holds port/);
    await expect(start({ port, listenAddresses: ['127.0.0.2'] })).resolves.toBeDefined();
    await expect(start({ listenAddresses: ['192.0.2.77'] })).rejects.toThrow(/no interface of this node has that address/);
  });

  it('forwards other names to an upstream over real sockets', async () => {
    const upstream = await start({ clusterDomain: 'example.com' });
    const { dig } = await start({ forward: [`127.0.0.1:${upstream.port}`] });
    expect(await dig('+short', 'web.default.svc.example.com')).toEqual(['10.96.1.1']);
    expect((await dig('web.default.svc.cluster.local')).join()).toMatch(/flags: qr aa rd ra/);
    expect((await dig('nothing.default.svc.example.com')).join()).toMatch(/NXDOMAIN.*SOA/);
    expect((await dig('example.org')).join()).toMatch(/SERVFAIL/);
  });
});
