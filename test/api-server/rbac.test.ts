import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PolicyRule, ruleAllows } from '../../src/api-server/auth/authorization/policy-rule.ts';
import { type BindingEntry, RbacIndex } from '../../src/api-server/auth/authorization/rbac-index.ts';
import { compactRules, uncoveredRules } from '../../src/api-server/auth/authorization/rules-cover.ts';
import { aggregatedRules } from '../../src/api-server/auth/default-policy/aggregate.ts';
import { defaultPolicy } from '../../src/api-server/auth/default-policy/policy.ts';
import { reconciledBinding, reconciledRole } from '../../src/api-server/auth/default-policy/reconcile.ts';
import { type AnyObject, findKindByName } from '../../src/objects/index.ts';
import { startTestServer } from './harness.ts';
import { bindingOf, inDefaultNamespace, rbac, startSecure, user } from './secure-server.ts';

const on = (verb: string, resource: string, more: object = {}) => ({
  isResource: true as const,
  verb,
  group: '',
  version: 'v1',
  resource,
  subresource: '',
  namespace: 'default',
  name: '',
  ...more,
});
const rule = (verbs: string, groups: string, resources: string, resourceNames?: string[]): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: groups.split(' ').map((group) => (group === 'core' ? '' : group)),
  resources: resources.split(' '),
  ...(resourceNames ? { resourceNames } : {}),
});
const person = (name: string, ...groups: string[]) => ({ name, groups });

describe('a rule', () => {
  it.each<[PolicyRule, object, boolean]>([
    [rule('get', 'core', 'pods'), on('get', 'pods'), true],
    [rule('get', 'core', 'pods'), on('list', 'pods'), false],
    [rule('*', 'core', 'pods'), on('escalate', 'pods'), true],
    [rule('get', 'core', 'pods'), on('get', 'pods', { group: 'apps' }), false],
    [rule('get', '*', '*'), on('get', 'pods', { group: 'apps', subresource: 'log' }), true],
    [rule('get', 'core', 'pods'), on('get', 'pods', { subresource: 'log' }), false],
    [rule('get', 'core', 'pods/log'), on('get', 'pods', { subresource: 'log' }), true],
    [rule('get', 'core', '*/scale'), on('get', 'deployments', { subresource: 'scale' }), true],
    [rule('get', 'core', '*/scale'), on('get', 'scale'), false],
    [rule('get', 'core', 'pods', ['a']), on('get', 'pods', { name: 'a' }), true],
    [rule('get', 'core', 'pods', ['a']), on('get', 'pods', { name: 'b' }), false],
    [rule('list', 'core', 'pods', ['a']), on('list', 'pods'), false],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, { isResource: false, verb: 'get', path: '/healthz/etcd' }, true],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, { isResource: false, verb: 'get', path: '/healthz' }, false],
    [{ verbs: ['get'], nonResourceURLs: ['*'] }, { isResource: false, verb: 'get', path: '/x' }, true],
    [rule('*', '*', '*'), { isResource: false, verb: 'get', path: '/x' }, false],
    [{ verbs: ['*'], nonResourceURLs: ['*'] }, on('get', 'pods'), false],
  ])('%j and %j: %s', (given, attributes, allowed) => {
    expect(ruleAllows(given, attributes as never)).toBe(allowed);
  });
});

