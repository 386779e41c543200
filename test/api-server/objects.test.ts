import { describe, expect, it } from 'vitest';
import { encodeKubernetesProtobuf } from '../../src/objects/index.ts';
import { configMap, deployment, inDefault, pod, startTestServer } from './harness.ts';

const strategic = { 'content-type': 'application/strategic-merge-patch+json' };
const merge = { 'content-type': 'application/merge-patch+json' };
const jsonPatch = { 'content-type': 'application/json-patch+json' };

describe('creating', () => {
  it('answers 201 with uid, creation time, revision and defaults filled in', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('deployments'), deployment('web', 2));
    expect(made).toMatchObject({
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'web', namespace: 'default', generation: 1 },
    });
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(made.spec.strategy.type).toBe('RollingUpdate');
    expect(await api.expect(200, 'GET', inDefault('deployments', 'web'))).toEqual(made);
  });

  it('reads YAML and protobuf too', async () => {
    const api = await startTestServer();
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: "1"}\n';
    expect((await api.expect(201, 'POST', inDefault('configmaps'), yaml, { 'content-type': 'application/yaml' })).data).toEqual({ x: '1' });
    const bytes = encodeKubernetesProtobuf(configMap('b', { y: '2' }));
    expect(
      (await api.expect(201, 'POST', inDefault('configmaps'), bytes, { 'content-type': 'application/vnd.kubernetes.protobuf' })).data,
    ).toEqual({ y: '2' });
  });

  it('makes up names', async () => {
    const api = await startTestServer();
    const object = { ...configMap(''), metadata: { generateName: 'job-' } };
    const names = await Promise.all(
      Array.from({ length: 20 }, async () => (await api.expect(201, 'POST', inDefault('configmaps'), object)).metadata.name),
    );
    expect(new Set(names).size).toBe(20);
    for (const name of names) expect(name).toMatch(/^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  it('refuses a name that is taken', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web'));
    expect(await api.expect(409, 'POST', inDefault('deployments'), deployment('web'))).toMatchObject({
      kind: 'Status',
      reason: 'AlreadyExists',
      message: 'deployments.apps "web" already exists',
      details: { name: 'web', group: 'apps', kind: 'deployments' },
    });
  });

  it('refuses what is invalid, naming each field', async () => {
    const api = await startTestServer();
    const status = await api.expect(422, 'POST', inDefault('pods'), pod('Bad_Name', { containers: [] }));
    expect(status).toMatchObject({ reason: 'Invalid', details: { kind: 'Pod', name: 'Bad_Name' } });
    expect(status.details.causes.map(({ field }: { field: string }) => field)).toEqual(
      expect.arrayContaining(['metadata.name', 'spec.containers']),
    );
    expect(status.message).toMatch(/^Pod "Bad_Name" is invalid: \[/);
  });

  it('refuses a missing namespace, another namespace in the body, and a revision', async () => {
    const api = await startTestServer();
    expect(await api.expect(404, 'POST', '/api/v1/namespaces/no/configmaps', configMap('a'))).toMatchObject({
      message: 'namespaces "no" not found',
    });
    await api.expect(400, 'POST', inDefault('configmaps'), configMap('a', {}, { namespace: 'other' }));
    await api.expect(400, 'POST', inDefault('configmaps'), configMap('a', {}, { resourceVersion: '1' }));
  });

  it('handles unknown fields as fieldValidation says', async () => {
    const api = await startTestServer();
    const object = { ...configMap('a'), datta: { x: 'y' } };
    const strict = await api.expect(400, 'POST', `${inDefault('configmaps')}?fieldValidation=Strict`, object);
    expect(strict.message).toContain('strict decoding error: unknown field "datta"');
    const warned = await api.call('POST', `${inDefault('configmaps')}?fieldValidation=Warn`, object);
    expect(warned).toMatchObject({ code: 201 });
    expect(warned.headers.get('warning')).toBe('299 - "unknown field \\"datta\\""');
    expect(warned.body.datta).toBeUndefined();
    const ignored = await api.call('POST', `${inDefault('configmaps')}?fieldValidation=Ignore`, { ...object, metadata: { name: 'b' } });
    expect(ignored.headers.get('warning')).toBeNull();
    await api.expect(422, 'POST', `${inDefault('configmaps')}?fieldValidation=Nonsense`, configMap('c'));
  });

  it('stores nothing on a dry run', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', `${inDefault('configmaps')}?dryRun=All`, configMap('a'));
    expect(made.metadata.uid).toBeDefined();
    await api.expect(404, 'GET', inDefault('configmaps', 'a'));
    await api.expect(422, 'POST', `${inDefault('configmaps')}?dryRun=Some`, configMap('a'));
  });
});

