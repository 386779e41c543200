import { describe, expect, it } from 'vitest';
import { configMap, deployment, inDefault, pod, startTestServer, type TestServer } from './harness.ts';

const apply = { 'content-type': 'application/apply-patch+yaml' };
const merge = { 'content-type': 'application/merge-patch+json' };
const jsonPatch = { 'content-type': 'application/json-patch+json' };
const as = (userAgent: string) => ({ 'user-agent': userAgent });
const fields = (...names: string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));

interface Entry {
  manager: string;
  operation: string;
  apiVersion: string;
  subresource?: string;
  time?: string;
  fieldsV1: object;
}
const ownersOf = ({ metadata }: { metadata: { managedFields?: Entry[] } }): Record<string, object> =>
  Object.fromEntries(
    (metadata.managedFields ?? []).map(({ manager, operation, subresource, fieldsV1 }) => [
      `${manager}${subresource ? `/${subresource}` : ''}${operation === 'Apply' ? '+' : ''}`,
      fieldsV1,
    ]),
  );

/** Server-side applies of one name. */
function applier(api: TestServer, plural: string, name: string) {
  return (manager: string, configuration: object | string, query = '', code = 200) =>
    api.expect(code, 'PATCH', `${inDefault(plural, name)}?fieldManager=${manager}${query}`, configuration, apply);
}

