// What the API server itself decides about logs, exec, attach and port-forward, with a kubelet that says what it was asked.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createCertificateAuthority } from '../../src/kube/pki/authority.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { spdyConnection } from '../../src/transport/spdy/connection.ts';
import { cleanup, inDefault, pod, startTestServer, type TestServer } from './harness.ts';

interface FakeKubelet {
  readonly port: number;
  readonly asked: { method: string; url: string; headers: IncomingMessage['headers']; user: string }[];
  /** How logs are answered. */
  log: { code: number; text: string };
  /** Takes an upgraded connection; undefined refuses. */
  take: ((socket: Duplex, head: Buffer) => void) | undefined;
}

interface Bed extends TestServer {
  readonly kubelet: FakeKubelet;
}

async function bed(kubeletPort?: number): Promise<Bed> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-streaming-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const authority = await createCertificateAuthority('test', Date.now());
  const serving = await authority.issueServer({ commonName: 'node', dnsNames: ['node-1'], addresses: ['127.0.0.1'] });
  const client = await authority.issueClient({ user: 'kube-apiserver-kubelet-client', groups: [] });
  const kubelet: { -readonly [K in keyof FakeKubelet]: FakeKubelet[K] } = {
    port: 0,
    asked: [],
    log: { code: 200, text: 'said\n' },
    take: undefined,
  };
  const server = createServer(
    { cert: serving.certificate, key: serving.key, ca: authority.certificate, requestCert: true, rejectUnauthorized: true },
    (asked, response) => {
      note(asked);
      response.writeHead(kubelet.log.code, { 'content-type': 'text/plain' }).end(kubelet.log.text);
    },
  );
  const note = (asked: IncomingMessage): void => {
    const subject = (asked.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }).getPeerCertificate().subject;
    kubelet.asked.push({ method: asked.method!, url: asked.url!, headers: asked.headers, user: subject.CN });
  };
  server.on('upgrade', (asked: IncomingMessage, socket: Duplex, head: Buffer) => {
    note(asked);
    cleanup(() => socket.destroy());
    if (!kubelet.take) {
      socket.end('HTTP/1.1 500 Failed\r\ncontent-type: text/plain\r\ncontent-length: 28\r\n\r\ncontainer not found ("main")');
      return;
    }
    const version = String(asked.headers['x-stream-protocol-version'] ?? '').split(',')[0];
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${asked.headers.upgrade}\r\nX-Stream-Protocol-Version: ${version}\r\n\r\n`,
    );
    kubelet.take(socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(() => server.close());
  kubelet.port = (server.address() as AddressInfo).port;
  const test = await startTestServer({
    security: { tokenAuthFile: file('tokens', 'secret,somebody,1,"system:masters"\n'), disabledAdmission: ['ServiceAccount'] },
    kubelet: {
      certificateAuthority: file('ca.crt', authority.certificate),
      clientCertificate: file('client.crt', client.certificate),
      clientKey: file('client.key', client.key),
      timeout: 2_000,
    },
  });
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } };
  await test.expect(201, 'POST', '/api/v1/nodes', node);
  const status = {
    addresses: [
      { type: 'Hostname', address: 'nowhere' },
      { type: 'InternalIP', address: '127.0.0.1' },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort ?? kubelet.port } },
  };
  await test.expect(200, 'PATCH', '/api/v1/nodes/node-1/status', { status }, { 'content-type': 'application/merge-patch+json' });
  await test.expect(201, 'POST', inDefault('pods'), pod('one', { nodeName: 'node-1' }));
  const containers = [
    { name: 'a', image: 'x' },
    { name: 'b', image: 'x' },
  ];
  await test.expect(
    201,
    'POST',
    inDefault('pods'),
    pod('two', { nodeName: 'node-1', containers, initContainers: [{ name: 'first', image: 'x' }] }),
  );
  await test.expect(201, 'POST', inDefault('pods'), pod('unbound'));
  return { ...test, kubelet };
}

/** A request to leave HTTP; the answer, and the connection if it did. */
function upgrade(url: string, path: string, headers: Record<string, string | string[]>, method = 'POST') {
  return new Promise<{ code: number; headers: IncomingMessage['headers']; text: string; socket: Duplex | undefined }>((resolve, reject) => {
    const asked = request(url + path, { method, headers: { connection: 'Upgrade', ...headers } });
    asked.on('upgrade', (answer: IncomingMessage, socket: Duplex) => {
      cleanup(() => socket.destroy());
      resolve({ code: answer.statusCode!, headers: answer.headers, text: '', socket });
    });
    asked.on('response', (answer) => {
      let text = '';
      answer
        .on('data', (chunk) => (text += chunk))
        .on('end', () => resolve({ code: answer.statusCode!, headers: answer.headers, text, socket: undefined }));
    });
    asked.on('error', reject).end();
  });
}

const spdy = { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': ['v4.channel.k8s.io', 'v3.channel.k8s.io'] };

describe('logs', () => {
  test('come from the kubelet of the node, asked with our certificate and the reference’s path', async () => {
    const { call, kubelet } = await bed();
    const answer = await call(
      'GET',
      `${inDefault('pods', 'one', 'log')}?tailLines=5&timestamps=true&previous=false&sinceTime=2026-11-21T10:00:00Z`,
    );
    expect([answer.code, answer.body, answer.headers.get('content-type')]).toEqual([200, 'said\n', 'text/plain']);
    expect(kubelet.asked).toMatchObject([
      {
        method: 'GET',
        url: '/containerLogs/default/one/main?timestamps=true&tailLines=5&sinceTime=2026-11-21T10%3A00%3A00Z',
        user: 'kube-apiserver-kubelet-client',
      },
    ]);
  });

  test.each([
    ['nobody', '', 404, 'pods "nobody" not found'],
    ['one', 'container=none', 400, 'container none is not valid for pod one'],
    ['two', '', 400, 'a container name must be specified for pod two, choose one of: [first a b]'],
    ['one', 'tailLines=-1', 422, 'PodLogOptions "one" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['one', 'limitBytes=0', 422, 'PodLogOptions "one" is invalid: limitBytes: Invalid value: 0: must be greater than 0'],
    ['one', 'sinceSeconds=0', 422, 'PodLogOptions "one" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'],
    ['one', 'tailLines=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
  ])('of %s?%s: %i %s', async (name, query, code, message) => {
    const { call, kubelet } = await bed();
    const answer = await call('GET', `${inDefault('pods', name, 'log')}?${query}`);
    expect([answer.code, answer.body.message]).toEqual([code, message]);
    expect(kubelet.asked).toEqual([]);
  });

  test('of a pod that is bound to no node are empty', async () => {
    const { call } = await bed();
    expect((await call('GET', inDefault('pods', 'unbound', 'log'))).code).toBe(204);
  });

  test('an error of the kubelet is told as the reference does', async () => {
    const { call, kubelet } = await bed();
    const log = inDefault('pods', 'one', 'log');
    kubelet.log = { code: 400, text: 'container "main" in pod "one" is waiting to start: ContainerCreating' };
    expect((await call('GET', log)).body).toMatchObject({ code: 400, reason: 'BadRequest', message: kubelet.log.text });
    kubelet.log = { code: 404, text: 'pod "one" does not exist' };
    expect((await call('GET', log)).body).toMatchObject({
      code: 404,
      reason: 'NotFound',
      message: 'the server could not find the requested resource ( pods/log one)',
    });
    kubelet.log = { code: 500, text: 'broken' };
    expect((await call('GET', log)).body).toMatchObject({ code: 500, message: 'Internal error occurred: broken' });
  });

  test('a kubelet that cannot be reached is told by its address', async () => {
    const { call } = await bed(1);
    expect((await call('GET', inDefault('pods', 'one', 'log'))).body).toMatchObject({
      code: 500,
      message: 'error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused',
    });
  });
});

test('what is not proxied is told with another way', async () => {
  const { call } = await bed();
  for (const path of [
    `${inDefault('pods', 'one', 'proxy')}/a/b`,
    inDefault('services', 'web', 'proxy'),
    '/api/v1/nodes/node-1/proxy/logs/',
  ]) {
    const { code, body } = await call('GET', path);
    expect([code, body.message]).toEqual([501, expect.stringMatching(/\/proxy is not supported by this server: /)]);
  }
});

describe('connections', () => {
  test.each([
    ['nobody', 'exec?command=id', 404, 'pods "nobody" not found'],
    ['one', 'exec?command=id&container=none', 400, 'container none is not valid for pod one'],
    ['unbound', 'attach', 400, 'pod unbound does not have a host assigned'],
  ])('to %s/%s: %i %s', async (name, path, code, message) => {
    const { url, kubelet } = await bed();
    const answer = await upgrade(url, `${inDefault('pods', name)}/${path}`, spdy);
    expect([answer.code, JSON.parse(answer.text).message]).toEqual([code, message]);
    expect(kubelet.asked).toEqual([]);
  });

  test('need an upgrade, and a method that makes one', async () => {
    const { call } = await bed();
    expect((await call('POST', `${inDefault('pods', 'one', 'exec')}?command=id`)).body).toMatchObject({
      code: 400,
      message: 'Upgrade request required',
    });
    expect((await call('PUT', inDefault('pods', 'one', 'exec'))).code).toBe(405);
    expect(
      (await call('PATCH', inDefault('pods', 'one', 'ephemeralcontainers'), {}, { 'content-type': 'application/merge-patch+json' })).body,
    ).toMatchObject({
      code: 501,
      message: 'pods/ephemeralcontainers is not supported by this server: a running pod gets no further containers; use kubectl exec',
    });
  });

  test('over SPDY pass through byte for byte, without the credentials of the client', async () => {
    const { url, kubelet } = await bed();
    kubelet.take = (socket) => socket.on('data', (chunk: Buffer) => socket.write(`<${chunk}>`));
    const path = `${inDefault('pods', 'one', 'exec')}?command=sh&command=-c&command=a+b&stdin=true&stderr=false&tty=1`;
    const { code, headers, socket } = await upgrade(url, path, { ...spdy, authorization: 'Bearer secret', cookie: 'c' });
    expect([code, headers.upgrade, headers['x-stream-protocol-version']]).toEqual([101, 'SPDY/3.1', 'v4.channel.k8s.io']);
    socket!.write('bytes');
    expect(String(await new Promise((resolve) => socket!.once('data', resolve)))).toBe('<bytes>');
    expect(kubelet.asked[0]).toMatchObject({
      method: 'POST',
      url: '/exec/default/one/main?input=1&output=1&tty=1&command=sh&command=-c&command=a+b',
      headers: { 'x-stream-protocol-version': 'v4.channel.k8s.io, v3.channel.k8s.io' },
    });
    expect(kubelet.asked[0]!.headers).not.toHaveProperty('authorization');
    expect(kubelet.asked[0]!.headers).not.toHaveProperty('cookie');
  });

  test('end on one side when the other goes', async () => {
    const { url, kubelet } = await bed();
    const taken = new Promise<Duplex>((resolve) => (kubelet.take = resolve));
    const { socket } = await upgrade(url, inDefault('pods', 'one', 'portforward'), spdy);
    const theirs = await taken;
    theirs.resume();
    const gone = new Promise((resolve) => theirs.once('close', resolve));
    socket!.destroy();
    await gone;
    const again = new Promise<Duplex>((resolve) => (kubelet.take = resolve));
    const second = await upgrade(url, inDefault('pods', 'one', 'portforward'), spdy);
    second.socket!.resume();
    const closed = new Promise((resolve) => second.socket!.once('close', resolve));
    (await again).destroy();
    await closed;
  });

  test('that the kubelet refuses are refused in its own words', async () => {
    const { url } = await bed();
    const answer = await upgrade(url, `${inDefault('pods', 'one', 'exec')}?command=id`, spdy);
    expect([answer.code, answer.text, answer.headers['content-type']]).toEqual([500, 'container not found ("main")', 'text/plain']);
  });

  test('of clients that offer another protocol are answered as they are', async () => {
    const { url } = await bed();
    const answer = await upgrade(url, inDefault('pods', 'one'), { upgrade: 'h2c' }, 'GET');
    expect([answer.code, JSON.parse(answer.text).metadata.name]).toEqual([200, 'one']);
  });

  test('end with the server', async () => {
    const { url, kubelet, server } = await bed();
    kubelet.take = (socket) => void socket.resume();
    const { socket } = await upgrade(url, inDefault('pods', 'one', 'attach'), spdy);
    socket!.resume();
    const closed = new Promise((resolve) => socket!.once('close', resolve));
    await server.stop();
    await closed;
  });

  test('over WebSocket v5 become SPDY v4 streams, and what a kubelet resets at once still arrives whole', async () => {
    const { url, kubelet } = await bed();
    const big = Buffer.alloc(2_000_000, 'x');
    kubelet.take = (socket, head) => {
      const connection = spdyConnection(socket, { role: 'server', clock: systemClock, head });
      const streams = new Map<string, Duplex>();
      connection.onStream = (stream) => {
        streams.set(stream.headers.get('streamtype')!, stream);
        if (streams.size < 4) return;
        const hash = createHash('sha256');
        streams
          .get('stdin')!
          .on('data', (chunk: Buffer) => hash.update(chunk))
          .on('end', () => {
            streams.get('stderr')!.write(hash.digest('hex'));
            streams.get('error')!.write('{"status":"Success"}');
            // As a real kubelet: all streams are reset, and the connection ends.
            streams.get('stdout')!.write(big, () => {
              for (const one of streams.values()) one.destroy();
              connection.close();
            });
          });
      };
    };
    const socket = new WebSocket(`${url.replace('http', 'ws')}${inDefault('pods', 'one', 'exec')}?command=cat&stdin=true`, [
      'v5.channel.k8s.io',
      'v4.channel.k8s.io',
    ]);
    const got: Buffer[] = [];
    socket.on('message', (message) => got.push(message as Buffer));
    await new Promise((resolve) => socket.once('open', resolve));
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    for (let at = 0; at < big.length; at += 32_768) socket.send(Buffer.concat([Buffer.of(0), big.subarray(at, at + 32_768)]));
    socket.send(Buffer.of(255, 0));
    expect(await new Promise((resolve) => socket.once('close', resolve))).toBe(1000);
    const channel = (number: number): Buffer => Buffer.concat(got.filter(([first]) => first === number).map((bytes) => bytes.subarray(1)));
    expect(channel(1).equals(big)).toBe(true);
    expect(channel(2).toString()).toBe(createHash('sha256').update(big).digest('hex'));
    expect(channel(3).toString()).toBe('{"status":"Success"}');
    expect(kubelet.asked[0]).toMatchObject({
      method: 'POST',
      headers: { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' },
    });
  });
});
