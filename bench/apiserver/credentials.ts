import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCertificateAuthority } from '../../src/kube/pki/authority.ts';

/** Files that servers are started with, and what the clients show. */
export interface BenchCredentials {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Signs service account tokens. */
  readonly serviceAccountKeyFile: string;
  /** PEM: the authority, and the administrator's certificate and key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority, a server certificate for loopback, and a client of system:masters. */
export async function makeCredentials(folder: string): Promise<BenchCredentials> {
  const authority = await createCertificateAuthority('bench-ca', Date.now());
  const server = await authority.issueServer({ commonName: 'kube-apiserver', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
  const client = await authority.issueClient({ user: 'bench', groups: ['system:masters'] });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    caFile: write('ca.crt', authority.certificate),
    certFile: write('server.crt', server.certificate),
    keyFile: write('server.key', server.key),
    // In the old form: kube-apiserver 1.20 reads no other.
    serviceAccountKeyFile: write(
      'service-account.key',
      generateKeyPairSync('rsa', {
        modulusLength: 2_048,
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      }).privateKey,
    ),
    ca: authority.certificate,
    cert: client.certificate,
    key: client.key,
  };
}