describe('server-side apply', () => {
  it('creates what does not exist, and changes it from then on', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'configmaps', 'a');
    const created = await applied('one', configMap('a', { p: '1', q: '1' }), '', 201);
    expect(created.metadata.uid).toBeTruthy();
    expect(ownersOf(created)).toEqual({ 'one+': { 'f:data': fields('p', 'q') } });
    const changed = await applied('one', configMap('a', { p: '2' }));
    expect(changed.data).toEqual({ p: '2' });
    expect(changed.metadata.uid).toBe(created.metadata.uid);
  });

  it('takes YAML as well as JSON', async () => {
    const api = await startTestServer();
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {app: web}\ndata:\n  p: |\n    text\n';
    const created = await applier(api, 'configmaps', 'a')('one', yaml, '', 201);
    expect(created).toMatchObject({ metadata: { labels: { app: 'web' } }, data: { p: 'text\n' } });
  });

  it('lets two share an object, tells a conflict, and gives way to force', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'deployments', 'web');
    await applied('one', deployment('web', 2), '', 201);
    const scaled = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { replicas: 5 } };
    const refused = await applied('two', scaled, '', 409);
    expect(refused).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Apply failed with 1 conflict: conflict with "one": .spec.replicas',
      reason: 'Conflict',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.replicas' }] },
      code: 409,
    });
    const forced = await applied('two', scaled, '&force=true');
    expect(forced.spec.replicas).toBe(5);
    expect(ownersOf(forced)['two+']).toEqual({ 'f:spec': fields('replicas') });
    const { replicas: _replicas, ...spec } = deployment('web').spec;
    expect((await applied('one', { ...deployment('web'), spec })).spec.replicas).toBe(5);
    expect((await applied('two', { ...scaled, spec: {} })).spec.replicas).toBe(1);
  });

  it('merges containers, ports and variables item by item', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'deployments', 'web');
    const withContainers = (...containers: object[]) => {
      const object = deployment('web');
      object.spec.template.spec.containers = containers;
      return object;
    };
    const main = { name: 'main', image: 'nginx' };
    await applied('one', withContainers({ ...main, ports: [{ containerPort: 80 }], env: [{ name: 'A', value: '1' }] }), '', 201);
    const both = await applied(
      'two',
      withContainers({ ...main, ports: [{ containerPort: 81 }], env: [{ name: 'B', value: '2' }] }, { name: 'side', image: 's' }),
    );
    const [first] = both.spec.template.spec.containers;
    expect(first.ports.map(({ containerPort }: { containerPort: number }) => containerPort)).toEqual([80, 81]);
    expect(first.env.map(({ name }: { name: string }) => name)).toEqual(['A', 'B']);
    const less = await applied('two', withContainers(main));
    expect(less.spec.template.spec.containers).toMatchObject([{ ports: [{ containerPort: 80 }], env: [{ name: 'A', value: '1' }] }]);
    expect(less.spec.template.spec.containers).toHaveLength(1);
  });

  it('that changes nothing is no write', async () => {
    let now = Date.UTC(2026, 0, 1);
    const clock = { now: () => now, monotonic: () => performance.now(), setTimer: () => () => {} };
    const api = await startTestServer({}, undefined, clock);
    const applied = applier(api, 'deployments', 'web');
    const first = await applied('one', deployment('web'), '', 201);
    now += 5_000;
    expect(await applied('one', deployment('web'))).toEqual(first);
    const shared = await applied('two', deployment('web'));
    expect(shared.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
    expect(shared.metadata.generation).toBe(1);
    expect(shared.metadata.managedFields.map(({ manager, time }: Entry) => [manager, time])).toEqual([
      ['one', '2026-01-01T00:00:00Z'],
      ['two', '2026-01-01T00:00:05Z'],
    ]);
  });

  it('tries with dry run what it would do', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'configmaps', 'a');
    expect(ownersOf(await applied('one', configMap('a', { p: '1' }), '&dryRun=All', 201))).toEqual({ 'one+': { 'f:data': fields('p') } });
    await api.expect(404, 'GET', inDefault('configmaps', 'a'));
    await applied('one', configMap('a', { p: '1' }), '', 201);
    expect((await applied('one', configMap('a', { p: '2' }), '&dryRun=All')).data).toEqual({ p: '2' });
    expect((await api.expect(200, 'GET', inDefault('configmaps', 'a'))).data).toEqual({ p: '1' });
    await applied('two', configMap('a', { p: '2' }), '&dryRun=All', 409);
  });

  it('goes to the status by its own path, and never creates there', async () => {
    const api = await startTestServer();
    const status = (replicas: number) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, status: { replicas } });
    const path = `${inDefault('deployments', 'web', 'status')}?fieldManager=controller`;
    await api.expect(404, 'PATCH', path, status(1), apply);
    await applier(api, 'deployments', 'web')('one', { ...deployment('web'), status: { replicas: 9 } }, '', 201);
    const changed = await api.expect(200, 'PATCH', path, { ...status(3), spec: { paused: true } }, apply);
    expect(changed.status).toEqual({ replicas: 3 });
    expect(changed.spec).not.toHaveProperty('paused');
    expect(ownersOf(changed)).toMatchObject({ 'controller/status+': { 'f:status': fields('replicas') } });
    expect(ownersOf(changed)['one+']).not.toHaveProperty('f:status');
  });

  it('goes to the scale, which shares its one field with the object', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'deployments', 'web');
    await applied('one', deployment('web', 2), '', 201);
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web', namespace: 'default' }, spec: { replicas: 4 } };
    const path = inDefault('deployments', 'web', 'scale');
    const refused = await api.expect(409, 'PATCH', `${path}?fieldManager=hpa`, scale, apply);
    expect(refused.message).toBe('Apply failed with 1 conflict: conflict with "one": .spec.replicas');
    await api.expect(200, 'PATCH', `${path}?fieldManager=hpa&force=true`, scale, apply);
    const scaled = await api.expect(200, 'GET', inDefault('deployments', 'web'));
    expect(scaled.spec.replicas).toBe(4);
    expect(ownersOf(scaled)['hpa/scale+']).toEqual({ 'f:spec': fields('replicas') });
    expect(ownersOf(scaled)['one+']).not.toHaveProperty(['f:spec', 'f:replicas']);
    await api.expect(200, 'PUT', path, { ...scale, spec: { replicas: 6 } }, as('scaler/1.0'));
    const again = await applied('one', deployment('web', 2), '', 409);
    expect(again.message).toBe(
      'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas',
    );
  });

  it('is told apart from what cannot be one', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps', 'a');
    const refused = async (code: number, query: string, body: unknown, headers: Record<string, string> = apply) =>
      (await api.expect(code, 'PATCH', path + query, body, headers)).message;
    const mine = '?fieldManager=one';
    await api.expect(201, 'PATCH', path + mine, configMap('a'), apply);
    expect(await refused(422, '', configMap('a'))).toBe(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    expect(await refused(422, '?force=true', { data: {} }, merge)).toBe(
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    );
    expect(await refused(400, mine, configMap('a', {}, { managedFields: [] }))).toBe('metadata.managedFields must be nil');
    expect(await refused(400, mine, configMap('b'))).toBe('the name of the object (b) does not match the name on the URL (a)');
    expect(await refused(400, mine, configMap('a', {}, { namespace: 'kube-system' }))).toBe(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
    expect(await refused(400, mine, { ...configMap('a'), kind: 'Secret' })).toBe('invalid object type: /v1, Kind=Secret');
    expect(await refused(500, mine, { ...configMap('a'), spec: {} })).toBe(
      'failed to create typed patch object (/a; /v1, Kind=ConfigMap): .spec: field not declared in schema',
    );
    expect(await refused(409, mine, configMap('a', {}, { resourceVersion: '1' }))).toContain('the object has been modified');
    expect(await refused(422, mine, configMap('a', {}, { uid: 'other' }))).toContain(
      'metadata.uid: Invalid value: "other": field is immutable',
    );
    expect(await refused(400, mine, '[]')).toContain('error decoding YAML: ');
    expect(await refused(400, mine, 'a: [')).toContain('error decoding YAML: ');
    expect(await refused(400, mine, 'text')).toContain('error decoding YAML: ');
    const duplicate = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"p":"1","p":"2"}}';
    expect(await refused(400, `${mine}&fieldValidation=Strict`, duplicate)).toContain('duplicate field "data.p"');
  });

  it('does not make an object of which the request says that it was there', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'configmaps', 'a');
    const refused = await applied('one', configMap('a', {}, { uid: 'u' }), '', 409);
    expect(refused.message).toContain('uid mismatch: the provided object specified uid u, and no existing object was found');
    await applied('one', configMap('b'), '', 400);
    await applied('one', { apiVersion: 'v1', kind: 'ConfigMap' }, '', 400);
    await api.expect(404, 'PATCH', '/api/v1/namespaces/none/configmaps/a?fieldManager=one', configMap('a'), apply);
  });

  it('at once by many leaves every field with its owner', async () => {
    const api = await startTestServer();
    const applied = applier(api, 'configmaps', 'a');
    await applied('m0', configMap('a', { k0: '0' }), '', 201);
    const rest = Array.from({ length: 20 }, (_, index) => index + 1);
    await Promise.all(rest.map((number) => applied(`m${number}`, configMap('a', { [`k${number}`]: String(number) }))));
    const object = await api.expect(200, 'GET', inDefault('configmaps', 'a'));
    expect(Object.keys(object.data)).toHaveLength(21);
    expect(Object.keys(ownersOf(object))).toHaveLength(21);
  });

  it('by many at once to a name that is free creates it once', async () => {
    const api = await startTestServer();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, number) =>
        api.call('PATCH', `${inDefault('configmaps', 'a')}?fieldManager=m${number}`, configMap('a', { [`k${number}`]: '' }), apply),
      ),
    );
    expect(answers.map(({ code }) => code).toSorted()).toEqual([...Array.from({ length: 9 }, () => 200), 201]);
  });
});

