import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import { createCertificateAuthority, type KeyPair } from '../../src/kube/pki/authority.ts';

/** Asks a TLS server that demands client certificates who asks; rejects when either side refuses the other. */
async function whoAmI(server: KeyPair, client: KeyPair, serverTrusts: string, clientTrusts: string, host: string): Promise<unknown> {
  const listener = createServer(
    { cert: server.certificate, key: server.key, ca: serverTrusts, requestCert: true, rejectUnauthorized: true },
    (incoming, response) => {
      response.end(JSON.stringify((incoming.socket as TLSSocket).getPeerCertificate().subject));
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise((resolve, reject) => {
      request(
        {
          host: '127.0.0.1',
          servername: host,
          port: (listener.address() as AddressInfo).port,
          ca: clientTrusts,
          cert: client.certificate,
          key: client.key,
          agent: false,
        },
        (response) => {
          response.setEncoding('utf8').on('data', (text: string) => resolve(JSON.parse(text)));
        },
      )
        .on('error', reject)
        .end();
    });
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
}

it('certificates of one authority let both sides know each other: user is the common name, groups the organizations', async () => {
  const authority = await createCertificateAuthority('test-ca', Date.now());
  const server = await authority.issueServer({ commonName: 'server', dnsNames: ['kubernetes'], addresses: ['127.0.0.1', 'fd00::1'] });
  const client = await authority.issueClient({ user: 'system:node:worker-1', groups: ['system:nodes', 'more'] });
  expect(await whoAmI(server, client, authority.certificate, authority.certificate, 'kubernetes')).toEqual({
    CN: 'system:node:worker-1',
    O: ['system:nodes', 'more'],
  });
});

it('a certificate of another authority, or for another name, is refused', async () => {
  const [ours, theirs] = await Promise.all(['ours', 'theirs'].map((name) => createCertificateAuthority(name, Date.now())));
  const server = await ours!.issueServer({ commonName: 'server', dnsNames: ['kubernetes'], addresses: [] });
  const [friend, stranger] = await Promise.all([ours!, theirs!].map((authority) => authority.issueClient({ user: 'u', groups: [] })));
  await expect(whoAmI(server, stranger!, ours!.certificate, ours!.certificate, 'kubernetes')).rejects.toThrow();
  await expect(whoAmI(server, friend!, ours!.certificate, theirs!.certificate, 'kubernetes')).rejects.toThrow();
  await expect(whoAmI(server, friend!, ours!.certificate, ours!.certificate, 'elsewhere')).rejects.toThrow(/altnames/);
});