describe('the index', () => {
  const binding = (name: string, namespace: string, kind: string, role: string, ...subjects: BindingEntry['subjects']): BindingEntry => ({
    name,
    namespace,
    roleRef: { kind, name: role },
    subjects,
  });

  it('follows bindings of users, groups and service accounts, and tells by which one', () => {
    const index = new RbacIndex();
    index.putRole({ namespace: '', name: 'viewer', rules: [rule('get', 'core', 'pods')] });
    index.putRole({ namespace: 'dev', name: 'writer', rules: [rule('create', 'core', 'pods')] });
    index.putBinding(binding('viewers', '', 'ClusterRole', 'viewer', { kind: 'Group', name: 'devs' }));
    index.putBinding(
      binding('writers', 'dev', 'Role', 'writer', { kind: 'ServiceAccount', name: 'robot' }, { kind: 'User', name: 'jane' }),
    );
    expect(index.authorize(person('jane', 'devs'), on('get', 'pods', { namespace: 'anywhere' }))).toMatchObject({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "viewers" of ClusterRole "viewer" to Group "devs"',
    });
    expect(index.authorize(person('jane'), on('create', 'pods', { namespace: 'dev' })).reason).toBe(
      'RBAC: allowed by RoleBinding "writers/dev" of Role "writer" to User "jane"',
    );
    expect(index.authorize(person('system:serviceaccount:dev:robot'), on('create', 'pods', { namespace: 'dev' })).reason).toBe(
      'RBAC: allowed by RoleBinding "writers/dev" of Role "writer" to ServiceAccount "robot/dev"',
    );
    for (const namespace of ['', 'prod']) expect(index.authorize(person('jane'), on('create', 'pods', { namespace })).allowed).toBe(false);
    index.deleteBinding('dev', 'writers');
    expect(index.authorize(person('jane'), on('create', 'pods', { namespace: 'dev' }))).toMatchObject({ allowed: false, told: '' });
  });

  it('tells of roles that are bound and missing', () => {
    const index = new RbacIndex();
    index.putBinding(binding('a', '', 'ClusterRole', 'gone', { kind: 'User', name: 'jane' }));
    expect(index.authorize(person('jane'), on('get', 'pods')).told).toBe('RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found');
    index.putBinding(binding('b', 'default', 'Role', 'too', { kind: 'User', name: 'jane' }));
    expect(index.authorize(person('jane'), on('get', 'pods')).told).toBe(
      'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "too" not found]',
    );
  });

  it('says what a look at all bindings would say, whatever was put and deleted before', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const subject = fc.record({ kind: fc.constantFrom('User', 'Group'), name: names });
    const step = fc.oneof(
      fc.record({ put: fc.constant('role' as const), namespace: fc.constantFrom('', 'n'), name: names, verb: names }),
      fc.record({
        put: fc.constant('binding' as const),
        namespace: fc.constantFrom('', 'n'),
        name: names,
        role: names,
        subjects: fc.array(subject, { maxLength: 3 }),
      }),
      fc.record({ put: fc.constant('no role' as const), namespace: fc.constantFrom('', 'n'), name: names }),
      fc.record({ put: fc.constant('no binding' as const), namespace: fc.constantFrom('', 'n'), name: names }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), names, names, names, (steps, name, group, verb) => {
        const index = new RbacIndex();
        const roles = new Map<string, string>();
        const bindings = new Map<string, { namespace: string; role: string; subjects: { kind: string; name: string }[] }>();
        for (const each of steps) {
          const key = `${each.namespace}/${each.name}`;
          if (each.put === 'role') {
            index.putRole({ namespace: each.namespace, name: each.name, rules: [rule(each.verb, 'core', 'pods')] });
            roles.set(key, each.verb);
          } else if (each.put === 'binding') {
            index.putBinding(binding(each.name, each.namespace, each.namespace ? 'Role' : 'ClusterRole', each.role, ...each.subjects));
            bindings.set(key, each);
          } else if (each.put === 'no role') {
            index.deleteRole(each.namespace, each.name);
            roles.delete(key);
          } else {
            index.deleteBinding(each.namespace, each.name);
            bindings.delete(key);
          }
        }
        for (const namespace of ['', 'n']) {
          const expected = [...bindings.values()].some(
            (each) =>
              (each.namespace === '' || each.namespace === namespace) &&
              each.subjects.some((who) => (who.kind === 'User' ? who.name === name : who.name === group)) &&
              roles.get(`${each.namespace}/${each.role}`) === verb,
          );
          expect(index.authorize(person(name, group), on(verb, 'pods', { namespace })).allowed).toBe(expected);
        }
      }),
    );
  });

  it('takes microseconds, however many bindings others have', () => {
    const index = new RbacIndex();
    for (const role of defaultPolicy().clusterRoles) index.putRole({ namespace: '', name: role.metadata.name, rules: role['rules'] });
    for (let i = 0; i < 5_000; i++)
      index.putBinding(binding(`b${i}`, `n${i % 50}`, 'ClusterRole', 'system:aggregate-to-edit', { kind: 'User', name: `u${i}` }));
    for (let i = 0; i < 5; i++)
      index.putBinding(binding(`own${i}`, '', 'ClusterRole', 'system:aggregate-to-view', { kind: 'Group', name: `g${i}` }));
    const jane = person('jane', 'g0', 'g1', 'g2', 'g3', 'g4', 'system:authenticated');
    const allowed = on('list', 'ingresses', { group: 'networking.k8s.io' });
    const denied = on('delete', 'nodes');
    const times: number[] = [];
    for (let round = 0; round < 30; round++) {
      const start = performance.now();
      for (let i = 0; i < 200; i++) index.authorize(jane, i % 2 === 0 ? allowed : denied);
      times.push(((performance.now() - start) * 1_000) / 200);
    }
    expect(index.authorize(jane, allowed).allowed).toBe(true);
    expect(times.toSorted((a, b) => a - b)[15]).toBeLessThan(20);
  });
});

