import { generateKeyPairSync } from 'node:crypto';
import { jwtVerify } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { type ConfigMap, resources } from '../../src/objects/index.ts';
import { deployment, node, runPods, settle, startCluster, type TestCluster, until } from './harness.ts';

let cluster: TestCluster;
afterEach(() => cluster.daemon.stop());

const newNamespace = async (name: string): Promise<void> => {
  await cluster.client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await until(() => cluster.get(resources.serviceAccounts, `${name}/default`), 'it has its service account');
};
const configMap = (name: string, namespace: string, finalizers: string[] = []): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, ...(finalizers.length > 0 ? { finalizers } : {}) },
});
const conditions = (name: string): string[] =>
  (cluster.get(resources.namespaces, name)?.status?.conditions ?? []).map(
    ({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`,
  );

describe('what each namespace has', () => {
  test('its default ServiceAccount and the root certificate, put back when somebody takes them away', async () => {
    cluster = await startCluster({ rootCertificate: 'PEM' });
    await newNamespace('shop');
    const root = () => cluster.get(resources.configMaps, 'shop/kube-root-ca.crt');
    await until(root, 'it has the certificate');
    expect(root()!.data).toEqual({ 'ca.crt': 'PEM' });
    await cluster.client.patch(resources.configMaps, 'kube-root-ca.crt', 'shop', 'merge', { data: { 'ca.crt': 'other', more: 'x' } });
    await until(() => root()!.data!['ca.crt'] === 'PEM' && !('more' in root()!.data!), 'it is as it was');
    await cluster.client.delete(resources.configMaps, 'kube-root-ca.crt', 'shop');
    await cluster.client.delete(resources.serviceAccounts, 'default', 'shop');
    await until(() => root() && cluster.get(resources.serviceAccounts, 'shop/default'), 'both are back');
  });

  test('one that cannot be written holds up none of the others', async () => {
    cluster = await startCluster({ rootCertificate: 'PEM' });
    cluster.client.failWhen((write) => (write.startsWith('create serviceaccounts bad') ? new Error('no') : undefined));
    await cluster.client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bad' } });
    await newNamespace('good');
    await until(() => cluster.get(resources.configMaps, 'bad/kube-root-ca.crt'), 'the bad one has its certificate all the same');
    expect(cluster.get(resources.serviceAccounts, 'bad/default')).toBeUndefined();
  });
});

describe('tokens of service accounts', () => {
  test('a Secret of their type is filled with a signed token, and goes with its account', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const serviceAccountPrivateKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    cluster = await startCluster({ rootCertificate: 'PEM', serviceAccountPrivateKey });
    await newNamespace('shop');
    const annotations = { 'kubernetes.io/service-account.name': 'default' };
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'old', namespace: 'shop', annotations },
      type: 'kubernetes.io/service-account-token',
    };
    await cluster.client.create(resources.secrets, secret);
    const data = () => (cluster.get(resources.secrets, 'shop/old') as { data?: Record<string, string> } | undefined)?.data;
    await until(() => data()?.['token'], 'it has a token');
    const text = (key: string): string => Buffer.from(data()![key]!, 'base64').toString();
    expect([text('namespace'), text('ca.crt')]).toEqual(['shop', 'PEM']);
    const { payload } = await jwtVerify(text('token'), publicKey);
    const { uid } = cluster.get(resources.serviceAccounts, 'shop/default')!.metadata;
    expect(payload).toEqual({
      iss: 'kubernetes/serviceaccount',
      sub: 'system:serviceaccount:shop:default',
      'kubernetes.io/serviceaccount/namespace': 'shop',
      'kubernetes.io/serviceaccount/secret.name': 'old',
      'kubernetes.io/serviceaccount/service-account.name': 'default',
      'kubernetes.io/serviceaccount/service-account.uid': uid,
    });
    await cluster.client.delete(resources.serviceAccounts, 'default', 'shop');
    await until(() => !cluster.get(resources.secrets, 'shop/old'), 'the token goes');
  });
});

describe('deletion', () => {
  test('tells in its conditions what is left and which finalizers hold it, and ends when they are gone', async () => {
    cluster = await startCluster();
    await newNamespace('shop');
    await cluster.client.create(resources.configMaps, configMap('held', 'shop', ['example.com/a']));
    await cluster.client.create(resources.configMaps, configMap('free', 'shop'));
    await cluster.client.delete(resources.namespaces, 'shop');
    await until(() => conditions('shop').length === 5, 'it has conditions');
    expect(conditions('shop')).toEqual([
      'NamespaceDeletionDiscoveryFailure False ResourcesDiscovered: All resources successfully discovered',
      'NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions: All legacy kube types successfully parsed',
      'NamespaceDeletionContentFailure False ContentDeleted: All content successfully deleted, may be waiting on finalization',
      'NamespaceContentRemaining True SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances',
      'NamespaceFinalizersRemaining True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/a in 1 resource instances',
    ]);
    await cluster.client.patch(resources.configMaps, 'held', 'shop', 'merge', { metadata: { finalizers: null } });
    await until(() => !cluster.get(resources.namespaces, 'shop'), 'it is gone');
  });

  test('what cannot be deleted is told and tried again, and the rest goes at once', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.nodes, node('a'));
    runPods(cluster);
    await newNamespace('shop');
    const web = deployment('web', 2);
    await cluster.client.create(resources.deployments, { ...web, metadata: { ...web.metadata, namespace: 'shop' } });
    await cluster.client.create(resources.configMaps, configMap('stuck', 'shop'));
    await until(() => cluster.list(resources.pods, 'shop').length === 2, 'pods are there');
    const heal = cluster.client.failWhen((write) => (write.startsWith('delete configmaps shop/stuck') ? new Error('no') : undefined));
    await cluster.client.delete(resources.namespaces, 'shop');
    await until(() => conditions('shop').some((text) => text.startsWith('NamespaceDeletionContentFailure True')), 'the failure is told');
    expect(conditions('shop')).toContain(
      'NamespaceDeletionContentFailure True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: Error: no',
    );
    await until(() => cluster.list(resources.deployments, 'shop').length === 0, 'the rest goes');
    heal();
    await until(() => !cluster.get(resources.namespaces, 'shop'), 'it is gone');
    await settle();
    expect(cluster.list(resources.pods, 'shop')).toEqual([]);
  });
});
