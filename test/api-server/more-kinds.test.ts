import { describe, expect, it } from 'vitest';
import { inDefault, pod, startTestServer, type TestServer } from './harness.ts';

const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
const mergePatch = { 'content-type': 'application/merge-patch+json' };
const newEvents = '/apis/events.k8s.io/v1/namespaces/default/events';

const newEvent = (name: string, more: object = {}) => ({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  metadata: { name },
  eventTime: '2026-01-02T03:04:05.000006Z',
  regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
  reason: 'Began',
  note: 'it began',
  type: 'Normal',
  action: 'Begin',
  reportingController: 'example.com/agent',
  reportingInstance: 'agent-1',
  ...more,
});

describe('events of both groups', () => {
  it('are one object under two names', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', newEvents, newEvent('a'));
    expect(made).toMatchObject({ apiVersion: 'events.k8s.io/v1', note: 'it began', reportingController: 'example.com/agent' });
    const core = await api.expect(200, 'GET', inDefault('events', 'a'));
    expect(core).toMatchObject({
      apiVersion: 'v1',
      metadata: { uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion },
      involvedObject: { kind: 'Pod', name: 'p' },
      message: 'it began',
      reportingComponent: 'example.com/agent',
    });
    expect([core.note, core.regarding, made.message]).toEqual([undefined, undefined, undefined]);
    await api.expect(409, 'POST', newEvents, newEvent('a'));
    await api.expect(200, 'DELETE', `${newEvents}/a`);
    await api.expect(404, 'GET', inDefault('events', 'a'));
  });

  it('are patched, selected and watched in either form', async () => {
    const api = await startTestServer();
    const inNew = await api.watch(`${newEvents}?watch=1&fieldSelector=regarding.name%3Dp,reportingController%3Dexample.com/agent`);
    const inCore = await api.watch(`${inDefault('events')}?watch=1&fieldSelector=involvedObject.name%3Dp`);
    await api.expect(201, 'POST', newEvents, newEvent('a'));
    await api.expect(201, 'POST', newEvents, newEvent('other', { regarding: { kind: 'Pod', name: 'q', namespace: 'default' } }));
    const series = { series: { count: 2, lastObservedTime: '2026-01-02T03:05:00.000000Z' } };
    const patched = await api.expect(200, 'PATCH', `${newEvents}/a`, series, { 'content-type': 'application/strategic-merge-patch+json' });
    expect(patched).toMatchObject({ apiVersion: 'events.k8s.io/v1', ...series, note: 'it began' });
    for (const [watch, field] of [
      [inNew, 'note'],
      [inCore, 'message'],
    ] as const) {
      expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' }, [field]: 'it began' } });
      expect(await watch.next()).toMatchObject({ type: 'MODIFIED', object: { series: { count: 2 } } });
    }
    const printed = await api.expect(200, 'GET', newEvents, undefined, table);
    expect(printed.rows.map(({ cells }: { cells: unknown[] }) => [cells[3], cells[6]])).toEqual([
      ['pod/p', 'it began'],
      ['pod/q', 'it began'],
    ]);
  });

  it('are judged by the rules of the form they come in', async () => {
    const api = await startTestServer();
    const refused = await api.expect(422, 'POST', newEvents, newEvent('a', { type: 'Odd', deprecatedCount: 3, series: { count: 1 } }));
    expect(refused.details.causes.map(({ field }: { field: string }) => field)).toEqual([
      ...['series.count', 'series.lastObservedTime', 'type', 'count'],
    ]);
    await api.expect(201, 'POST', newEvents, newEvent('b'));
    const changed = await api.expect(422, 'PATCH', `${newEvents}/b`, { note: 'another' }, mergePatch);
    expect(changed.message).toContain('message: Invalid value: "another": field is immutable');
    // The old form may say what it likes.
    await api.expect(200, 'PATCH', inDefault('events', 'b'), { message: 'another' }, mergePatch);
  });
});

