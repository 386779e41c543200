import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFields, fieldWarnings, findDuplicateKeys, kinds, pruneUnknown, strictDecodingMessage } from '../../src/objects/index.ts';
import { objectOf } from './arbitrary-object.ts';

const deployment = 'k8s.io.api.apps.v1.Deployment';

describe('checkFields', () => {
  it('names unknown fields by their path', () => {
    const object = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { nme: 'a' },
      spec: { replica: 1, template: { spec: { containers: [{ imag: 'x' }] } } },
    };
    const { unknown, wrongType } = checkFields(deployment, object);
    expect(unknown).toEqual(['metadata.nme', 'spec.replica', 'spec.template.spec.containers[0].imag']);
    expect(wrongType).toEqual([]);
    expect(strictDecodingMessage(unknown.slice(1, 2))).toBe('strict decoding error: unknown field "spec.replica"');
    expect(fieldWarnings(['a'], ['b'])).toEqual(['unknown field "a"', 'duplicate field "b"']);
  });

  it.each([
    [{ spec: { replicas: '3' } }, 'spec.replicas: expected int32, got string "3"'],
    [{ spec: { replicas: 1.5 } }, 'spec.replicas: expected int32, got number'],
    [{ spec: { paused: 'yes' } }, 'spec.paused: expected bool, got string "yes"'],
    [{ spec: [] }, 'spec: expected object, got list'],
    [{ spec: { template: { spec: { containers: {} } } } }, 'spec.template.spec.containers: expected list, got object'],
    [{ spec: { template: { spec: { containers: [null] } } } }, 'spec.template.spec.containers[0]: expected object, got null'],
    [
      { spec: { strategy: { rollingUpdate: { maxSurge: true } } } },
      'spec.strategy.rollingUpdate.maxSurge: expected int32 or string, got boolean',
    ],
    [{ metadata: { labels: { a: 1 } } }, 'metadata.labels.a: expected string, got number'],
    [{ metadata: { creationTimestamp: 'yesterday' } }, 'metadata.creationTimestamp: expected an RFC 3339 time, got string "yesterday"'],
    [
      { spec: { template: { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } } } },
      'spec.template.spec.containers[0].resources.limits.cpu: expected a quantity, got string "lots"',
    ],
    ['text', 'the object: expected object, got string "text"'],
  ])('%j has a wrong type', (object, problem) => {
    expect(checkFields(deployment, object).wrongType).toEqual([problem]);
  });

  it('takes null for a zero value anywhere', () => {
    expect(
      checkFields(deployment, { metadata: { creationTimestamp: null }, spec: { template: { metadata: null } }, status: null }),
    ).toEqual({ unknown: [], wrongType: [] });
  });

  it('finds nothing wrong with objects that fit the schema', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds).chain((kind) => objectOf(kind.schema).map((object) => ({ kind, object }))),
        ({ kind, object }) => {
          expect(checkFields(kind.schema, object)).toEqual({ unknown: [], wrongType: [] });
          const copy = structuredClone(object);
          pruneUnknown(kind.schema, copy);
          expect(copy).toEqual(object);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('never throws for any JSON value', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void checkFields(deployment, value)));
    fc.assert(fc.property(fc.jsonValue(), (spec) => pruneUnknown(deployment, { spec })));
  });
});

describe('pruneUnknown', () => {
  it('drops unknown fields, nulls and what Go would omit, and keeps what a pointer holds', () => {
    const object = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'a', namespace: '', creationTimestamp: null, labels: {} },
      spec: {
        replicas: 0,
        replica: 3,
        minReadySeconds: 0,
        paused: false,
        template: { spec: { nodeName: '', securityContext: {}, volumes: [{ name: 'v', emptyDir: {} }] } },
      },
    };
    pruneUnknown(deployment, object);
    expect(object).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'a' },
      spec: { replicas: 0, template: { spec: { securityContext: {}, volumes: [{ name: 'v', emptyDir: {} }] } } },
    });
  });
});

describe('findDuplicateKeys', () => {
  it('gives the path of each key that stands twice', () => {
    const json = '{"a": 1, "b": [{"c": "}", "c": {"d": "\\"", "d": 1}}], "a": {"e": [], "e": {}}, "x\\u0079": 1, "xy": 2}';
    expect(() => JSON.parse(json)).not.toThrow();
    expect(findDuplicateKeys(json)).toEqual(['b[0].c', 'b[0].c.d', 'a', 'a.e', 'xy']);
  });

  it('finds none in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        expect(findDuplicateKeys(JSON.stringify(value, undefined, indent))).toEqual([]);
      }),
    );
  });
});