describe('admission', () => {
  it('gives pods five minutes on a node that is lost, unless they say otherwise', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    const lost = { operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 };
    expect(made.spec.tolerations).toEqual([
      { key: 'node.kubernetes.io/not-ready', ...lost },
      { key: 'node.kubernetes.io/unreachable', ...lost },
    ]);
    const everything = { tolerations: [{ operator: 'Exists' }] };
    expect((await api.expect(201, 'POST', inDefault('pods'), pod('q', everything))).spec.tolerations).toEqual(everything.tolerations);
  });
});

describe('updating', () => {
  it('gives each change a greater revision and bumps the generation when the spec changed', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('deployments'), deployment('web'));
    const scaled = await api.expect(200, 'PUT', inDefault('deployments', 'web'), { ...made, spec: { ...made.spec, replicas: 5 } });
    expect(Number(scaled.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
    expect(scaled.metadata.generation).toBe(2);
    const labeled = await api.expect(200, 'PUT', inDefault('deployments', 'web'), {
      ...scaled,
      metadata: { ...scaled.metadata, labels: { a: 'b' } },
    });
    expect(labeled.metadata.generation).toBe(2);
  });

  it('writes nothing when nothing changed', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', { x: '1' }));
    expect(await api.expect(200, 'PUT', inDefault('configmaps', 'a'), configMap('a', { x: '1' }))).toEqual(made);
    expect(await api.expect(200, 'PATCH', inDefault('configmaps', 'a'), { data: { x: '1' } }, merge)).toEqual(made);
  });

  it('refuses a stale revision in the words clients know, and takes a PUT without one', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('deployments'), deployment('web'));
    await api.expect(200, 'PUT', inDefault('deployments', 'web'), deployment('web', 2));
    const status = await api.expect(409, 'PUT', inDefault('deployments', 'web'), { ...made, spec: { ...made.spec, replicas: 9 } });
    expect(status).toMatchObject({
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again',
    });
  });

  it('lets exactly one of 50 parallel PUTs on one revision through', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => api.call('PUT', inDefault('configmaps', 'a'), { ...made, data: { writer: String(i) } })),
    );
    const codes = answers.map(({ code }) => code);
    expect(codes.filter((code) => code === 200)).toHaveLength(1);
    expect(codes.filter((code) => code === 409)).toHaveLength(49);
  });

  it('loses none of many parallel patches', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => api.expect(200, 'PATCH', inDefault('configmaps', 'a'), { data: { [`k${i}`]: 'v' } }, merge)),
    );
    expect(Object.keys((await api.expect(200, 'GET', inDefault('configmaps', 'a'))).data)).toHaveLength(40);
  });

  it('refuses another name, kind, version or uid than that of the path', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    expect((await api.expect(400, 'PUT', inDefault('configmaps', 'a'), configMap('b'))).message).toBe(
      'the name of the object (b) does not match the name on the URL (a)',
    );
    await api.expect(400, 'PUT', inDefault('configmaps', 'a'), pod('a'));
    await api.expect(400, 'PUT', inDefault('configmaps', 'a'), deployment('a'));
    expect((await api.expect(409, 'PUT', inDefault('configmaps', 'a'), configMap('a', {}, { uid: 'x' }))).message).toContain(
      'UID in precondition: x',
    );
    await api.expect(404, 'PUT', inDefault('configmaps', 'b'), configMap('b'));
  });

  it('keeps spec and status apart', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', inDefault('deployments'), { ...deployment('web'), status: { replicas: 7 } });
    expect(made.status?.replicas).toBeUndefined();
    const status = await api.expect(200, 'PUT', inDefault('deployments', 'web', 'status'), {
      ...made,
      spec: { ...made.spec, replicas: 9 },
      status: { replicas: 3 },
    });
    expect([status.spec.replicas, status.status.replicas, status.metadata.generation]).toEqual([1, 3, 1]);
    const spec = await api.expect(200, 'PUT', inDefault('deployments', 'web'), {
      ...status,
      status: { replicas: 99 },
      spec: { ...status.spec, replicas: 2 },
    });
    expect([spec.spec.replicas, spec.status.replicas]).toEqual([2, 3]);
  });
});

