import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { SecurityOptions } from '../../src/api-server/options.ts';
import { type ApiServer, startApiServer, type TlsFiles } from '../../src/api-server/server.ts';
import { type CertificateAuthority, createCertificateAuthority, type KeyPair } from '../../src/kube/pki/authority.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { createMemoryStore } from '../../src/storage/index.ts';
import { cleanup, serverOptions, temporaryFolder, testContext } from './harness.ts';

export interface SecureAnswer {
  readonly code: number;
  /** Parsed JSON, or the text. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any answer
  readonly body: any;
  readonly headers: Record<string, string | string[] | undefined>;
}

export interface Caller {
  readonly client?: KeyPair;
  readonly token?: string;
  readonly headers?: Record<string, string | string[]>;
}

export interface SecureServer {
  readonly authority: CertificateAuthority;
  readonly tls: TlsFiles;
  readonly server: ApiServer;
  readonly url: string;
  /** A call by whoever the caller's credentials say. */
  call(caller: Caller, method: string, path: string, body?: unknown): Promise<SecureAnswer>;
  /** A call by a member of system:masters, which must have this code. */
  root(code: number, method: string, path: string, body?: unknown): Promise<SecureAnswer['body']>;
}

/** Static tokens of a test server. */
const tokens = 'jane-token,jane,u1,"devs,ops"\nbob-token,bob,u2\nroot-token,root,u3,system:masters\n';

/** A server with TLS, RBAC and static tokens. */
export async function startSecure(security: Partial<SecurityOptions> = {}, clock: Clock = systemClock): Promise<SecureServer> {
  const authority = await createCertificateAuthority('test-ca', Date.now());
  const folder = temporaryFolder();
  const serving = await authority.issueServer({ commonName: 'kube-apiserver', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tls: TlsFiles = {
    certFile: write('tls.crt', serving.certificate),
    privateKeyFile: write('tls.key', serving.key),
    clientCAFile: write('ca.crt', authority.certificate),
  };
  const options = {
    ...serverOptions,
    tls,
    security: { ...serverOptions.security, tokenAuthFile: write('tokens.csv', tokens), ...security },
  };
  const server = await startApiServer(options, testContext(clock), createMemoryStore());
  cleanup(() => server.stop());
  const url = `https://127.0.0.1:${server.addresses[0]!.port}`;
  const ca = readFileSync(tls.clientCAFile, 'utf8');
  const agents = new Map<KeyPair | undefined, Agent>();
  cleanup(() => Promise.all([...agents.values()].map((agent) => agent.destroy())));
  const agentOf = (client: KeyPair | undefined): Agent => {
    const agent = agents.get(client) ?? new Agent({ connect: { ca, ...(client ? { cert: client.certificate, key: client.key } : {}) } });
    agents.set(client, agent);
    return agent;
  };
  const call: SecureServer['call'] = async ({ client, token, headers }, method, path, body) => {
    const answer = await request(url + path, {
      method: method as 'GET',
      dispatcher: agentOf(client),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    const isJson = String(answer.headers['content-type']).includes('json');
    return { code: answer.statusCode, body: isJson ? JSON.parse(text) : text, headers: answer.headers };
  };
  return {
    authority,
    tls,
    server,
    url,
    call,
    async root(code, method, path, body) {
      const answer = await call({ token: 'root-token' }, method, path, body);
      if (answer.code !== code) throw new Error(`${method} ${path}: ${answer.code} ${JSON.stringify(answer.body)}, expected ${code}`);
      return answer.body;
    },
  };
}

export const rbac = '/apis/rbac.authorization.k8s.io/v1';
export const inDefaultNamespace = '/api/v1/namespaces/default';

const apiGroup = 'rbac.authorization.k8s.io';
export const user = (name: string) => ({ kind: 'User', apiGroup, name });
export const bindingOf = (name: string, kind: 'Role' | 'ClusterRole', role: string, ...subjects: object[]) => ({
  metadata: { name },
  roleRef: { apiGroup, kind, name: role },
  subjects,
});
