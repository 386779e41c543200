import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/storage/index.ts';
import { configMap, deployment, inDefault, pod, startTestServer, type TestServer } from './harness.ts';

const namesOf = (list: { items: { metadata: { name: string } }[] }) => list.items.map(({ metadata }) => metadata.name);
const tableAccept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };

async function withConfigMaps(count: number, api?: TestServer): Promise<TestServer> {
  api ??= await startTestServer();
  for (let i = 0; i < count; i++)
    await api.expect(
      201,
      'POST',
      inDefault('configmaps'),
      configMap(`c${i}`, { n: String(i) }, { labels: { parity: i % 2 ? 'odd' : 'even' } }),
    );
  return api;
}

describe('listing', () => {
  it('answers items in order, without their own kind, at one revision', async () => {
    const api = await withConfigMaps(3);
    const list = await api.expect(200, 'GET', inDefault('configmaps'));
    expect(list).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
    expect(namesOf(list)).toEqual(['c0', 'c1', 'c2']);
    expect(list.items[0].kind).toBeUndefined();
    expect(list.metadata.resourceVersion).toBe(list.items[2].metadata.resourceVersion);
    expect(namesOf(await api.expect(200, 'GET', '/api/v1/configmaps'))).toEqual(['c0', 'c1', 'c2']);
    expect(namesOf(await api.expect(200, 'GET', '/api/v1/namespaces/kube-system/configmaps'))).toEqual([]);
  });

  it('selects by labels and fields', async () => {
    const api = await withConfigMaps(4);
    expect(namesOf(await api.expect(200, 'GET', `${inDefault('configmaps')}?labelSelector=parity+in+(odd)`))).toEqual(['c1', 'c3']);
    expect(
      namesOf(await api.expect(200, 'GET', `${inDefault('configmaps')}?labelSelector=parity%3Deven&fieldSelector=metadata.name!%3Dc0`)),
    ).toEqual(['c2']);
    await api.expect(201, 'POST', inDefault('pods'), pod('p', { nodeName: 'worker-1' }));
    expect(namesOf(await api.expect(200, 'GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1'))).toEqual(['p']);
    expect(namesOf(await api.expect(200, 'GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-2'))).toEqual([]);
    await api.expect(400, 'GET', '/api/v1/pods?fieldSelector=spec.nonsense%3Dx');
    await api.expect(400, 'GET', '/api/v1/pods?labelSelector=a%20b');
  });

  it('pages through one snapshot whatever is written meanwhile', async () => {
    const api = await withConfigMaps(5);
    const first = await api.expect(200, 'GET', `${inDefault('configmaps')}?limit=2`);
    expect(first.metadata.remainingItemCount).toBe(3);
    await api.expect(200, 'DELETE', inDefault('configmaps', 'c3'));
    await api.expect(200, 'PUT', inDefault('configmaps', 'c2'), configMap('c2', { n: 'changed' }));
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('c25'));
    const second = await api.expect(200, 'GET', `${inDefault('configmaps')}?limit=2&continue=${first.metadata.continue}`);
    expect(namesOf(second)).toEqual(['c2', 'c3']);
    expect(second.items[0].data.n).toBe('2');
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const third = await api.expect(200, 'GET', `${inDefault('configmaps')}?limit=2&continue=${second.metadata.continue}`);
    expect(namesOf(third)).toEqual(['c4']);
    expect(third.metadata.continue).toBeUndefined();
    await api.expect(400, 'GET', `${inDefault('configmaps')}?limit=2&continue=nonsense`);
  });

  it('tells that a page is too old once its revision is compacted', async () => {
    const api = await startTestServer({}, createMemoryStore({ historyRevisions: 100 }));
    await withConfigMaps(3, api);
    const first = await api.expect(200, 'GET', `${inDefault('configmaps')}?limit=1`);
    for (let i = 0; i < 150; i++) await api.expect(200, 'PUT', inDefault('configmaps', 'c0'), configMap('c0', { i: String(i) }));
    expect(await api.expect(410, 'GET', `${inDefault('configmaps')}?limit=1&continue=${first.metadata.continue}`)).toMatchObject({
      reason: 'Expired',
    });
    const exact = `resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`;
    expect(await api.expect(410, 'GET', `${inDefault('configmaps')}?${exact}`)).toMatchObject({ reason: 'Expired' });
  });

  it('means by resourceVersion what the reference means', async () => {
    const api = await withConfigMaps(2);
    const path = inDefault('configmaps');
    const { metadata } = await api.expect(200, 'GET', path);
    await api.expect(200, 'DELETE', inDefault('configmaps', 'c0'));
    const rv = metadata.resourceVersion;
    expect(namesOf(await api.expect(200, 'GET', `${path}?resourceVersion=${rv}&resourceVersionMatch=Exact`))).toEqual(['c0', 'c1']);
    expect(namesOf(await api.expect(200, 'GET', `${path}?resourceVersion=${rv}&resourceVersionMatch=NotOlderThan`))).toEqual(['c1']);
    expect(namesOf(await api.expect(200, 'GET', `${path}?resourceVersion=0`))).toEqual(['c1']);
    for (const query of [
      'resourceVersionMatch=Exact',
      'resourceVersion=0&resourceVersionMatch=Exact',
      'resourceVersion=1&resourceVersionMatch=No',
      'sendInitialEvents=true',
    ]) {
      await api.expect(422, 'GET', `${path}?${query}`);
    }
    await api.expect(400, 'GET', `${path}?resourceVersion=abc`);
    await api.expect(400, 'GET', `${path}?limit=some`);
    // Less than nothing is no limit, as in the reference.
    await api.expect(200, 'GET', `${path}?limit=-1`);
  });

  it('waits a little for a revision that has not come, then says so', { timeout: 15_000 }, async () => {
    const api = await withConfigMaps(1);
    const revision = api.store.revision();
    const early = api.expect(200, 'GET', `${inDefault('configmaps')}?resourceVersion=${revision + 1}`);
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('later'));
    expect(namesOf(await early)).toEqual(['c0', 'later']);
    const never = await api.call('GET', `${inDefault('configmaps', 'c0')}?resourceVersion=${revision + 1_000}`);
    expect(never).toMatchObject({
      code: 504,
      body: { reason: 'Timeout', details: { retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge' }] } },
    });
    expect(never.headers.get('retry-after')).toBe('1');
  });
});