describe('patching', () => {
  it('merges lists by key with a strategic merge patch, where a merge patch replaces them', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web'));
    const extra = { spec: { template: { spec: { containers: [{ name: 'side', image: 'busybox' }] } } } };
    const both = await api.expect(200, 'PATCH', inDefault('deployments', 'web'), extra, strategic);
    expect(both.spec.template.spec.containers.map(({ name }: { name: string }) => name).toSorted()).toEqual(['main', 'side']);
    const one = await api.expect(200, 'PATCH', inDefault('deployments', 'web'), extra, merge);
    expect(one.spec.template.spec.containers.map(({ name }: { name: string }) => name)).toEqual(['side']);
  });

  it('keeps other conditions of a status with a strategic merge patch', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    const condition = (type: string) => ({ status: { conditions: [{ type, status: 'True' }] } });
    await api.expect(200, 'PATCH', inDefault('pods', 'p', 'status'), condition('Ready'), strategic);
    const patched = await api.expect(200, 'PATCH', inDefault('pods', 'p', 'status'), condition('PodScheduled'), strategic);
    expect(patched.status.conditions.map(({ type }: { type: string }) => type).toSorted()).toEqual(['PodScheduled', 'Ready']);
  });

  it('applies a JSON patch, and refuses one whose test fails', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', { x: '1' }));
    const patched = await api.expect(
      200,
      'PATCH',
      inDefault('configmaps', 'a'),
      [
        { op: 'test', path: '/data/x', value: '1' },
        { op: 'add', path: '/data/y', value: '2' },
      ],
      jsonPatch,
    );
    expect(patched.data).toEqual({ x: '1', y: '2' });
    const failed = await api.expect(
      422,
      'PATCH',
      inDefault('configmaps', 'a'),
      [
        { op: 'test', path: '/data/x', value: '9' },
        { op: 'remove', path: '/data/x' },
      ],
      jsonPatch,
    );
    expect(failed).toMatchObject({
      reason: 'Invalid',
      message: expect.stringContaining('the server rejected our request due to an error in our request'),
    });
    expect((await api.expect(200, 'GET', inDefault('configmaps', 'a'))).data).toEqual({ x: '1', y: '2' });
  });

  it('refuses a patch of another revision, of another type, and one that is none', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    const path = inDefault('configmaps', 'a');
    await api.expect(409, 'PATCH', path, { metadata: { resourceVersion: '1' }, data: { a: 'b' } }, merge);
    await api.expect(415, 'PATCH', path, {}, { 'content-type': 'application/json' });
    expect((await api.expect(415, 'PATCH', path, {}, { 'content-type': 'application/apply-patch+cbor' })).message).toContain(
      'application/apply-patch+yaml',
    );
    for (const patch of ['{', '[1]', '[{"op":"jump","path":"/a"}]', '[{"op":"add","path":"/__proto__/x","value":1}]']) {
      await api.expect(400, 'PATCH', path, patch, jsonPatch);
    }
    await api.expect(400, 'PATCH', path, '7', merge);
  });
});

