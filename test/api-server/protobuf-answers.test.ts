import { describe, expect, it } from 'vitest';
import { type AnyObject, decodeKubernetesProtobuf, encodeKubernetesProtobuf } from '../../src/objects/index.ts';
import { configMap, deployment, inDefault, startTestServer, type TestServer } from './harness.ts';

const protobuf = 'application/vnd.kubernetes.protobuf';

async function read(api: TestServer, path: string, accept: string): Promise<{ type: string | null; code: number; object: AnyObject }> {
  const response = await fetch(api.url + path, { headers: { accept } });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { type: response.headers.get('content-type'), code: response.status, object: decodeKubernetesProtobuf(bytes) };
}

describe('answers in protobuf', () => {
  it('say what the answers in JSON say: objects, lists, errors, and metadata alone', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('deployments'), deployment('web', 3));
    for (const path of [inDefault('deployments', 'web'), inDefault('deployments'), inDefault('deployments', 'web', 'scale')]) {
      const { type, object } = await read(api, path, `${protobuf},application/json;q=0.5`);
      expect(type).toBe(protobuf);
      const json = await api.expect(200, 'GET', path);
      expect([object.kind, object.metadata, object.spec?.replicas]).toEqual([json.kind, json.metadata, json.spec?.replicas]);
    }
    const { code, object: status } = await read(api, inDefault('deployments', 'none'), protobuf);
    expect([code, status]).toMatchObject([404, { kind: 'Status', reason: 'NotFound', message: 'deployments.apps "none" not found' }]);
    const accept = `${protobuf};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`;
    const { object: list } = await read(api, inDefault('deployments'), accept);
    expect(list).toMatchObject({ kind: 'PartialObjectMetadataList', items: [{ metadata: { name: 'web' } }] });
    expect(list['items'][0].spec).toBeUndefined();
  });

  it('are not given where JSON is preferred, nor for tables', async () => {
    const api = await startTestServer();
    for (const accept of [
      `application/json,${protobuf}`,
      `${protobuf};q=0.1,application/json`,
      `${protobuf};as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io`,
    ]) {
      const { headers } = await api.call('GET', inDefault('configmaps'), undefined, { accept });
      expect(headers.get('content-type')).toMatch(/^application\/json/);
    }
    await api.expect(406, 'GET', inDefault('configmaps'), undefined, { accept: `${protobuf};as=Table;v=v1;g=meta.k8s.io` });
  });

  it('answer to what was written in protobuf', async () => {
    const api = await startTestServer();
    const body = encodeKubernetesProtobuf(configMap('a', { key: 'value' }));
    const response = await fetch(api.url + inDefault('configmaps'), {
      method: 'POST',
      headers: { 'content-type': protobuf, accept: protobuf },
      body: Buffer.from(body),
    });
    expect(response.status).toBe(201);
    const object = decodeKubernetesProtobuf(new Uint8Array(await response.arrayBuffer()));
    expect(object).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'a', uid: expect.any(String) }, data: { key: 'value' } });
  });
});

/** Splits a watch into its events: four bytes of length, then meta/v1 WatchEvent, read by hand. */
function readFrames(bytes: Buffer): { type: string; object: AnyObject }[] {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const frame = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
    at += 4 + frame.length;
    const type = frame.subarray(2, 2 + frame[1]!).toString();
    expect([frame[0], frame[2 + frame[1]!]]).toEqual([0x0a, 0x12]);
    frames.push({ type, object: decodeKubernetesProtobuf(frame.subarray(frame.indexOf('k8s\0'))) });
  }
  return frames;
}

describe('watches in protobuf', () => {
  it('are frames with a length each, bookmarks and errors too', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a', { key: 'ä'.repeat(300) }));
    const query = 'watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan';
    const response = await fetch(`${api.url}${inDefault('configmaps')}?${query}`, { headers: { accept: protobuf } });
    expect(response.headers.get('content-type')).toBe(`${protobuf};stream=watch`);
    const [added, bookmark, ...others] = readFrames(Buffer.from(await response.arrayBuffer()));
    expect(added).toMatchObject({ type: 'ADDED', object: { kind: 'ConfigMap', data: { key: 'ä'.repeat(300) } } });
    expect(bookmark).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'ConfigMap', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    expect(others).toEqual([]);
  });
});