describe('forms of answers', () => {
  it('prints tables, with as much of each object as asked for', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web', 3));
    const table = await api.expect(200, 'GET', inDefault('deployments'), undefined, tableAccept);
    expect(table).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    expect(table.columnDefinitions.slice(0, 5).map(({ name }: { name: string }) => name)).toEqual([
      'Name',
      'Ready',
      'Up-to-date',
      'Available',
      'Age',
    ]);
    expect(table.columnDefinitions.find(({ name }: { name: string }) => name === 'Images').priority).toBe(1);
    expect(table.rows[0].cells.slice(0, 4)).toEqual(['web', '0/3', 0, 0]);
    expect(table.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'web' } });
    const whole = await api.expect(200, 'GET', `${inDefault('deployments', 'web')}?includeObject=Object`, undefined, tableAccept);
    expect(whole.rows[0].object.kind).toBe('Deployment');
    const bare = await api.expect(200, 'GET', `${inDefault('deployments')}?includeObject=None`, undefined, tableAccept);
    expect(bare.rows[0].object).toBeNull();
  });

  it('answers metadata alone, and YAML', async () => {
    const api = await withConfigMaps(1);
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const list = await api.expect(200, 'GET', inDefault('configmaps'), undefined, { accept });
    expect(list).toMatchObject({ kind: 'PartialObjectMetadataList', items: [{ kind: 'PartialObjectMetadata', metadata: { name: 'c0' } }] });
    expect(list.items[0].data).toBeUndefined();
    expect(await api.expect(200, 'GET', inDefault('configmaps', 'c0'), undefined, { accept: 'application/yaml' })).toContain(
      '\nkind: ConfigMap\n'.trimStart(),
    );
  });
});