describe('deleting', () => {
  it('removes an object at once and says which', async () => {
    const api = await startTestServer();
    const { metadata } = await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    expect(await api.expect(200, 'DELETE', inDefault('configmaps', 'a'))).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: metadata.uid },
    });
    await api.expect(404, 'GET', inDefault('configmaps', 'a'));
    await api.expect(404, 'DELETE', inDefault('configmaps', 'a'));
  });

  it('heeds preconditions', async () => {
    const api = await startTestServer();
    const { metadata } = await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    const path = inDefault('configmaps', 'a');
    expect((await api.expect(409, 'DELETE', path, { preconditions: { uid: 'other' } })).message).toContain(
      'does not match the UID in record',
    );
    await api.expect(409, 'DELETE', path, { preconditions: { resourceVersion: '1' } });
    await api.expect(200, 'DELETE', path, { preconditions: { uid: metadata.uid, resourceVersion: metadata.resourceVersion } });
  });

  it('waits for finalizers, takes no new ones meanwhile, and removes the object with the last', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps', 'a');
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', {}, { finalizers: ['x.io/one', 'x.io/two'] }));
    const going = await api.expect(200, 'DELETE', path);
    expect(going.metadata.deletionTimestamp).toBeDefined();
    await api.expect(422, 'PATCH', path, { metadata: { finalizers: ['x.io/one', 'x.io/two', 'x.io/three'] } }, merge);
    expect((await api.expect(200, 'PATCH', path, { metadata: { finalizers: ['x.io/two'] } }, merge)).metadata.finalizers).toEqual([
      'x.io/two',
    ]);
    await api.expect(200, 'PATCH', path, { metadata: { finalizers: null } }, merge);
    await api.expect(404, 'GET', path);
  });

  it.each([
    ['Foreground', ['foregroundDeletion']],
    ['Orphan', ['orphan']],
  ])('leaves %s deletion to the garbage collector', async (propagationPolicy, finalizers) => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web'));
    const going = await api.expect(200, 'DELETE', inDefault('deployments', 'web'), { propagationPolicy });
    expect(going.metadata).toMatchObject({ finalizers, deletionTimestamp: expect.any(String) });
    await api.expect(200, 'DELETE', inDefault('deployments', 'web'), { propagationPolicy: 'Background' });
    await api.expect(404, 'GET', inDefault('deployments', 'web'));
  });

  it('lets a pod on a node end in its own time, and removes one that has no node at once', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('free'));
    await api.expect(200, 'DELETE', inDefault('pods', 'free'));
    await api.expect(404, 'GET', inDefault('pods', 'free'));

    await api.expect(201, 'POST', inDefault('pods'), pod('bound', { nodeName: 'worker-1', terminationGracePeriodSeconds: 20 }));
    const going = await api.expect(200, 'DELETE', inDefault('pods', 'bound'));
    expect(going.metadata.deletionGracePeriodSeconds).toBe(20);
    const until = Date.parse(going.metadata.deletionTimestamp) - Date.now();
    expect(until).toBeGreaterThan(15_000);
    // Asking again changes nothing; asking for less time does.
    expect((await api.expect(200, 'DELETE', inDefault('pods', 'bound'))).metadata).toEqual(going.metadata);
    expect(
      (await api.expect(200, 'DELETE', inDefault('pods', 'bound'), { gracePeriodSeconds: 5 })).metadata.deletionGracePeriodSeconds,
    ).toBe(5);
    await api.expect(200, 'DELETE', inDefault('pods', 'bound'), { gracePeriodSeconds: 0 });
    await api.expect(404, 'GET', inDefault('pods', 'bound'));
  });

  it('deletes what selectors match of a collection', async () => {
    const api = await startTestServer();
    for (const [name, app] of [
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
    ] as const) {
      await api.expect(201, 'POST', inDefault('configmaps'), configMap(name, {}, { labels: { app } }));
    }
    const list = await api.expect(200, 'DELETE', `${inDefault('configmaps')}?labelSelector=app%3Dx`);
    expect(list.items).toHaveLength(2);
    expect(
      (await api.expect(200, 'GET', inDefault('configmaps'))).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name),
    ).toEqual(['c']);
  });

  it('deletes nothing on a dry run', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    await api.expect(200, 'DELETE', `${inDefault('configmaps', 'a')}?dryRun=All`);
    await api.expect(200, 'DELETE', inDefault('configmaps', 'a'), { dryRun: ['All'] });
    await api.expect(200, 'GET', inDefault('configmaps', 'a'));
  });
});

