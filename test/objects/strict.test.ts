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
    [{ spec: { replicas: '3' } }, 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32'],
    [{ spec: { replicas: 1.5 } }, 'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32'],
    [{ spec: { paused: 'yes' } }, 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool'],
    [{ spec: [] }, 'json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec'],
    [
      { spec: { template: { spec: { containers: {} } } } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { spec: { template: { spec: { containers: [null] } } } },
      'json: cannot unmarshal null into Go struct field PodSpec.spec.template.spec.containers of type v1.Container',
    ],
    [{ spec: { strategy: { rollingUpdate: { maxSurge: true } } } }, 'json: cannot unmarshal bool into Go value of type int32'],
    [{ metadata: { labels: { a: 1 } } }, 'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string'],
    [
      { metadata: { creationTimestamp: 'yesterday' } },
      'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    ],
    [
      { spec: { template: { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } } } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    ['text', 'json: cannot unmarshal string into Go value of type v1.Deployment'],
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
