import { expect, it } from 'vitest';
import { checkObjects } from '../../src/api-server/fsck/index.ts';
import type { StoredValue } from '../../src/storage/index.ts';
import { createMemoryStore } from '../../src/storage/index.ts';
import { configMap, inDefault, pod, startTestServer } from './harness.ts';

let next = 0;
const stored = (key: string, object: object | string): StoredValue => {
  const revision = ++next;
  return {
    key: `/registry/${key}`,
    value: typeof object === 'string' ? object : JSON.stringify(object),
    createRevision: revision,
    modRevision: revision,
  };
};

const made = (kind: string, apiVersion: string, metadata: object, more: object = {}): object => ({
  kind,
  apiVersion,
  metadata: { uid: `uid-${++next}`, creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
  ...more,
});
const namespace = (name: string) => stored(`namespaces/${name}`, made('Namespace', 'v1', { name }));
const config = (name: string, more: object = {}) =>
  stored(`configmaps/default/${name}`, made('ConfigMap', 'v1', { name, namespace: 'default', ...more }));
const service = (name: string, clusterIP: string, nodePort?: number) =>
  stored(
    `services/default/${name}`,
    made(
      'Service',
      'v1',
      { name, namespace: 'default' },
      { spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, nodePort }] } },
    ),
  );

const problems = (...values: StoredValue[]) =>
  checkObjects([namespace('default'), ...values]).findings.map(({ severity, key, problem }) => `${severity} ${key} ${problem}`);

it('finds nothing wrong in what a server has written', async () => {
  const api = await startTestServer({}, createMemoryStore());
  await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
  await api.expect(201, 'POST', inDefault('pods'), pod('p'));
  for (const name of ['a', 'b']) {
    const spec = { type: 'NodePort', ports: [{ port: 80 }] };
    await api.expect(201, 'POST', inDefault('services'), { kind: 'Service', apiVersion: 'v1', metadata: { name }, spec });
  }
  const { values } = await api.store.list('/registry/');
  const { objects, findings } = checkObjects(values);
  expect(findings).toEqual([]);
  // All but the key that the servers share.
  expect(objects).toBe(values.length - 1);
});

it.each([
  ['text that is no JSON', () => [stored('configmaps/default/a', '{"kind":')], /error \/registry\/configmaps\/default\/a it is not JSON/],
  ['JSON that is no object', () => [stored('configmaps/default/a', '[]')], /it is no JSON object/],
  [
    'another kind',
    () => [stored('configmaps/default/a', made('Secret', 'v1', { name: 'a', namespace: 'default' }))],
    /it is a v1 Secret, not a v1 ConfigMap/,
  ],
  [
    'another name',
    () => [stored('configmaps/default/a', made('ConfigMap', 'v1', { name: 'b', namespace: 'default' }))],
    /its metadata says that it is default\/b/,
  ],
  ['no uid', () => [config('a', { uid: undefined })], /it has no uid/],
  ['a stored resourceVersion', () => [config('a', { resourceVersion: '7' })], /a resourceVersion is stored in it/],
  [
    'a field of the wrong type',
    () => [stored('configmaps/default/a', made('ConfigMap', 'v1', { name: 'a', namespace: 'default' }, { data: [1] }))],
    /a field has the wrong type/,
  ],
  [
    'an unknown resource',
    () => [stored('spaceships/default/a', made('Spaceship', 'v1', { name: 'a' }))],
    /warning .* no kind that this server knows/,
  ],
  [
    'a missing namespace',
    () => [stored('configmaps/lost/a', made('ConfigMap', 'v1', { name: 'a', namespace: 'lost' }))],
    /error .* its namespace lost does not exist/,
  ],
  [
    'one uid twice',
    () => [config('a', { uid: 'u' }), config('b', { uid: 'u' })],
    /its uid u is also that of \/registry\/configmaps\/default\/b/,
  ],
  [
    'an owner that is gone',
    () => [config('a', { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'none' }] })],
    /warning .* its owner ConfigMap x \(none\) does not exist/,
  ],
  [
    'an owner that is somebody else',
    () => [config('o', { uid: 'u' }), config('a', { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u' }] })],
    /error .*default\/a its owner Pod o \(u\) is really \/registry\/configmaps\/default\/o/,
  ],
  ['a cluster IP twice', () => [service('a', '10.96.0.9'), service('b', '10.96.0.9')], /its cluster IP 10.96.0.9 is also that of/],
  [
    'a node port twice',
    () => [service('a', '10.96.0.9', 30_001), service('b', '10.96.0.8', 30_001)],
    /its node port 30001 is also that of/,
  ],
  [
    'a pod CIDR twice',
    () => ['a', 'b'].map((name) => stored(`nodes/${name}`, made('Node', 'v1', { name }, { spec: { podCIDRs: ['10.244.1.0/24'] } }))),
    /its pod CIDR 10.244.1.0\/24 is also that of/,
  ],
  [
    'a pod without its node',
    () => [
      stored('pods/default/p', made('Pod', 'v1', { name: 'p', namespace: 'default' }, { spec: { nodeName: 'gone', containers: [] } })),
    ],
    /warning .* its node gone does not exist/,
  ],
])('finds %s', (_what, values, expected) => {
  const found = problems(...values());
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(expected);
});