describe('namespaces', () => {
  it('exist from the start and protect themselves', async () => {
    const api = await startTestServer();
    const { items } = await api.expect(200, 'GET', '/api/v1/namespaces');
    expect(items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
    expect((await api.expect(403, 'DELETE', '/api/v1/namespaces/default')).message).toBe(
      'namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });

  it('take nothing new once they end, and go when they are finalized', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } });
    const going = await api.expect(200, 'DELETE', '/api/v1/namespaces/team');
    expect(going.status.phase).toBe('Terminating');
    const refused = await api.expect(403, 'POST', '/api/v1/namespaces/team/configmaps', configMap('a'));
    expect(refused.message).toBe(
      'configmaps "a" is forbidden: unable to create new content in namespace team because it is being terminated',
    );
    expect(refused.details.causes[0].reason).toBe('NamespaceTerminating');
    await api.expect(409, 'DELETE', '/api/v1/namespaces/team');
    await api.expect(200, 'PUT', '/api/v1/namespaces/team/finalize', { ...going, spec: { finalizers: [] } });
    await api.expect(404, 'GET', '/api/v1/namespaces/team');
  });
});

describe('subresources', () => {
  it('scale reads and writes the replicas', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web', 2));
    const path = inDefault('deployments', 'web', 'scale');
    const scale = await api.expect(200, 'GET', path);
    expect(scale).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 2 },
      status: { replicas: 0, selector: 'app=web' },
    });
    expect((await api.expect(200, 'PATCH', path, { spec: { replicas: 4 } }, merge)).spec.replicas).toBe(4);
    await api.expect(409, 'PUT', path, { ...scale, spec: { replicas: 9 } });
    await api.expect(422, 'PATCH', path, { spec: { replicas: -1 } }, merge);
    const { spec, metadata } = await api.expect(200, 'GET', inDefault('deployments', 'web'));
    expect([spec.replicas, metadata.generation]).toEqual([4, 2]);
  });

  it('binding gives a pod to one node, once', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    const binding = (node: string) => ({
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'p' },
      target: { kind: 'Node', name: node },
    });
    const codes = await Promise.all(
      ['a', 'b', 'c'].map(async (node) => (await api.call('POST', inDefault('pods', 'p', 'binding'), binding(node))).code),
    );
    expect(codes.toSorted()).toEqual([201, 409, 409]);
    const bound = await api.expect(200, 'GET', inDefault('pods', 'p'));
    expect(bound.spec.nodeName).toMatch(/^[abc]$/);
    expect(bound.status.conditions).toContainEqual(expect.objectContaining({ type: 'PodScheduled', status: 'True' }));
    const again = await api.expect(409, 'POST', inDefault('pods', 'p', 'binding'), binding('d'));
    expect(again.message).toBe(
      `Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "${bound.spec.nodeName}"`,
    );
    await api.expect(422, 'POST', inDefault('pods', 'p', 'binding'), { ...binding('d'), target: {} });
  });

  it('eviction deletes the pod', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    await api.expect(201, 'POST', inDefault('pods', 'p', 'eviction'), {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'p' },
    });
    await api.expect(404, 'GET', inDefault('pods', 'p'));
  });

  it('says which are not there', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    const later = await api.expect(501, 'GET', inDefault('pods', 'p', 'ephemeralcontainers'));
    expect([later.reason, later.message]).toEqual([
      'NotImplemented',
      expect.stringContaining('pods/ephemeralcontainers is not supported by this server'),
    ]);
    await api.expect(404, 'GET', inDefault('pods', 'p', 'nonsense'));
    await api.expect(405, 'DELETE', inDefault('pods', 'p', 'status'));
    await api.expect(405, 'POST', '/api/v1/pods', pod('q'));
    await api.expect(404, 'GET', '/api/v1/nonsense');
    await api.expect(404, 'GET', '/apis/none.io/v1/things');
  });
});
