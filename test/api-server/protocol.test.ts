import { describe, expect, it } from 'vitest';
import { configMap, inDefault, startTestServer } from './harness.ts';
import { createMemoryStore } from '../../src/storage/index.ts';
import { protocolCases } from './protocol-cases.ts';

describe('what a real API server answers', () => {
  it('is what this one answers', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    const wrong: string[] = [];
    for (const { request, body, type = 'application/json', accept, code, says, reason } of protocolCases) {
      const [method = '', path = ''] = request.replace('{cm}', inDefault('configmaps')).split(' ');
      const headers = { ...(body === undefined ? {} : { 'content-type': type }), ...(accept && { accept }) };
      const answer = await api.call(method, path, body, headers);
      const told = typeof answer.body === 'string' ? answer.body : (answer.body.message ?? '');
      const is = answer.code === code && (!says || told.includes(says)) && (!reason || answer.body.reason === reason);
      const isStatus = code < 400 || (answer.body.kind === 'Status' && answer.body.code === code);
      if (!is || !isStatus) wrong.push(`${request} ${JSON.stringify(body) ?? ''}: ${answer.code} ${told}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe('paths of the server itself', () => {
  it('are listed at the root', async () => {
    const api = await startTestServer();
    const { paths } = await api.expect(200, 'GET', '/');
    expect(paths).toEqual(expect.arrayContaining(['/api/v1', '/apis/apps/v1', '/livez/ping', '/metrics', '/openapi/v3', '/version']));
  });

  it('tell health in one word, check by check, and without checks that are excluded', async () => {
    const api = await startTestServer();
    expect(await api.expect(200, 'GET', '/healthz')).toBe('ok');
    expect(await api.expect(200, 'GET', '/livez/ping')).toBe('ok');
    expect(await api.expect(200, 'GET', '/readyz?verbose')).toMatch(/^\[\+\]ping ok\n(\[\+\][-\w]+ ok\n)*readyz check passed\n$/);
    const partly = await api.expect(200, 'GET', '/readyz?verbose&exclude=storage&exclude=none');
    expect(partly).toContain('[+]storage excluded: ok\n');
    expect(partly).toContain('warn: some health checks cannot be excluded: no matches for "none"\nreadyz check passed');
    await api.expect(404, 'GET', '/livez/none');
  });

  it('count requests, watches and objects under the reference’s names', async () => {
    const api = await startTestServer();
    const watch = await api.watch(`${inDefault('configmaps')}?watch=1`);
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    await watch.next();
    const text: string = await api.expect(200, 'GET', '/metrics');
    expect(text).toContain('apiserver_storage_objects{resource="configmaps"} 1');
    expect(text).toMatch(
      /apiserver_request_total\{verb="POST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",component="apiserver",dry_run="",code="201"\} 1/,
    );
    expect(text).toMatch(/apiserver_longrunning_requests\{verb="WATCH",[^}]*resource="configmaps"[^}]*\} 1/);
    expect(text).toContain('apiserver_registered_watchers{group="",version="v1",kind="ConfigMap"} 1');
    watch.stop();
  });
});

describe('lists', () => {
  it('ignore the limit at revision 0, and give a page of just the revision that is named', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps');
    for (const name of ['a', 'b', 'c']) await api.expect(201, 'POST', path, configMap(name));
    const named = (list: { items: { metadata: { name: string } }[] }): string => list.items.map(({ metadata }) => metadata.name).join('');
    expect(named(await api.expect(200, 'GET', `${path}?limit=1&resourceVersion=0`))).toBe('abc');
    const { resourceVersion } = (await api.expect(200, 'GET', path)).metadata;
    await api.expect(200, 'DELETE', `${path}/a`);
    expect(named(await api.expect(200, 'GET', `${path}?limit=2&resourceVersion=${resourceVersion}`))).toBe('ab');
    expect(named(await api.expect(200, 'GET', `${path}?resourceVersion=${resourceVersion}`))).toBe('bc');
  });

  it('go on where they were with the token that an expired one is answered with', async () => {
    const api = await startTestServer({}, createMemoryStore({ historyRevisions: 50 }));
    const path = inDefault('configmaps');
    for (const name of ['a', 'b', 'c']) await api.expect(201, 'POST', path, configMap(name));
    const { metadata } = await api.expect(200, 'GET', `${path}?limit=1`);
    for (let i = 0; i < 120; i++) await api.expect(200, 'PUT', `${path}/c`, configMap('c', { i: String(i) }));
    const expired = await api.expect(410, 'GET', `${path}?limit=1&continue=${metadata.continue}`);
    expect(expired).toMatchObject({ reason: 'Expired', metadata: { continue: expect.any(String) } });
    const rest = await api.expect(200, 'GET', `${path}?continue=${expired.metadata.continue}`);
    expect(rest.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['b', 'c']);
  });

  it('are compressed when they are large and the client takes it so', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps');
    await api.expect(201, 'POST', path, configMap('large', { text: 'x'.repeat(200_000) }));
    const encoded = (await api.call('GET', path, undefined, { 'accept-encoding': 'gzip' })).headers;
    expect([encoded.get('content-encoding'), encoded.get('vary')]).toEqual(['gzip', 'Accept-Encoding']);
    expect((await api.call('GET', path, undefined, { 'accept-encoding': 'identity' })).headers.get('content-encoding')).toBeNull();
  });
});

describe('watches', () => {
  it('may begin in the future, and are quiet until then', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps');
    const now = api.store.revision();
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${now + 1}`);
    await api.expect(201, 'POST', path, configMap('unseen'));
    await api.expect(201, 'POST', path, configMap('seen'));
    expect((await watch.next()).object.metadata.name).toBe('seen');
  });

  it('are there under their old path, of one object too', async () => {
    const api = await startTestServer();
    const path = inDefault('configmaps');
    for (const name of ['a', 'b']) await api.expect(201, 'POST', path, configMap(name));
    const watch = await api.watch('/api/v1/watch/namespaces/default/configmaps/b');
    expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } });
  });
});

describe('OpenAPI', () => {
  it('is there as v2 in JSON and protobuf, and tells by its tag whether it changed', async () => {
    const api = await startTestServer();
    const { body, headers } = await api.call('GET', '/openapi/v2');
    expect(body.paths['/api/v1/namespaces/{namespace}/pods/{name}'].get.responses['200'].schema).toEqual({
      $ref: '#/definitions/io.k8s.api.core.v1.Pod',
    });
    expect(body.definitions['io.k8s.api.core.v1.Pod'].properties.spec).toEqual({ $ref: '#/definitions/io.k8s.api.core.v1.PodSpec' });
    const again = await fetch(`${api.url}/openapi/v2`, { headers: { 'if-none-match': headers.get('etag')! } });
    expect(again.status).toBe(304);
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const binary = await fetch(`${api.url}/openapi/v2`, { headers: { accept } });
    expect(binary.headers.get('content-type')).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    await api.expect(406, 'GET', '/openapi/v2', undefined, { accept: 'text/html' });
    await api.expect(404, 'GET', '/openapi/v3/apis/none/v1');
  });
});
