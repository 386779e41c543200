import { generateKeyPairSync, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tokenClaims } from '../../src/api-server/auth/service-accounts/claims.ts';
import { readSigningKey, readVerificationKeys } from '../../src/api-server/auth/service-accounts/keys.ts';
import { signToken } from '../../src/api-server/auth/service-accounts/tokens.ts';
import { securityDefaults } from '../../src/api-server/options.ts';
import { createServiceAccountKeys } from '../../src/kube/pki/service-account-keys.ts';
import type { AnyObject } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { pod, startTestServer, temporaryFolder } from './harness.ts';
import { inDefaultNamespace, type SecureServer, startSecure } from './secure-server.ts';

const issuer = securityDefaults.serviceAccounts.issuers[0]!;
const accounts = `${inDefaultNamespace}/serviceaccounts`;
const robot = 'system:serviceaccount:default:robot';

/** The claims of a token, unverified. */
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8'));

async function withRobot(
  security = {},
  clock = systemClock,
): Promise<SecureServer & { token(spec?: object): Promise<string>; uid: string }> {
  const server = await startSecure(security, clock);
  const { metadata } = await server.root(201, 'POST', accounts, { metadata: { name: 'robot' } });
  return {
    ...server,
    uid: metadata.uid,
    token: async (spec = {}) => (await server.root(201, 'POST', `${accounts}/robot/token`, { spec })).status.token,
  };
}