describe('discovery', () => {
  it('is there in the old form', async () => {
    const api = await startTestServer();
    expect((await api.expect(200, 'GET', '/api')).versions).toEqual(['v1']);
    const groups = (await api.expect(200, 'GET', '/apis')).groups.map(({ name }: { name: string }) => name);
    expect(groups).toEqual(expect.arrayContaining(['apps', 'discovery.k8s.io', 'networking.k8s.io', 'coordination.k8s.io']));
    const core = await api.expect(200, 'GET', '/api/v1');
    expect(core.resources).toContainEqual(expect.objectContaining({ name: 'pods', kind: 'Pod', namespaced: true, shortNames: ['po'] }));
    expect(core.resources).toContainEqual(
      expect.objectContaining({ name: 'pods/eviction', group: 'policy', version: 'v1', kind: 'Eviction' }),
    );
    const apps = await api.expect(200, 'GET', '/apis/apps/v1');
    expect(apps.resources).toContainEqual(expect.objectContaining({ name: 'deployments/scale', group: 'autoscaling', kind: 'Scale' }));
    expect((await api.expect(200, 'GET', '/apis/apps')).preferredVersion.groupVersion).toBe('apps/v1');
    for (const path of ['/apis/none', '/apis/apps/v9', '/api/v9', '/nonsense']) await api.expect(404, 'GET', path);
  });

  it.each(['v2', 'v2beta1'])('is there in one answer as %s', async (version) => {
    const api = await startTestServer();
    const accept = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`;
    const { body, headers } = await api.call('GET', '/apis', undefined, { accept });
    expect(headers.get('content-type')).toBe(`application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
    const apps = body.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === 'apps');
    expect(apps.versions[0].resources).toContainEqual(
      expect.objectContaining({ resource: 'deployments', scope: 'Namespaced', shortNames: ['deploy'] }),
    );
    const core = (await api.call('GET', '/api', undefined, { accept })).body;
    expect(core.items).toHaveLength(1);
  });

  it('includes OpenAPI: v3 by hash, v2 in protobuf for older kubectls', async () => {
    const api = await startTestServer();
    const { paths } = await api.expect(200, 'GET', '/openapi/v3');
    const document = await api.expect(200, 'GET', paths['apis/apps/v1'].serverRelativeURL);
    const patch = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch;
    expect(Object.keys(patch.requestBody.content)).toContain('application/strategic-merge-patch+json');
    const v2 = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    expect((await api.call('GET', '/openapi/v2', undefined, { accept: v2 })).headers.get('content-type')).toBe(v2.replace('@', '.'));
    await api.expect(404, 'GET', '/openapi/v3/apis/none/v1');
  });
});

describe('the server itself', () => {
  it('tells health, version and metrics', async () => {
    const api = await startTestServer();
    for (const path of ['/healthz', '/livez', '/readyz']) expect(await api.expect(200, 'GET', path)).toBe('ok');
    expect(await api.expect(200, 'GET', '/readyz?verbose')).toContain('[+]storage ok\n');
    expect(await api.expect(200, 'GET', '/version')).toMatchObject({ major: '1', gitVersion: expect.stringMatching(/^v1\.\d+\.\d+/) });
    await withConfigMaps(2, api);
    await api.expect(404, 'GET', inDefault('pods', 'none'));
    const metrics = await api.expect(200, 'GET', '/metrics');
    expect(metrics).toMatch(/apiserver_request_total\{verb="POST",group="",version="v1",resource="configmaps".*code="201"\} 2/);
    expect(metrics).toMatch(/apiserver_request_total\{verb="GET",.*resource="pods".*code="404"\} 1/);
    expect(metrics).toMatch(/apiserver_storage_objects\{resource="configmaps"\} 2/);
    for (const name of [
      'apiserver_request_duration_seconds_bucket',
      'etcd_mvcc_db_total_size_in_bytes',
      'etcd_debugging_mvcc_current_revision',
    ])
      expect(metrics).toContain(name);
  });
});