describe('covering', () => {
  it('leaves what is not held, part by part', () => {
    const held = [
      rule('get list', 'core', 'pods'),
      rule('*', 'apps', '*'),
      rule('get', 'core', 'secrets', ['a']),
      { verbs: ['get'], nonResourceURLs: ['/api/*'] },
    ];
    expect(
      uncoveredRules(held, [
        rule('get', 'core', 'pods'),
        rule('delete', 'apps', 'deployments/scale'),
        rule('get', 'core', 'secrets', ['a']),
      ]),
    ).toEqual([]);
    expect(uncoveredRules(held, [{ verbs: ['get'], nonResourceURLs: ['/api/v1', '/metrics'] }])).toEqual([
      { verbs: ['get'], nonResourceURLs: ['/metrics'] },
    ]);
    expect(uncoveredRules(held, [rule('get', 'core', 'secrets')])).toHaveLength(1);
    const missing = uncoveredRules(held, [rule('get list watch delete', 'core', 'pods'), rule('get', 'core', 'secrets', ['b'])]);
    expect(compactRules(missing)).toEqual([rule('watch delete', 'core', 'pods'), rule('get', 'core', 'secrets', ['b'])]);
  });

  it('what is covered, every request that the part allows, the whole allows too', () => {
    const some = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });
    const rules = fc.array(
      fc.record({
        verbs: some('get', 'list', '*'),
        apiGroups: some('', 'apps', '*'),
        resources: some('pods', 'pods/log', '*/log', '*'),
        resourceNames: fc.oneof(fc.constant([]), some('a', 'b')),
      }),
      { maxLength: 3 },
    );
    const request = fc.record({
      verb: fc.constantFrom('get', 'list', 'watch'),
      group: fc.constantFrom('', 'apps', 'batch'),
      resource: fc.constantFrom('pods', 'jobs'),
      subresource: fc.constantFrom('', 'log'),
      name: fc.constantFrom('', 'a', 'b', 'c'),
    });
    fc.assert(
      fc.property(rules, rules, request, (held, wanted, { verb, resource, ...more }) => {
        if (uncoveredRules(held, wanted).length > 0) return;
        const attributes = on(verb, resource, more);
        if (wanted.some((each) => ruleAllows(each, attributes))) expect(held.some((each) => ruleAllows(each, attributes))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the default policy', () => {
  it('is valid, and is what the reference has', () => {
    const policy = defaultPolicy();
    for (const object of Object.values(policy).flat()) {
      const kind = findKindByName(object.apiVersion, object.kind)!;
      expect([object.metadata.name, kind.validate(object, undefined).filter(({ field }) => field !== 'metadata.namespace')]).toEqual([
        object.metadata.name,
        [],
      ]);
      expect(object.metadata.labels).toMatchObject({ 'kubernetes.io/bootstrapping': 'rbac-defaults' });
    }
    const roleNames = new Set(policy.clusterRoles.map(({ metadata }) => metadata.name));
    for (const binding of policy.clusterRoleBindings) expect(roleNames).toContain(binding['roleRef'].name);
    const rulesOf = (name: string): PolicyRule[] => policy.clusterRoles.find(({ metadata }) => metadata.name === name)!['rules'];
    // Nobody but administrators reads Secrets of everybody, and view reads none.
    expect(rulesOf('system:aggregate-to-view').some((each) => ruleAllows(each, on('get', 'secrets')))).toBe(false);
    expect(rulesOf('system:node-proxier').some((each) => ruleAllows(each, on('list', 'secrets')))).toBe(false);
    expect(rulesOf('system:kube-scheduler').some((each) => ruleAllows(each, on('create', 'pods', { subresource: 'binding' })))).toBe(true);
  });

  it('gives back what was taken from it when the server starts, keeps what was added, and lets go of what is protected', () => {
    const [wanted] = defaultPolicy().clusterRoles.filter(({ metadata }) => metadata.name === 'system:discovery') as [AnyObject];
    expect(reconciledRole(structuredClone(wanted), wanted)).toBeUndefined();
    const changed = { ...structuredClone(wanted), rules: [{ verbs: ['get'], nonResourceURLs: ['/api', '/more'] }] };
    const next = reconciledRole(changed, wanted)!;
    expect(next['rules'][0]).toEqual({ verbs: ['get'], nonResourceURLs: ['/api', '/more'] });
    expect(uncoveredRules(next['rules'], wanted['rules'])).toEqual([]);
    changed.metadata.annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    expect(reconciledRole(changed, wanted)).toBeUndefined();
    const [binding] = defaultPolicy().clusterRoleBindings as [AnyObject];
    expect(reconciledBinding({ ...structuredClone(binding), subjects: [] }, binding)).toMatchObject({ subjects: binding['subjects'] });
    expect(reconciledBinding({ ...structuredClone(binding), roleRef: { kind: 'ClusterRole', name: 'view' } }, binding)).toBe('recreate');
  });

  it('roles gather the rules of those that carry their label, by name and none twice', () => {
    const role = (name: string, labels: Record<string, string>, more: object): AnyObject =>
      ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name, labels }, ...more }) as AnyObject;
    const pods = rule('get', 'core', 'pods');
    const jobs = rule('get', 'batch', 'jobs');
    const all = [
      role('z', { to: 'x' }, { rules: [jobs] }),
      role('a', { to: 'x' }, { rules: [pods, jobs] }),
      role('x', { to: 'x' }, { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'x' } }] }, rules: [rule('*', '*', '*')] }),
    ];
    expect(aggregatedRules(all[2]!, all)).toEqual([pods, jobs]);
    expect(aggregatedRules(all[0]!, all)).toBeUndefined();
  });
});