describe('a token of a service account', () => {
  it('says who it is for, and lets in as that', async () => {
    const { call, root, token, uid } = await withRobot();
    const answer = await root(201, 'POST', `${accounts}/robot/token`, { spec: {} });
    expect(answer).toMatchObject({
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name: 'robot', namespace: 'default' },
      spec: { audiences: [issuer], expirationSeconds: 3_600, boundObjectRef: null },
    });
    const claims = claimsOf(answer.status.token);
    expect(claims).toMatchObject({
      iss: issuer,
      sub: robot,
      aud: [issuer],
      'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'robot', uid } },
    });
    expect(claims.exp - claims.iat).toBe(3_600);
    expect(Date.parse(answer.status.expirationTimestamp)).toBe(claims.exp * 1_000);
    const whoami = await call({ token: await token() }, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    expect(whoami.body.status.userInfo).toMatchObject({
      username: robot,
      uid,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^JTI=/)] },
    });
    expect((await call({ token: await token() }, 'GET', `${inDefaultNamespace}/pods`)).body.message).toMatch(`User "${robot}" cannot list`);
  });

  it('dies with its account, and is not its namesake’s', async () => {
    const { call, root, token } = await withRobot();
    const old = await token();
    const code = async () => (await call({ token: old }, 'GET', '/api')).code;
    expect(await code()).toBe(200);
    await root(200, 'DELETE', `${accounts}/robot`);
    expect(await code()).toBe(401);
    await root(201, 'POST', accounts, { metadata: { name: 'robot' } });
    expect(await code()).toBe(401);
  });

  it('bound to a pod, dies with the pod, and tells its node', async () => {
    const { call, root, token } = await withRobot();
    const node = await root(201, 'POST', '/api/v1/nodes', { metadata: { name: 'worker-1' } });
    await root(201, 'POST', `${inDefaultNamespace}/pods`, pod('p', { serviceAccountName: 'robot', nodeName: 'worker-1' }));
    const made = await root(200, 'GET', `${inDefaultNamespace}/pods/p`);
    const bound = await token({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: made.metadata.uid } });
    expect(claimsOf(bound)['kubernetes.io']).toMatchObject({
      pod: { name: 'p', uid: made.metadata.uid },
      node: { name: 'worker-1', uid: node.metadata.uid },
    });
    const review = await root(201, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: bound } });
    expect(review.status).toMatchObject({
      authenticated: true,
      audiences: [issuer],
      user: {
        username: robot,
        extra: {
          'authentication.kubernetes.io/pod-name': ['p'],
          'authentication.kubernetes.io/pod-uid': [made.metadata.uid],
          'authentication.kubernetes.io/node-name': ['worker-1'],
        },
      },
    });
    await root(200, 'DELETE', `${inDefaultNamespace}/pods/p`, { gracePeriodSeconds: 0 });
    expect((await call({ token: bound }, 'GET', '/api')).code).toBe(401);
    const after = await root(201, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: bound } });
    expect(after.status).toEqual({ user: {}, error: '[invalid bearer token, Token has been invalidated]' });
  });

  it('bound to a Secret or a Node, dies with it', async () => {
    const { call, root, token } = await withRobot();
    await root(201, 'POST', `${inDefaultNamespace}/secrets`, { metadata: { name: 's' } });
    await root(201, 'POST', '/api/v1/nodes', { metadata: { name: 'n' } });
    const bySecret = await token({ boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: 's' } });
    const byNode = await token({ boundObjectRef: { kind: 'Node', apiVersion: 'v1', name: 'n' } });
    const codes = async () => [(await call({ token: bySecret }, 'GET', '/api')).code, (await call({ token: byNode }, 'GET', '/api')).code];
    expect(await codes()).toEqual([200, 200]);
    await root(200, 'DELETE', `${inDefaultNamespace}/secrets/s`);
    expect(await codes()).toEqual([401, 200]);
    await root(200, 'DELETE', '/api/v1/nodes/n');
    expect(await codes()).toEqual([401, 401]);
  });

  it('expires', async () => {
    let later = 0;
    const { call, root, token } = await withRobot({}, { ...systemClock, now: () => Date.now() + later });
    const short = await token({ expirationSeconds: 600 });
    expect((await call({ token: short }, 'GET', '/api')).code).toBe(200);
    later = 601_000;
    expect((await call({ token: short }, 'GET', '/api')).code).toBe(401);
    const review = await root(201, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: short } });
    expect(review.status.error).toBe('[invalid bearer token, Token has expired.]');
  });

  it('is for its audience alone', async () => {
    const { call, root, token } = await withRobot({
      serviceAccounts: { ...securityDefaults.serviceAccounts, apiAudiences: ['api', 'api2'] },
    });
    const forVault = await token({ audiences: ['vault', 'other'] });
    expect((await call({ token: forVault }, 'GET', '/api')).code).toBe(401);
    expect((await call({ token: await token({ audiences: ['api2'] }) }, 'GET', '/api')).code).toBe(200);
    expect(claimsOf(await token()).aud).toEqual(['api', 'api2']);
    const review = async (audiences: string[]) =>
      (await root(201, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: forVault, audiences } })).status;
    expect(await review(['vault', 'x'])).toMatchObject({ authenticated: true, audiences: ['vault'] });
    expect(await review(['x'])).toMatchObject({ error: expect.stringMatching(/invalid for the target audiences \["x"\]/) });
  });

  it('that was changed, or signed by a stranger, is refused', async () => {
    const { call, token, uid } = await withRobot();
    const good = await token();
    const [header, payload, signature] = good.split('.') as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ ...claimsOf(good), sub: 'system:serviceaccount:kube-system:admin' })).toString('base64url');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const hmac = Buffer.from('{"alg":"HS256"}').toString('base64url');
    const stranger = readSigningKey(createServiceAccountKeys().privateKey, 'key');
    const account = { metadata: { name: 'robot', namespace: 'default', uid } } as AnyObject;
    const wish = { issuer, account, bound: {}, audiences: [issuer], lifetimeSeconds: 600, id: 'x', now: Date.now() };
    const tokens = [
      `${header}.${forged}.${signature}`,
      `${none}.${payload}.`,
      `${hmac}.${payload}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature}x`,
      `${header}.${payload}`,
      'a.b.c',
      `${'a'.repeat(20_000)}.b.c`,
      await signToken(tokenClaims(wish), stranger),
    ];
    for (const bad of tokens) expect([bad.slice(-20), (await call({ token: bad }, 'GET', '/api')).code]).toEqual([bad.slice(-20), 401]);
  });

  it('is refused with the texts of the reference when it cannot be made', async () => {
    const { call, root } = await withRobot();
    await root(201, 'POST', `${inDefaultNamespace}/pods`, pod('p', { serviceAccountName: 'other' }));
    const ask = async (spec: object, name = 'robot') => {
      const { code, body } = await call({ token: 'root-token' }, 'POST', `${accounts}/${name}/token`, { spec });
      return [code, body.message];
    };
    const ref = (kind: string, apiVersion: string, name: string, uid?: string) => ({ boundObjectRef: { kind, apiVersion, name, uid } });
    expect(await ask({ expirationSeconds: 5 })).toEqual([
      422,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes',
    ]);
    expect((await ask({ expirationSeconds: 2 ** 40 }))[1]).toMatch(/may not specify a duration larger than 2\^32 seconds/);
    expect(await ask({}, 'none')).toEqual([404, 'serviceaccounts "none" not found']);
    expect(await ask(ref('Pod', 'v1', 'none'))).toEqual([404, 'pods "none" not found']);
    expect(await ask(ref('ConfigMap', 'v1', 'x'))).toEqual([400, 'cannot bind token to object of type /v1, Kind=ConfigMap']);
    expect(await ask(ref('Pod', 'v1', 'p'))).toEqual([
      400,
      'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
    ]);
    expect((await ask(ref('Node', 'v1', 'none')))[0]).toBe(404);
    await root(201, 'POST', `${inDefaultNamespace}/secrets`, { metadata: { name: 's' } });
    expect((await ask(ref('Secret', 'v1', 's', 'wrong')))[0]).toBe(409);
    expect((await call({ token: 'root-token' }, 'GET', `${accounts}/robot/token`)).code).toBe(405);
    // Who may read the account may not speak for it.
    expect((await call({ token: 'jane-token' }, 'POST', `${accounts}/robot/token`, { spec: {} })).code).toBe(403);
  });

  it('lives no longer than the server allows', async () => {
    const { token } = await withRobot({ serviceAccounts: { ...securityDefaults.serviceAccounts, maxTokenExpirationSeconds: 1_200 } });
    const { exp, iat } = claimsOf(await token({ expirationSeconds: 86_400 }));
    expect(exp - iat).toBe(1_200);
  });

  it('without expiry is good as long as it stands in its Secret', async () => {
    const folder = temporaryFolder();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    writeFileSync(join(folder, 'sa.key'), pem);
    const { call, root, uid } = await withRobot({
      serviceAccounts: { ...securityDefaults.serviceAccounts, keyFiles: [join(folder, 'sa.key')] },
    });
    const claims = {
      iss: 'kubernetes/serviceaccount',
      sub: robot,
      'kubernetes.io/serviceaccount/namespace': 'default',
      'kubernetes.io/serviceaccount/secret.name': 'robot-token',
      'kubernetes.io/serviceaccount/service-account.name': 'robot',
      'kubernetes.io/serviceaccount/service-account.uid': uid,
    };
    const token = await signToken(claims as never, readSigningKey(pem, 'sa.key'));
    const code = async () => (await call({ token }, 'GET', '/api')).code;
    expect(await code()).toBe(401);
    await root(201, 'POST', `${inDefaultNamespace}/secrets`, { metadata: { name: 'robot-token' }, stringData: { token } });
    expect(await code()).toBe(200);
    await root(200, 'DELETE', `${inDefaultNamespace}/secrets/robot-token`);
    expect(await code()).toBe(401);
  });
});

