import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findMessage, messageOfKind, messageSchema } from '../../src/objects/schema/table.ts';

const field = (message: string, name: string) => messageSchema(message).byName.get(name);

describe('the tables', () => {
  it('parse, and every type they name is there', () => {
    const tables = JSON.parse(readFileSync(new URL('../../src/objects/schema/kubernetes.json', import.meta.url), 'utf8')) as Record<
      string,
      object
    >;
    let count = 0;
    for (const [packageName, messages] of Object.entries(tables)) {
      for (const name of Object.keys(messages)) {
        for (const { message, number } of messageSchema(`${packageName}.${name}`).fields) {
          if (message) expect(findMessage(message), `${packageName}.${name} -> ${message}`).toBeDefined();
          expect(number).toBeGreaterThan(0);
        }
        count++;
      }
    }
    expect(count).toBeGreaterThan(300);
  });

  it('tell pointers, whose zero means something, from plain fields', () => {
    expect(field('k8s.io.api.apps.v1.DeploymentSpec', 'replicas')).toMatchObject({ number: 1, scalar: 'int32', pointer: true });
    expect(field('k8s.io.api.apps.v1.DeploymentSpec', 'minReadySeconds')).toMatchObject({ scalar: 'int32', pointer: false });
    expect(field('k8s.io.api.core.v1.PodSpec', 'terminationGracePeriodSeconds')?.pointer).toBe(true);
  });

  it('know the merge keys', () => {
    const keys = {
      containers: 'name',
      volumes: 'name',
      hostAliases: 'ip',
      imagePullSecrets: 'name',
      topologySpreadConstraints: 'topologyKey',
    };
    for (const [name, key] of Object.entries(keys)) expect(field('k8s.io.api.core.v1.PodSpec', name)?.mergeKey, name).toBe(key);
    expect(field('k8s.io.api.core.v1.Container', 'ports')?.mergeKey).toBe('containerPort');
    expect(field('k8s.io.api.core.v1.ServiceSpec', 'ports')?.mergeKey).toBe('port');
    expect(field('k8s.io.api.core.v1.PodSpec', 'tolerations')?.mergeKey).toBeUndefined();
    expect(field('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta', 'finalizers')?.mergeKey).toBe('');
    expect(field('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta', 'ownerReferences')?.mergeKey).toBe('uid');
  });

  it('resolve embedded structs into the parent', () => {
    expect(field('k8s.io.api.core.v1.Volume', 'emptyDir')?.message).toBe('k8s.io.api.core.v1.EmptyDirVolumeSource');
    expect(field('k8s.io.api.core.v1.Probe', 'httpGet')?.message).toBe('k8s.io.api.core.v1.HTTPGetAction');
  });

  it('find the message of a kind in its group', () => {
    expect(messageOfKind('rbac.authorization.k8s.io/v1', 'Role')).toBe('k8s.io.api.rbac.v1.Role');
    expect(messageOfKind('events.k8s.io/v1', 'Event')).toBe('k8s.io.api.events.v1.Event');
    expect(messageOfKind('apps/v1', 'DeleteOptions')).toBe('k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions');
    expect(messageOfKind('v1', 'PodSpec')).toBeUndefined();
    expect(messageOfKind('__proto__/v1', 'constructor')).toBeUndefined();
  });
});