describe('managedFields', () => {
  it('name who wrote what: by fieldManager, or else by the first part of the User-Agent', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', { p: '1', q: '1' }), as('kubectl/v1.33 (linux/amd64)'));
    await api.expect(200, 'PATCH', `${inDefault('configmaps', 'a')}?fieldManager=editor`, { data: { p: '2' } }, merge);
    const patched = await api.expect(200, 'PATCH', inDefault('configmaps', 'a'), [{ op: 'remove', path: '/data/q' }], {
      ...jsonPatch,
      ...as('x'),
    });
    expect(ownersOf(patched)).toEqual({ kubectl: { 'f:data': {} }, editor: { 'f:data': fields('p') } });
  });

  it('are kept by a PUT that leaves them out, and forgotten by one that empties them', async () => {
    const api = await startTestServer();
    const created = await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', { p: '1' }), as('one/1'));
    const put = (metadata: object) =>
      api.expect(200, 'PUT', inDefault('configmaps', 'a'), configMap('a', { p: '1' }, metadata), as('two/1'));
    expect((await put({})).metadata).toEqual(created.metadata);
    expect((await put({ managedFields: [] })).metadata).not.toHaveProperty('managedFields');
    expect((await put({ labels: { a: 'b' } })).metadata).not.toHaveProperty('managedFields');
  });

  it('can be patched as kubectl does when it moves from client-side to server-side apply', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', `${inDefault('configmaps')}?fieldManager=kubectl-client-side-apply`, configMap('a', { p: '1' }));
    const value = [
      { manager: 'kubectl', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': fields('p') } },
    ];
    const patch = [{ op: 'replace', path: '/metadata/managedFields', value }];
    expect((await api.expect(200, 'PATCH', inDefault('configmaps', 'a'), patch, jsonPatch)).metadata.managedFields).toEqual(value);
  });

  it('do not name what admission and the server add', async () => {
    const api = await startTestServer();
    const created = await api.expect(201, 'POST', inDefault('pods'), pod('p'), as('one/1'));
    expect(created.spec.tolerations).toHaveLength(2);
    expect(created.spec.priority).toBe(0);
    const { 'f:spec': owned } = ownersOf(created)['one'] as { 'f:spec': object };
    for (const field of ['f:tolerations', 'f:priority', 'f:preemptionPolicy', 'f:nodeName']) expect(owned).not.toHaveProperty(field);
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } };
    const served = await api.expect(201, 'POST', inDefault('services'), service, as('one/1'));
    expect(served.spec.clusterIP).toBeTruthy();
    expect((ownersOf(served)['one'] as { 'f:spec': object })['f:spec']).not.toHaveProperty('f:clusterIP');
  });

  it('leave a binding, which is no write of fields, out', async () => {
    const api = await startTestServer();
    const created = await api.expect(201, 'POST', inDefault('pods'), pod('p'), as('one/1'));
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } };
    await api.expect(201, 'POST', inDefault('pods', 'p', 'binding'), binding, as('scheduler/1'));
    const bound = await api.expect(200, 'GET', inDefault('pods', 'p'));
    expect(bound.spec.nodeName).toBe('n');
    expect(bound.metadata.managedFields).toEqual(created.metadata.managedFields);
  });

  it('tell status from object', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('p'), as('one/1'));
    const status = { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }, spec: { nodeName: 'n' } };
    const patched = await api.expect(200, 'PATCH', inDefault('pods', 'p', 'status'), status, { ...merge, ...as('runner/1') });
    expect(ownersOf(patched)['runner/status']).toMatchObject({ 'f:status': { 'f:phase': {} } });
    expect(ownersOf(patched)['runner/status']).not.toHaveProperty('f:spec');
  });

  it('of the namespaces that the server makes name the server', async () => {
    const api = await startTestServer();
    expect(Object.keys(ownersOf(await api.expect(200, 'GET', '/api/v1/namespaces/kube-system')))).toEqual(['kube-apiserver']);
  });

  it('of an event are of the version that it was written in', async () => {
    const api = await startTestServer();
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'e' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
      reason: 'Why',
      note: 'text',
      type: 'Normal',
      action: 'Act',
      reportingController: 'a/b',
      reportingInstance: 'x',
    };
    const created = await api.expect(201, 'POST', '/apis/events.k8s.io/v1/namespaces/default/events', event, as('one/1'));
    expect(created.metadata.managedFields).toMatchObject([
      { manager: 'one', apiVersion: 'events.k8s.io/v1', fieldsV1: fields('note', 'regarding') },
    ]);
    const core = await api.expect(200, 'GET', inDefault('events', 'e'));
    expect(core.metadata.managedFields).toEqual(created.metadata.managedFields);
    const patched = await api.expect(
      200,
      'PATCH',
      inDefault('events', 'e'),
      { metadata: { labels: { a: 'b' } } },
      { ...merge, ...as('two/1') },
    );
    expect(Object.keys(ownersOf(patched)).toSorted()).toEqual(['one', 'two']);
  });
});