describe('keys', () => {
  it('RSA and ECDSA keys sign, several verify, and outsiders can verify by what is published', async () => {
    const folder = temporaryFolder();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    const old = createServiceAccountKeys();
    writeFileSync(join(folder, 'rsa.key'), rsa);
    writeFileSync(join(folder, 'old.pub'), old.publicKey);
    const { call, root, token } = await withRobot({
      serviceAccounts: {
        ...securityDefaults.serviceAccounts,
        signingKeyFile: join(folder, 'rsa.key'),
        keyFiles: [join(folder, 'rsa.key'), join(folder, 'old.pub')],
        issuers: ['https://issuer.example', issuer],
      },
    });
    const signed = await token();
    expect(claimsOf(signed).iss).toBe('https://issuer.example');
    const [header, payload, signature] = signed.split('.') as [string, string, string];
    const { keys } = await root(200, 'GET', '/openid/v1/jwks');
    expect(keys).toHaveLength(2);
    const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const published = keys.find((key: { kid: string }) => key.kid === kid);
    expect([alg, published.alg, published.use]).toEqual(['RS256', 'RS256', 'sig']);
    expect(JSON.stringify(keys)).not.toContain('"d"');
    expect(
      verify('sha256', Buffer.from(`${header}.${payload}`), { key: published, format: 'jwk' }, Buffer.from(signature, 'base64url')),
    ).toBe(true);
    expect(await root(200, 'GET', '/.well-known/openid-configuration')).toEqual({
      issuer: 'https://issuer.example',
      jwks_uri: 'https://192.168.88.11:0/openid/v1/jwks',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    });
    // A token of the older issuer, by the older key, is still believed.
    const account = (await root(200, 'GET', `${accounts}/robot`)) as AnyObject;
    const wish = { issuer, account, bound: {}, audiences: ['https://issuer.example'], lifetimeSeconds: 600, id: 'x', now: Date.now() };
    const older = await signToken(tokenClaims(wish), readSigningKey(old.privateKey, 'old'));
    expect((await call({ token: older }, 'GET', '/api')).code).toBe(200);
    // The documents are for service accounts, not for everybody.
    expect((await call({ token: older }, 'GET', '/openid/v1/jwks')).code).toBe(200);
    expect((await call({ token: 'bob-token' }, 'GET', '/openid/v1/jwks')).code).toBe(403);
  });

  it('a file without a usable key is told by name', () => {
    expect(() => readVerificationKeys('nothing', 'sa.pub')).toThrow('sa.pub holds no key in PEM');
    expect(() => readSigningKey('nothing', 'sa.key')).toThrow(/^sa.key holds no usable key/);
    const ed = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    expect(() => readVerificationKeys(ed, 'sa.pub')).toThrow(/^sa.pub: tokens are signed with RSA/);
  });
});

