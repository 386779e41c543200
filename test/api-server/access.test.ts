import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { InvalidCredentials } from '../../src/api-server/auth/authentication/authenticator.ts';
import { bearerAuthenticator } from '../../src/api-server/auth/authentication/bearer.ts';
import { tokenFileAuthenticator } from '../../src/api-server/auth/authentication/token-file.ts';
import { createInFlight } from '../../src/api-server/auth/in-flight.ts';
import { createCertificateAuthority } from '../../src/kube/pki/authority.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { cleanup } from './harness.ts';
import { bindingOf, inDefaultNamespace, rbac, startSecure, user } from './secure-server.ts';

describe('who asks', () => {
  it('is told by a client certificate or by a token, and known in each review', async () => {
    const { authority, call } = await startSecure();
    const client = await authority.issueClient({ user: 'carol', groups: ['devs'] });
    const whoami = async (caller: object) =>
      (await call(caller, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})).body.status.userInfo;
    expect(await whoami({ client })).toMatchObject({
      username: 'carol',
      groups: ['devs', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)] },
    });
    expect(await whoami({ token: 'jane-token' })).toEqual({ username: 'jane', uid: 'u1', groups: ['devs', 'ops', 'system:authenticated'] });
    // The certificate comes first, as in the reference; a token that nobody knows is refused where it is asked for.
    expect(await whoami({ client, token: 'jane-token' })).toMatchObject({ username: 'carol' });
  });

  it('a token that nobody knows is 401, also beside other schemes', async () => {
    const { call } = await startSecure();
    for (const authorization of ['Bearer nonsense', 'bearer  nonsense', 'Bearer a.b.c', 'Basic amFuZTpqYW5l', 'Bearer', '']) {
      const answer = await call({ headers: { authorization } }, 'GET', '/api');
      expect([authorization, answer.code]).toEqual([authorization, 401]);
    }
    expect((await call({ token: 'nonsense' }, 'GET', '/readyz')).code).toBe(200);
  });

  it('a certificate is no longer believed once it has expired, also on a connection that stands', async () => {
    let later = 0;
    const { authority, call } = await startSecure({}, { ...systemClock, now: () => Date.now() + later });
    const client = await authority.issueClient({ user: 'root', groups: ['system:masters'] });
    expect((await call({ client }, 'GET', '/api')).code).toBe(200);
    later = 366 * 24 * 60 * 60 * 1_000;
    expect((await call({ client }, 'GET', '/api')).code).toBe(401);
  });

  it('a WebSocket may bring the token as a protocol, which is not passed on', async () => {
    const authenticate = bearerAuthenticator(tokenFileAuthenticator('secret,jane,u1', 'tokens.csv'), ['api']);
    const ask = (protocols: string, upgrade = 'websocket') => {
      const headers = { upgrade, 'sec-websocket-protocol': protocols };
      return { headers, user: authenticate({ socket: createConnection({ port: 1 }).on('error', () => {}), headers }) };
    };
    const encoded = `base64url.bearer.authorization.k8s.io.${Buffer.from('secret').toString('base64url')}`;
    const { headers, user: found } = ask(`v5.channel.k8s.io, ${encoded}`);
    expect(await found).toMatchObject({ name: 'jane' });
    expect(headers['sec-websocket-protocol']).toBe('v5.channel.k8s.io');
    expect(() => ask(encoded)).toThrow(InvalidCredentials);
    expect(() => ask(`a, ${encoded}, ${encoded}`)).toThrow(InvalidCredentials);
    expect(() => ask('a, base64url.bearer.authorization.k8s.io.###')).toThrow(InvalidCredentials);
    await expect(ask(`a, base64url.bearer.authorization.k8s.io.${Buffer.from('x').toString('base64url')}`).user).rejects.toThrow(
      InvalidCredentials,
    );
    expect(ask(`a, ${encoded}`, 'spdy/3.1').user).toBeUndefined();
  });

  it('a token file is CSV; what is wrong in it is told with its line', async () => {
    const file = tokenFileAuthenticator('# comment\n\n"a,b",jane,u1,"devs, ops"\nt,"bo""b",,\n', 'tokens.csv');
    expect((await file.authenticate('a,b', ['x']))?.user).toEqual({ name: 'jane', uid: 'u1', groups: ['devs', 'ops'] });
    expect((await file.authenticate('t', ['x']))?.user).toEqual({ name: 'bo"b', groups: [] });
    expect(await file.authenticate('', ['x'])).toBeUndefined();
    for (const [text, problem] of [
      ['a,b', /tokens.csv line 1: expected token,user,uid/],
      ['x,y,z\n,b,c', /line 2: the token and the user must not be empty/],
      ['a,b,c,d,e', /line 1: expected/],
      ['"a,b,c', /line 1: the quotes do not match/],
    ] as const)
      expect(() => tokenFileAuthenticator(text, 'tokens.csv')).toThrow(problem);
  });
});