describe('over HTTP', () => {
  it('denies in the words of the reference', async () => {
    const { call } = await startSecure();
    const message = async (method: string, path: string, body?: unknown) => {
      const { code, body: status } = await call({ token: 'jane-token' }, method, path, body);
      return [code, status.reason, status.message, status.details];
    };
    expect(await message('GET', `${inDefaultNamespace}/pods`)).toEqual([
      403,
      'Forbidden',
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
      { kind: 'pods' },
    ]);
    expect(await message('GET', '/apis/apps/v1/namespaces/default/deployments/d/scale')).toEqual([
      403,
      'Forbidden',
      'deployments.apps "d" is forbidden: User "jane" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"',
      { name: 'd', group: 'apps', kind: 'deployments' },
    ]);
    expect((await message('GET', '/api/v1/nodes?watch=1'))[2]).toBe(
      'nodes is forbidden: User "jane" cannot watch resource "nodes" in API group "" at the cluster scope',
    );
    // Whether there is such a resource is nobody's business who may not ask.
    expect((await message('GET', '/apis/no.such/v1/things'))[2]).toMatch(/^things.no.such is forbidden/);
    expect((await message('GET', '/metrics<b>'))[2]).toBe('forbidden: User "jane" cannot get path "/metrics&lt;b&gt;"');
    // A body is not even read.
    expect((await message('POST', `${inDefaultNamespace}/pods`, { metadata: 'x'.repeat(100_000) }))[0]).toBe(403);
  });

  it('a binding counts from the answer on, and no longer once it is deleted', async () => {
    const { call, root } = await startSecure();
    const list = async () => (await call({ token: 'bob-token' }, 'GET', `${inDefaultNamespace}/services`)).code;
    expect(await list()).toBe(403);
    await root(201, 'POST', `${rbac}/namespaces/default/rolebindings`, bindingOf('view', 'ClusterRole', 'view', user('bob')));
    expect(await list()).toBe(200);
    expect((await call({ token: 'bob-token' }, 'GET', `${inDefaultNamespace}/secrets`)).code).toBe(403);
    await root(200, 'DELETE', `${rbac}/namespaces/default/rolebindings/view`);
    expect(await list()).toBe(403);
  });

  it('nobody grants what they do not have', async () => {
    const { call, root } = await startSecure();
    const jane = { token: 'jane-token' };
    const roles = `${rbac}/namespaces/default/roles`;
    const bindings = `${rbac}/namespaces/default/rolebindings`;
    await root(201, 'POST', roles, {
      metadata: { name: 'grant' },
      rules: [rule('create update patch get', 'rbac.authorization.k8s.io', 'roles rolebindings')],
    });
    await root(201, 'POST', roles, { metadata: { name: 'pods' }, rules: [rule('get list', 'core', 'pods')] });
    await root(201, 'POST', bindings, bindingOf('grant', 'Role', 'grant', user('jane')));
    const refused = await call(jane, 'POST', roles, {
      metadata: { name: 'more' },
      rules: [rule('get list', 'core apps', 'pods'), rule('get', 'rbac.authorization.k8s.io', 'roles')],
    });
    expect([refused.code, refused.body.message]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["devs" "ops" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}\n' +
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}',
    ]);
    expect((await call(jane, 'POST', bindings, bindingOf('b', 'ClusterRole', 'cluster-admin', user('jane')))).body.message).toMatch(
      /attempting to grant RBAC permissions not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}\n\{NonResourceURLs:\["\*"\], Verbs:\["\*"\]\}$/,
    );
    expect((await call(jane, 'POST', bindings, bindingOf('b', 'Role', 'none', user('jane')))).body.message).toBe(
      'roles.rbac.authorization.k8s.io "none" not found',
    );
    expect((await call(jane, 'PUT', `${roles}/pods`, { metadata: { name: 'pods' }, rules: [rule('*', '*', '*')] })).code).toBe(403);
    // What is held may be granted, and with bind and escalate also what is not.
    expect((await call(jane, 'POST', bindings, bindingOf('own', 'Role', 'grant', user('bob')))).code).toBe(201);
    await root(201, 'POST', roles, {
      metadata: { name: 'trusted' },
      rules: [{ ...rule('bind', 'rbac.authorization.k8s.io', 'roles', ['pods']) }, rule('escalate', 'rbac.authorization.k8s.io', 'roles')],
    });
    await root(201, 'POST', bindings, bindingOf('trusted', 'Role', 'trusted', user('jane')));
    expect((await call(jane, 'POST', bindings, bindingOf('pods', 'Role', 'pods', user('jane')))).code).toBe(201);
    expect((await call(jane, 'POST', roles, { metadata: { name: 'all' }, rules: [rule('*', '*', '*')] })).code).toBe(201);
    expect((await call(jane, 'POST', bindings, bindingOf('all', 'Role', 'all', user('jane')))).code).toBe(403);
    // A role's labels may be changed by who may not write its rules.
    await root(200, 'DELETE', `${bindings}/trusted`);
    const all = await root(200, 'GET', `${roles}/all`);
    expect((await call(jane, 'PUT', `${roles}/all`, { ...all, metadata: { ...all.metadata, finalizers: ['a.b/c'] } })).code).toBe(200);
  });

  it('an aggregating role asks for everything, and shows what it gathers', async () => {
    const { call, root } = await startSecure();
    await root(201, 'POST', `${rbac}/clusterroles`, {
      metadata: { name: 'writer' },
      rules: [rule('create', 'rbac.authorization.k8s.io', 'clusterroles')],
    });
    await root(201, 'POST', `${rbac}/clusterrolebindings`, bindingOf('writer', 'ClusterRole', 'writer', user('jane')));
    const aggregating = (name: string) => ({
      metadata: { name },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
    });
    expect((await call({ token: 'jane-token' }, 'POST', `${rbac}/clusterroles`, aggregating('x'))).body.message).toBe(
      'clusterroles.rbac.authorization.k8s.io "x" is forbidden: must have cluster-admin privileges to use the aggregationRule',
    );
    await root(201, 'POST', `${rbac}/clusterroles`, aggregating('x'));
    await root(201, 'POST', `${rbac}/clusterroles`, {
      metadata: { name: 'part', labels: { a: 'b' } },
      rules: [rule('get', 'core', 'pods')],
    });
    const rules = async () => (await root(200, 'GET', `${rbac}/clusterroles/x`)).rules;
    for (let i = 0; i < 100 && (await rules())?.length !== 1; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await rules()).toEqual([rule('get', 'core', 'pods')]);
    await root(200, 'DELETE', `${rbac}/clusterroles/part`);
    for (let i = 0; i < 100 && (await rules())?.length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await rules()) ?? []).toEqual([]);
    const admin = await root(200, 'GET', `${rbac}/clusterroles/admin`);
    expect(
      uncoveredRules(admin.rules, [
        rule('create', 'core', 'pods'),
        rule('get', 'core', 'services'),
        rule('create', 'rbac.authorization.k8s.io', 'roles'),
      ]),
    ).toEqual([]);
  });

  it('AlwaysAllow lets every user do anything', async () => {
    const { call } = await startSecure({ authorizationMode: 'AlwaysAllow' });
    expect((await call({ token: 'bob-token' }, 'GET', '/api/v1/secrets')).code).toBe(200);
    expect((await call({}, 'GET', '/api/v1/secrets')).code).toBe(401);
  });

  it('a server that starts again finds its policy made', async () => {
    const first = await startTestServer();
    const versions = async (url: string): Promise<string[]> =>
      ((await (await fetch(`${url}${rbac}/clusterroles`)).json()) as { items: AnyObject[] }).items.map(
        ({ metadata }) => metadata.resourceVersion!,
      );
    const before = await versions(first.url);
    const second = await startTestServer({}, first.store);
    expect(await versions(second.url)).toEqual(before);
  });
});