describe('a PUT of a name that is free', () => {
  const lease = (name: string, metadata: object = {}) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, ...metadata },
    spec: { holderIdentity: 'me' },
  });
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/l';

  it('creates objects of some kinds, and of the others not', async () => {
    const api = await startTestServer();
    const created = await api.expect(201, 'PUT', path, lease('l'), as('elector/1'));
    expect(ownersOf(created)).toEqual({ elector: { 'f:spec': fields('holderIdentity') } });
    await api.expect(404, 'PUT', inDefault('configmaps', 'a'), configMap('a'));
    await api.expect(201, 'PUT', inDefault('endpoints', 'e'), { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'e' } });
  });

  it('creates with the revision of one that went, but not with its uid', async () => {
    const api = await startTestServer();
    const created = await api.expect(201, 'PUT', path, lease('l'));
    await api.expect(200, 'DELETE', path);
    await api.expect(201, 'PUT', path, lease('l', { resourceVersion: created.metadata.resourceVersion }));
    await api.expect(200, 'DELETE', path);
    await api.expect(409, 'PUT', path, lease('l', { uid: created.metadata.uid }));
  });

  it('must name it, and its revision where the kind asks for it', async () => {
    const api = await startTestServer();
    await api.expect(201, 'PUT', path, lease('l'));
    expect((await api.expect(400, 'PUT', path, lease('m'))).message).toBe(
      'the name of the object (m) does not match the name on the URL (l)',
    );
    expect((await api.expect(400, 'PUT', path, { ...lease('l'), metadata: {} })).message).toContain('name must be provided');
    expect((await api.expect(422, 'PUT', path, lease('l'))).message).toBe(
      'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    );
  });
});