describe('acting as somebody else', () => {
  it('needs the right to each part of it, and is then bound by the rights of that user', async () => {
    const { call, root } = await startSecure();
    await root(201, 'POST', `${rbac}/clusterroles`, {
      metadata: { name: 'impersonator' },
      rules: [
        { apiGroups: [''], resources: ['users'], resourceNames: ['alice'], verbs: ['impersonate'] },
        { apiGroups: [''], resources: ['groups'], resourceNames: ['g1'], verbs: ['impersonate'] },
        { apiGroups: ['authentication.k8s.io'], resources: ['userextras/scopes'], resourceNames: ['view'], verbs: ['impersonate'] },
      ],
    });
    await root(201, 'POST', `${rbac}/clusterrolebindings`, bindingOf('impersonator', 'ClusterRole', 'impersonator', user('jane')));
    const as = (headers: Record<string, string | string[]>) =>
      call({ token: 'jane-token', headers }, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    const allowed = await as({ 'impersonate-user': 'alice', 'impersonate-group': 'g1', 'impersonate-extra-scopes': 'view' });
    expect(allowed.body.status.userInfo).toEqual({
      username: 'alice',
      groups: ['g1', 'system:authenticated'],
      extra: { scopes: ['view'] },
    });
    const refused = async (headers: Record<string, string | string[]>) => (await as(headers)).body.message as string;
    expect(await refused({ 'impersonate-user': 'root' })).toBe(
      'users "root" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
    expect(await refused({ 'impersonate-user': 'alice', 'impersonate-group': ['g1', 'system:masters'] })).toBe(
      'groups "system:masters" is forbidden: User "jane" cannot impersonate resource "groups" in API group "" at the cluster scope',
    );
    expect(await refused({ 'impersonate-user': 'alice', 'impersonate-extra-scopes': 'admin' })).toBe(
      'userextras.authentication.k8s.io "admin" is forbidden: User "jane" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
    );
    expect(await refused({ 'impersonate-user': 'alice', 'impersonate-uid': '7' })).toMatch(/^uids.authentication.k8s.io "7" is forbidden/);
    expect(await refused({ 'impersonate-user': 'system:serviceaccount:default:robot' })).toBe(
      'serviceaccounts "robot" is forbidden: User "jane" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default"',
    );
    expect((await as({ 'impersonate-group': 'g1' })).code).toBe(400);
    const robot = await call(
      { token: 'root-token', headers: { 'impersonate-user': 'system:serviceaccount:default:robot' } },
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      {},
    );
    expect(robot.body.status.userInfo.groups).toEqual(['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
  });
});

describe('limits', () => {
  it('reads and writes under way are counted apart; administrators and watches always get in', () => {
    const closes: (() => void)[] = [];
    const response = { once: (_event: string, close: () => void) => closes.push(close) } as never;
    const jane = { name: 'jane', groups: [] };
    const on = (verb: string, subresource = '') =>
      ({ isResource: true, verb, group: '', version: 'v1', resource: 'pods', subresource, namespace: '', name: '' }) as const;
    const inFlight = createInFlight({ maxRequests: 1, maxMutatingRequests: 1 });
    inFlight.enter(jane, on('get'), response);
    expect(() => inFlight.enter(jane, on('list'), response)).toThrow(/Too many requests/);
    inFlight.enter(jane, on('create'), response);
    expect(() => inFlight.enter(jane, on('delete'), response)).toThrow(/Too many requests/);
    for (const attributes of [on('watch'), on('create', 'exec'), on('get', 'log')]) inFlight.enter(jane, attributes, response);
    inFlight.enter({ name: 'root', groups: ['system:masters'] }, on('get'), response);
    expect([inFlight.reading, inFlight.mutating]).toEqual([2, 1]);
    for (const close of closes) close();
    expect([inFlight.reading, inFlight.mutating]).toEqual([0, 0]);
    const unlimited = createInFlight({ maxRequests: 0, maxMutatingRequests: 0 });
    for (let i = 0; i < 1_000; i++) unlimited.enter(jane, on('get'), response);
  });

  it('a request too many is answered with 429 and when to come again', async () => {
    const { authority, call, root, server } = await startSecure({ maxMutatingRequestsInFlight: 1 });
    await root(201, 'POST', `${rbac}/namespaces/default/rolebindings`, bindingOf('edit', 'ClusterRole', 'edit', user('bob')));
    const path = `${inDefaultNamespace}/configmaps`;
    const body = JSON.stringify({ metadata: { name: 'slow' } });
    const { port } = server.addresses[0]!;
    const slow = connect({ host: '127.0.0.1', port, ca: authority.certificate });
    cleanup(() => slow.destroy());
    const head = `Host: 127.0.0.1:${port}\r\nAuthorization: Bearer bob-token\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    slow.write(`POST ${path} HTTP/1.1\r\n${head}\r\nConnection: close\r\n\r\n`);
    const write = (name: string) => call({ token: 'bob-token' }, 'POST', path, { metadata: { name } });
    let refused = await write('a');
    for (let i = 0; refused.code === 201 && i < 100; i++) refused = await write(`a${i}`);
    expect([refused.code, refused.headers['retry-after'], refused.body.reason]).toEqual([429, '1', 'TooManyRequests']);
    expect((await call({ token: 'bob-token' }, 'GET', path)).code).toBe(200);
    await root(201, 'POST', path, { metadata: { name: 'by-root' } });
    slow.write(body);
    let answer = '';
    for await (const chunk of slow.setEncoding('utf8')) answer += chunk;
    expect(answer).toMatch(/^HTTP\/1.1 201 /);
    expect((await write('b')).code).toBe(201);
  });
});

describe('certificates that change', () => {
  it('are used without a restart, and connections of clients that are no longer believed end', async () => {
    const clock = createFakeClock(Date.now());
    const { authority, tls, server, call } = await startSecure({}, clock);
    const client = await authority.issueClient({ user: 'root', groups: ['system:masters'] });
    expect((await call({ client }, 'GET', '/api')).code).toBe(200);
    const next = await createCertificateAuthority('next-ca', Date.now());
    const serving = await next.issueServer({ commonName: 'renewed', dnsNames: ['localhost'], addresses: ['127.0.0.1'] });
    const dial = (ca: string, pair: { certificate: string; key: string }): Promise<TLSSocket> =>
      new Promise((resolve, reject) => {
        const { port } = server.addresses[0]!;
        const socket = connect({ host: '127.0.0.1', port, ca, cert: pair.certificate, key: pair.key }, () => resolve(socket)).on(
          'error',
          reject,
        );
        cleanup(() => socket.destroy());
      });
    const standing = await dial(authority.certificate, client);
    const ended = new Promise((resolve) => standing.once('close', resolve));
    // While one of the two files is new and the other old, nothing changes.
    writeFileSync(tls.certFile, serving.certificate);
    await clock.advance(6_000);
    expect((await dial(authority.certificate, client)).getPeerCertificate().subject.CN).toBe('kube-apiserver');
    writeFileSync(tls.privateKeyFile, serving.key);
    await clock.advance(6_000);
    expect((await dial(next.certificate, client)).getPeerCertificate().subject.CN).toBe('renewed');
    expect(standing.destroyed).toBe(false);
    // Both authorities for a while, then the new one alone.
    writeFileSync(tls.clientCAFile, authority.certificate + next.certificate);
    await clock.advance(6_000);
    expect(standing.destroyed).toBe(false);
    writeFileSync(tls.clientCAFile, next.certificate);
    process.emit('SIGHUP');
    await ended;
    const { port } = server.addresses[0]!;
    const ask = async (pair: { certificate: string; key: string }): Promise<string> => {
      const socket = await dial(next.certificate, pair);
      socket.write(`GET /api HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
      let text = '';
      for await (const chunk of socket.setEncoding('utf8')) text += chunk;
      return text.split('\r\n', 1)[0]!;
    };
    expect(await ask(client)).toBe('HTTP/1.1 401 Unauthorized');
    expect(await ask(await next.issueClient({ user: 'root', groups: ['system:masters'] }))).toBe('HTTP/1.1 200 OK');
  });
});