describe('storage.k8s.io', () => {
  it('has the volume drivers of nodes, which stay as they are while they are there', async () => {
    const api = await startTestServer();
    const path = '/apis/storage.k8s.io/v1/csinodes';
    const driver = { name: 'a.example.com', nodeID: 'n1', topologyKeys: ['example.com/zone'] };
    const made = await api.expect(201, 'POST', path, { metadata: { name: 'worker' }, spec: { drivers: [driver] } });
    await api.expect(422, 'PUT', `${path}/worker`, { metadata: { name: 'worker' }, spec: { drivers: [driver] } });
    const changed = { ...made, spec: { drivers: [{ ...driver, nodeID: 'n2' }] } };
    expect((await api.expect(422, 'PUT', `${path}/worker`, changed)).message).toContain('CSINodeDriver: Invalid value');
    await api.expect(200, 'PUT', `${path}/worker`, { ...made, spec: { drivers: [driver, { name: 'b', nodeID: 'x' }] } });
    const printed = await api.expect(200, 'GET', `${path}/worker`, undefined, table);
    expect(printed.rows[0].cells.slice(0, 2)).toEqual(['worker', 2]);
    expect(await api.expect(200, 'DELETE', `${path}/worker`)).toMatchObject({ kind: 'CSINode', metadata: { name: 'worker' } });
  });

  it('has volume drivers with defaults', async () => {
    const api = await startTestServer();
    const path = '/apis/storage.k8s.io/v1/csidrivers';
    const made = await api.expect(201, 'POST', path, { metadata: { name: 'a.example.com' }, spec: {} });
    expect(made.spec).toMatchObject({ attachRequired: true, podInfoOnMount: false, volumeLifecycleModes: ['Persistent'] });
    const fixed = await api.expect(422, 'PUT', `${path}/a.example.com`, { ...made, spec: { ...made.spec, attachRequired: false } });
    expect(fixed.message).toContain('spec.attachedRequired: Invalid value: false: field is immutable');
    const wrong = { fsGroupPolicy: 'Some', volumeLifecycleModes: ['Ever'] };
    const refused = await api.expect(422, 'POST', path, { metadata: { name: 'b' }, spec: wrong });
    expect(refused.details.causes.map(({ message }: { message: string }) => message)).toEqual([
      'Unsupported value: "Some": supported values: "File", "None", "ReadWriteOnceWithFSType"',
      'Unsupported value: "Ever": supported values: "Persistent", "Ephemeral"',
    ]);
  });
});

describe('pods', () => {
  const create = (api: TestServer, code: number, spec: object) => api.expect(code, 'POST', inDefault('pods'), pod('p', spec));

  it('get what their runtime class says of overhead and nodes', async () => {
    const api = await startTestServer();
    expect((await create(api, 403, { runtimeClassName: 'none' })).message).toBe(
      'pods "p" is forbidden: pod rejected: RuntimeClass "none" not found',
    );
    const scheduling = { nodeSelector: { vm: 'yes' }, tolerations: [{ key: 'vm', operator: 'Exists' }] };
    const kind = { metadata: { name: 'vm' }, handler: 'kata', overhead: { podFixed: { memory: '1024Mi' } }, scheduling };
    await api.expect(201, 'POST', '/apis/node.k8s.io/v1/runtimeclasses', kind);
    const made = await create(api, 201, { runtimeClassName: 'vm' });
    expect(made.spec).toMatchObject({ overhead: { memory: '1Gi' }, nodeSelector: { vm: 'yes' } });
    expect(made.spec.tolerations).toContainEqual(scheduling.tolerations[0]);
    const clash = pod('q', { runtimeClassName: 'vm', nodeSelector: { vm: 'no' } });
    expect((await api.expect(403, 'POST', inDefault('pods'), clash)).message).toContain(
      'conflict: runtimeClass.scheduling.nodeSelector[vm] = yes',
    );
  });

  it('have the priority of their class, of which there are two', async () => {
    const api = await startTestServer();
    expect((await create(api, 201, { priorityClassName: 'system-node-critical' })).spec.priority).toBe(2_000_001_000);
    const { message } = await create(api, 403, { priorityClassName: 'high' });
    expect(message).toBe('pods "p" is forbidden: no PriorityClass with name high was found');
    expect((await create(api, 403, { priority: 7 })).message).toContain(
      'the integer value of priority (7) must not be provided in pod spec',
    );
  });

  it('can be replaced without the tolerations that they were given', async () => {
    const api = await startTestServer();
    await create(api, 201, {});
    await api.expect(200, 'PUT', inDefault('pods', 'p'), pod('p', {}, { labels: { a: 'b' } }));
  });
});

it('a lease may be let go by a holder with an empty name, as client-go does', async () => {
  const api = await startTestServer();
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
  const made = await api.expect(201, 'POST', path, { metadata: { name: 'a' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 15 } });
  await api.expect(200, 'PUT', `${path}/a`, { ...made, spec: { holderIdentity: '', leaseDurationSeconds: 1 } });
});

it('a kind that is only listed is named with all that it is known by', async () => {
  const api = await startTestServer();
  const { resources } = await api.expect(200, 'GET', '/apis/apps/v1');
  const names = resources.map(({ name }: { name: string }) => name);
  expect(names).toEqual(names.toSorted());
  expect(resources).toContainEqual(expect.objectContaining({ name: 'deployments', storageVersionHash: '8aSe+NMegvE=' }));
});