describe('admission of pods', () => {
  const enabled = { security: { disabledAdmission: [] } };
  const path = `${inDefaultNamespace}/pods`;

  it('gives a pod its account and a token', async () => {
    const api = await startTestServer(enabled);
    await api.expect(201, 'POST', accounts, { metadata: { name: 'default' }, imagePullSecrets: [{ name: 'registry' }] });
    const made = await api.expect(201, 'POST', path, pod('p', { initContainers: [{ name: 'init', image: 'i' }] }));
    const [volume] = made.spec.volumes;
    expect(made.spec).toMatchObject({ serviceAccountName: 'default', serviceAccount: 'default', imagePullSecrets: [{ name: 'registry' }] });
    expect(volume.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume.projected).toEqual({
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: 3_607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
    });
    for (const container of [...made.spec.containers, ...made.spec.initContainers]) {
      expect(container.volumeMounts).toEqual([
        { name: volume.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
      ]);
    }
  });

  it('leaves alone what does not want one', async () => {
    const api = await startTestServer(enabled);
    await api.expect(201, 'POST', accounts, { metadata: { name: 'default' } });
    await api.expect(201, 'POST', accounts, { metadata: { name: 'quiet' }, automountServiceAccountToken: false });
    const volumes = async (name: string, spec: object) => (await api.expect(201, 'POST', path, pod(name, spec))).spec.volumes;
    expect(await volumes('a', { automountServiceAccountToken: false })).toBeUndefined();
    expect(await volumes('b', { serviceAccountName: 'quiet' })).toBeUndefined();
    expect(await volumes('c', { serviceAccountName: 'quiet', automountServiceAccountToken: true })).toHaveLength(1);
    const own = [{ name: 'mine', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }];
    const mounted = { containers: [{ name: 'c', image: 'i', volumeMounts: own }], volumes: [{ name: 'mine', emptyDir: {} }] };
    expect(await volumes('d', mounted)).toEqual([{ name: 'mine', emptyDir: {} }]);
  });

  it('refuses accounts that are not there, and waits a moment for the default one', async () => {
    const api = await startTestServer(enabled);
    const refused = await api.expect(403, 'POST', path, pod('p', { serviceAccountName: 'nobody' }));
    expect(refused.message).toBe(
      'pods "p" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    );
    const late = api.call('POST', path, pod('late'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await api.expect(201, 'POST', accounts, { metadata: { name: 'default' } });
    expect((await late).code).toBe(201);
    await api.expect(200, 'DELETE', `${accounts}/default`);
    expect((await api.expect(403, 'POST', path, pod('never'))).message).toBe(
      'pods "never" is forbidden: error looking up service account default/default: serviceaccount "default" not found',
    );
  });

  it('a mirror pod has nothing of the API', async () => {
    const api = await startTestServer(enabled);
    const mirror = (name: string, spec: object) =>
      pod(name, { nodeName: 'n', ...spec }, { annotations: { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' } });
    await api.expect(201, 'POST', path, mirror('plain', {}));
    const refused = async (spec: object) => (await api.expect(403, 'POST', path, mirror('m', spec))).message;
    expect(await refused({ serviceAccountName: 'robot' })).toMatch(/a mirror pod may not reference service accounts$/);
    expect(await refused({ volumes: [{ name: 's', secret: { secretName: 'x' } }] })).toMatch(/a mirror pod may not reference secrets$/);
    expect(await refused({ volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }] })).toMatch(
      /a mirror pod may not use ServiceAccountToken volume projections$/,
    );
  });
});

describe('access reviews', () => {
  const authorization = '/apis/authorization.k8s.io/v1';
  const pods = { verb: 'get', resource: 'pods', namespace: 'default' };

  it('answer for oneself, for others, and for one namespace', async () => {
    const { call, root } = await startSecure();
    const self = async (caller: object, spec: object) =>
      (await call(caller, 'POST', `${authorization}/selfsubjectaccessreviews`, { spec })).body.status;
    expect(await self({ token: 'jane-token' }, { resourceAttributes: pods })).toEqual({ allowed: false });
    expect(await self({ token: 'root-token' }, { resourceAttributes: pods })).toEqual({ allowed: true });
    expect(await self({ token: 'jane-token' }, { nonResourceAttributes: { path: '/api', verb: 'get' } })).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"',
    });
    const other = await root(201, 'POST', `${authorization}/subjectaccessreviews`, {
      spec: { user: 'x', groups: ['system:masters'], resourceAttributes: pods },
    });
    expect(other.status.allowed).toBe(true);
    const local = await root(201, 'POST', `${authorization}/namespaces/default/localsubjectaccessreviews`, {
      spec: { user: 'x', resourceAttributes: pods },
    });
    expect(local.status).toEqual({ allowed: false });
    expect((await call({ token: 'jane-token' }, 'POST', `${authorization}/subjectaccessreviews`, { spec: {} })).code).toBe(403);
  });

  it('list what one may do', async () => {
    const { call } = await startSecure();
    const rules = async (token: string, spec: object) => call({ token }, 'POST', `${authorization}/selfsubjectrulesreviews`, { spec });
    expect((await rules('jane-token', {})).body.message).toBe('no namespace on request');
    const { status } = (await rules('jane-token', { namespace: 'default' })).body;
    expect(status.incomplete).toBe(false);
    expect(status.resourceRules).toContainEqual({
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      verbs: ['create'],
    });
    expect(status.resourceRules.some((rule: { resources: string[] }) => rule.resources.includes('pods'))).toBe(false);
  });

  it('refuse questions that are none', async () => {
    const { call } = await startSecure();
    const ask = async (path: string, body: object) => {
      const { code, body: status } = await call({ token: 'root-token' }, 'POST', `${authorization}/${path}`, body);
      return [code, status.details?.causes?.[0]?.field, status.details?.causes?.[0]?.message ?? status.message];
    };
    expect((await ask('selfsubjectaccessreviews', { spec: {} })).slice(0, 2)).toEqual([422, 'spec.resourceAttributes']);
    expect((await ask('selfsubjectaccessreviews', { spec: { resourceAttributes: pods, nonResourceAttributes: { path: '/' } } }))[1]).toBe(
      'spec.nonResourceAttributes',
    );
    expect(await ask('subjectaccessreviews', { spec: { resourceAttributes: pods } })).toEqual([
      422,
      'spec.user',
      'Invalid value: "": at least one of user or group must be specified',
    ]);
    expect((await ask('subjectaccessreviews', { metadata: { name: 'x' }, spec: { user: 'a', resourceAttributes: pods } }))[1]).toBe(
      'metadata',
    );
    expect((await ask('namespaces/other/localsubjectaccessreviews', { spec: { user: 'a', resourceAttributes: pods } }))[1]).toBe(
      'spec.resourceAttributes.namespace',
    );
    expect(
      (await ask('namespaces/default/localsubjectaccessreviews', { spec: { user: 'a', nonResourceAttributes: { path: '/' } } }))[1],
    ).toBe('spec.nonResourceAttributes');
    const { code } = await call({ token: 'root-token' }, 'GET', `${authorization}/subjectaccessreviews`);
    expect(code).toBe(405);
    expect((await call({ token: 'root-token' }, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: {} })).body.message).toBe(
      'token is required for TokenReview in authentication',
    );
  });

  it('are in every form of discovery and in OpenAPI', async () => {
    const api = await startTestServer();
    const { resources } = await api.expect(200, 'GET', authorization);
    expect(resources.map((resource: { name: string; verbs: string[] }) => [resource.name, resource.verbs.join()])).toEqual([
      ['localsubjectaccessreviews', 'create'],
      ['selfsubjectaccessreviews', 'create'],
      ['selfsubjectrulesreviews', 'create'],
      ['subjectaccessreviews', 'create'],
    ]);
    const core = await api.expect(200, 'GET', '/api/v1');
    expect(core.resources).toContainEqual(
      expect.objectContaining({ name: 'serviceaccounts/token', group: 'authentication.k8s.io', kind: 'TokenRequest', verbs: ['create'] }),
    );
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { body } = await api.call('GET', '/apis', undefined, { accept });
    const aggregated = typeof body === 'string' ? JSON.parse(body) : body;
    const group = aggregated.items.find(({ metadata }: AnyObject) => metadata.name === 'authentication.k8s.io');
    expect(group.versions.map(({ version }: { version: string }) => version)).toEqual(['v1', 'v1beta1']);
    const { paths } = await api.expect(200, 'GET', '/openapi/v3/apis/authentication.k8s.io/v1');
    expect(Object.keys(paths)).toContain('/apis/authentication.k8s.io/v1/tokenreviews');
    expect(Object.keys((await api.expect(200, 'GET', '/openapi/v3/api/v1')).paths)).toContain(
      '/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token',
    );
  });
});
