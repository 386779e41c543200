import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { describe, expect, it } from 'vitest';
import { startApiServer, type TlsFiles } from '../../src/api-server/server.ts';
import { type CertificateAuthority, createCertificateAuthority, type KeyPair } from '../../src/kube/pki/authority.ts';
import { createMemoryStore } from '../../src/storage/index.ts';
import { cleanup, serverOptions, startTestServer, temporaryFolder, testContext } from './harness.ts';

async function startSecure(): Promise<{
  authority: CertificateAuthority;
  get(path: string, client?: KeyPair): Promise<{ code: number; body: string }>;
}> {
  const authority = await createCertificateAuthority('test-ca', Date.now());
  const folder = temporaryFolder();
  const server = await authority.issueServer({ commonName: 'kube-apiserver', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tls: TlsFiles = {
    certFile: write('tls.crt', server.certificate),
    privateKeyFile: write('tls.key', server.key),
    clientCAFile: write('ca.crt', authority.certificate),
  };
  const running = await startApiServer({ ...serverOptions, tls }, testContext(), createMemoryStore());
  cleanup(() => running.stop());
  return {
    authority,
    async get(path, client) {
      const connect = { ca: readFileSync(tls.clientCAFile, 'utf8'), ...(client ? { cert: client.certificate, key: client.key } : {}) };
      const dispatcher = new Agent({ connect });
      cleanup(() => dispatcher.destroy());
      const answer = await request(`https://127.0.0.1:${running.addresses[0]!.port}${path}`, { dispatcher });
      return { code: answer.statusCode, body: await answer.body.text() };
    },
  };
}

describe('over TLS', () => {
  it('a client certificate of the authority lets in', async () => {
    const { authority, get } = await startSecure();
    const client = await authority.issueClient({ user: 'jane', groups: ['devs', 'system:masters'] });
    for (const path of ['/api/v1/namespaces', '/apis', '/openapi/v3', '/metrics']) expect((await get(path, client)).code).toBe(200);
  });

  it('nobody else sees more than health and version', async () => {
    const { get } = await startSecure();
    const stranger = await (await createCertificateAuthority('test-ca', Date.now())).issueClient({
      user: 'mallory',
      groups: ['system:masters'],
    });
    for (const client of [undefined, stranger]) {
      for (const path of ['/healthz', '/livez', '/readyz', '/version']) expect((await get(path, client)).code).toBe(200);
      for (const path of [
        '/api/v1/namespaces',
        '/api',
        '/metrics',
        '/openapi/v2',
        '/no/such/path',
        '/api/v1/namespaces/default/pods?watch=1',
        '//api/v1/namespaces',
        '/healthz/../metrics',
      ]) {
        const { code, body } = await get(path, client);
        expect([path, code]).toEqual([path, 401]);
        expect(JSON.parse(body)).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
      }
    }
  });
});

describe('starting', () => {
  const start = (options: object) => startApiServer({ ...serverOptions, ...options }, testContext(), createMemoryStore());

  it('refuses plain HTTP beyond loopback', async () => {
    for (const bindAddress of ['0.0.0.0', '192.168.88.11', '::', 'localhost']) {
      await expect(start({ bindAddress })).rejects.toThrow(/^plain HTTP is served on loopback addresses alone/);
    }
  });

  it('says which port is in use', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    cleanup(() => other.close());
    const { port } = other.address() as { port: number };
    await expect(start({ securePort: port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use`);
  });

  it('says which file it cannot read', async () => {
    const tls = { certFile: '/no/such.crt', privateKeyFile: '/no/such.key', clientCAFile: '/no/ca.crt' };
    await expect(start({ tls })).rejects.toThrow('--tls-cert-file: cannot read /no/such.crt');
  });

  it('says who has the data folder', async () => {
    const dataDir = temporaryFolder();
    const first = await startApiServer({ ...serverOptions, dataDir }, testContext());
    cleanup(() => first.stop());
    await expect(startApiServer({ ...serverOptions, dataDir }, testContext())).rejects.toThrow(`in use by process ${process.pid}`);
  });
});

describe('what strangers send', () => {
  it('a body beyond the limit is refused', async () => {
    const api = await startTestServer();
    expect(
      await api.expect(413, 'POST', '/api/v1/namespaces/default/configmaps', 'x'.repeat(4 * 1024 * 1024), {
        'content-type': 'application/json',
      }),
    ).toMatchObject({
      reason: 'RequestEntityTooLarge',
    });
    // YAML is slow to read; much of it would hold up everybody else.
    await api.expect(413, 'POST', '/api/v1/namespaces/default/configmaps', '- a\n'.repeat(100_000), { 'content-type': 'application/yaml' });
  });

  it('no body, path or query makes the server fail', async () => {
    const api = await startTestServer();
    const configmaps = '/api/v1/namespaces/default/configmaps';
    const json = { 'content-type': 'application/json' };
    await api.expect(201, 'POST', configmaps, { metadata: { name: 'a' } });
    const bodies = [
      '',
      'null',
      '7',
      '[]',
      '"x"',
      '{',
      '{"metadata":7}',
      '{"metadata":null}',
      '{"metadata":{"labels":{"a":1}}}',
      '{"metadata":{"name":{}}}',
      '{"data":[]}',
      '{"metadata":{"finalizers":"x"}}',
      '{"__proto__":{"x":1}}',
      '{"metadata":{"ownerReferences":[null]}}',
      `${'['.repeat(50_000)}`,
      `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
      '\ud800',
      '{"kind":7}',
      '{"apiVersion":{}}',
      '{"metadata":{"name":"a","namespace":"b"}}',
    ];
    const types = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf', 'text/plain', ''];
    for (const body of bodies) {
      for (const type of types) {
        for (const [method, path] of [
          ['POST', configmaps],
          ['PUT', `${configmaps}/a`],
          ['POST', '/api/v1/namespaces/default/pods'],
        ] as const) {
          const { code, body: answer } = await api.call(method, path, body, { 'content-type': type });
          expect([body.slice(0, 60), type, method, answer.message, code < 500]).toEqual([
            body.slice(0, 60),
            type,
            method,
            answer.message,
            true,
          ]);
        }
      }
      for (const type of ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json']) {
        const { code, body: answer } = await api.call('PATCH', `${configmaps}/a`, body, { 'content-type': type });
        expect([body.slice(0, 60), type, answer.message, code < 500]).toEqual([body.slice(0, 60), type, answer.message, true]);
      }
      expect((await api.call('DELETE', `${configmaps}/none`, body, json)).code).toBeLessThan(500);
    }
    const paths = [
      '/api/v1/namespaces/%',
      '/api/v1/%2e%2e/x',
      '/api/v1/namespaces/default/configmaps/%00',
      '/api/v1/namespaces/default/configmaps/a%2Fb',
      '/api/v1//configmaps',
      '/apis//v1/x',
      '/api/v1/__proto__',
      '/apis/__proto__/v1/x',
      '/api/constructor/pods',
      `${configmaps}?labelSelector=%00`,
      `${configmaps}?labelSelector=${'a,'.repeat(3_000)}`,
      `${configmaps}?fieldSelector=%3D%3D`,
      `${configmaps}?continue=%00`,
      `${configmaps}?continue=${Buffer.from('{"v":"meta.k8s.io/v1","rv":1e99,"start":{}}').toString('base64url')}`,
      `${configmaps}?limit=9999999999999999`,
      `${configmaps}?watch=1&timeoutSeconds=x`,
      `${configmaps}?resourceVersion=-1`,
      `${configmaps}?${'a=b&'.repeat(2_000)}`,
    ];
    for (const path of paths) {
      const { code } = await api.call('GET', path);
      expect([path.slice(0, 80), code < 500]).toEqual([path.slice(0, 80), true]);
    }
    for (const accept of [
      '',
      ';',
      'a/b',
      '*/*;q=x',
      'application/json;as=Table',
      ','.repeat(1_000),
      'application/json;as=Nonsense;g=meta.k8s.io;v=v1',
    ]) {
      expect((await api.call('GET', configmaps, undefined, { accept })).code).toBeLessThan(500);
    }
    await api.expect(200, 'GET', `${configmaps}/a`);
  });
});
