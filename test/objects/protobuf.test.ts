import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnyObject,
  decodeKubernetesProtobuf,
  encodeKubernetesProtobuf,
  kinds,
  KubernetesProtobufError,
} from '../../src/objects/index.ts';
import { apiVersionOf } from '../../src/objects/resource.ts';
import { capture, captures } from './captures.ts';
import { objectOf } from './arbitrary-object.ts';

describe('what kubectl POSTs', () => {
  it('becomes the object that older kubectls send as JSON, zero values pruned but replicas 0 kept', () => {
    expect(decodeKubernetesProtobuf(capture('create deployment web --image=nginx --port=80 --replicas=0'))).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'nginx', image: 'nginx', ports: [{ containerPort: 80 }] }] },
        },
      },
    });
  });

  it('has an empty spec and status left out of a namespace', () => {
    expect(decodeKubernetesProtobuf(capture('create namespace demo'))).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'demo' },
    });
  });

  it('keeps empty values of maps', () => {
    const map = decodeKubernetesProtobuf(capture('create configmap settings --from-literal=a=b --from-literal=empty='));
    expect(map['data']).toEqual({ a: 'b', empty: '' });
  });

  it('has target ports as numbers and as names', () => {
    const byNumber = decodeKubernetesProtobuf(capture('create service clusterip web --tcp=80:8080'));
    const byName = decodeKubernetesProtobuf(capture('create service nodeport web --tcp=80:http --node-port=30080'));
    expect(byNumber.spec.ports).toEqual([{ name: '80-8080', protocol: 'TCP', port: 80, targetPort: 8080 }]);
    expect(byName.spec.ports).toEqual([{ name: '80-http', protocol: 'TCP', port: 80, targetPort: 'http', nodePort: 30080 }]);
    expect(byName.spec.type).toBe('NodePort');
  });

  it('names a service account and nothing more', () => {
    expect(decodeKubernetesProtobuf(capture('create serviceaccount runner'))).toEqual({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'runner' },
    });
  });
});

describe('round trips', () => {
  it('objects of every kind survive encoding and decoding', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds).chain((kind) => objectOf(kind.schema).map((fields) => ({ kind, fields }))),
        ({ kind, fields }) => {
          const object = { metadata: {}, ...fields, apiVersion: apiVersionOf(kind.resource), kind: kind.resource.kind } as AnyObject;
          expect(decodeKubernetesProtobuf(encodeKubernetesProtobuf(object))).toEqual(object);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps times, microseconds, quantities, bytes and what only a pointer can say', () => {
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'a', creationTimestamp: '2026-01-02T03:04:05Z', deletionGracePeriodSeconds: 0 },
      spec: { holderIdentity: 'me', renewTime: '2026-01-02T03:04:05.000678Z', leaseTransitions: 0 },
    } as AnyObject;
    expect(decodeKubernetesProtobuf(encodeKubernetesProtobuf(lease))).toEqual(lease);
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
      status: { capacity: { cpu: '2', memory: '64Mi' } },
    } as AnyObject;
    expect(decodeKubernetesProtobuf(encodeKubernetesProtobuf(node))).toEqual(node);
  });

  it('encodes lists', () => {
    const list = {
      apiVersion: 'v1',
      kind: 'PodList',
      metadata: { resourceVersion: '7' },
      items: [{ metadata: { name: 'a' } }],
    } as unknown as AnyObject;
    expect(decodeKubernetesProtobuf(encodeKubernetesProtobuf(list))).toMatchObject({
      kind: 'PodList',
      items: [{ metadata: { name: 'a' } }],
    });
  });

  it('sets no prototype through a label named __proto__', () => {
    const labels = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const decoded = decodeKubernetesProtobuf(
      encodeKubernetesProtobuf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', labels } } as AnyObject),
    );
    expect(JSON.stringify(decoded.metadata.labels)).toBe('{"__proto__":"x","constructor":"y"}');
    expect(Object.getPrototypeOf(decoded.metadata.labels)).toBe(Object.prototype);
  });
});

describe('refusals', () => {
  const reasonOf = (bytes: Uint8Array): string => {
    try {
      decodeKubernetesProtobuf(bytes);
    } catch (error) {
      if (error instanceof KubernetesProtobufError) return error.reason;
      throw error;
    }
    return 'none';
  };

  it('JSON is refused by its first bytes', () => {
    expect(reasonOf(Buffer.from('{"kind":"Pod"}'))).toBe('magic');
    expect(reasonOf(new Uint8Array())).toBe('magic');
  });

  it('an unknown kind is named', () => {
    const bytes = Buffer.concat([
      Buffer.from('6b387300', 'hex'),
      Buffer.from([0x0a, 9, 0x0a, 2]),
      Buffer.from('v1'),
      Buffer.from([0x12, 3]),
      Buffer.from('Foo'),
    ]);
    expect(() => decodeKubernetesProtobuf(bytes)).toThrow('no kind "Foo" is registered for version "v1"');
  });

  it('names from Object.prototype are no kinds', () => {
    const bytes = Buffer.concat([
      Buffer.from('6b387300', 'hex'),
      Buffer.from([0x0a, 17, 0x0a, 2]),
      Buffer.from('v1'),
      Buffer.from([0x12, 11]),
      Buffer.from('constructor'),
    ]);
    expect(reasonOf(bytes)).toBe('kind');
  });

  it('a body cut off anywhere is malformed or another object, never a crash', () => {
    for (const hex of Object.values(captures)) {
      const bytes = Buffer.from(hex, 'hex');
      for (let length = 0; length < bytes.length; length++)
        expect(['magic', 'kind', 'malformed', 'none']).toContain(reasonOf(bytes.subarray(0, length)));
      // Cut inside the object itself, the length before it no longer fits.
      expect(reasonOf(bytes.subarray(0, bytes.length - 10))).toBe('malformed');
    }
  });

  it('mangled bytes throw nothing but the typed error', () => {
    const bodies = Object.values(captures).map((hex) => Buffer.from(hex, 'hex'));
    fc.assert(
      fc.property(
        fc.constantFrom(...bodies),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (body, changes) => {
          const bytes = Uint8Array.from(body);
          for (const [at, value] of changes) bytes[4 + (at % (bytes.length - 4))] = value;
          reasonOf(bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('refuses to encode what has the wrong type, naming the field', () => {
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec: { replicas: 'three' } } as AnyObject;
    expect(() => encodeKubernetesProtobuf(object)).toThrow('Deployment: field replicas must be a number');
  });
});
