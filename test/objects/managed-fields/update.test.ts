import { describe, expect, it } from 'vitest';
import { fromScaleOwners, keepIdleTimes, toScaleOwners } from '../../../src/objects/index.ts';
import type { AnyObject } from '../../../src/objects/index.ts';
import { storyOf } from './story.ts';

const configMap = () => storyOf('v1', 'ConfigMap');
const fields = (...names: string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));
const set = (values: object) => (object: AnyObject) => void Object.assign(object, values);

describe('creating an object', () => {
  it('makes its creator own all that it set, defaults with it, as the reference has it', () => {
    const story = storyOf('v1', 'Pod').update(
      'kubectl',
      set({
        metadata: { name: 'x', labels: { app: 'x' } },
        spec: {
          containers: [
            {
              name: 'c',
              image: 'nginx:1',
              env: [{ name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
              ports: [{ containerPort: 443 }, { containerPort: 80 }],
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            },
          ],
          nodeSelector: { disk: 'ssd' },
          volumes: [{ name: 'v', emptyDir: {} }],
        },
      }),
    );
    const port = (number: number) => [
      `k:{"containerPort":${number},"protocol":"TCP"}`,
      { '.': {}, ...fields('containerPort', 'protocol') },
    ];
    expect(JSON.stringify(story.owners())).toBe(
      JSON.stringify({
        kubectl: {
          'f:metadata': { 'f:labels': { '.': {}, ...fields('app') } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"c"}': {
                '.': {},
                'f:env': { '.': {}, 'k:{"name":"N"}': { '.': {}, 'f:name': {}, 'f:valueFrom': { '.': {}, 'f:fieldRef': {} } } },
                ...fields('image', 'imagePullPolicy', 'name'),
                'f:ports': { '.': {}, ...Object.fromEntries([port(80), port(443)]) },
                ...fields('resources', 'terminationMessagePath', 'terminationMessagePolicy'),
                'f:volumeMounts': { '.': {}, 'k:{"mountPath":"/v"}': { '.': {}, ...fields('mountPath', 'name') } },
              },
            },
            ...fields('dnsPolicy', 'enableServiceLinks', 'nodeSelector', 'restartPolicy', 'schedulerName', 'securityContext'),
            ...fields('terminationGracePeriodSeconds'),
            'f:volumes': { '.': {}, 'k:{"name":"v"}': { '.': {}, 'f:emptyDir': {}, 'f:name': {} } },
          },
        },
      }),
    );
  });

  it('says who, when, how and of which version', () => {
    const { object } = configMap().update('kubectl-create', set({ data: { p: '1' } }));
    expect(object!.metadata.managedFields).toEqual([
      {
        manager: 'kubectl-create',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { '.': {}, 'f:p': {} } },
      },
    ]);
  });

  it('takes the owners that the request names, and unknown for one without a name', () => {
    const given = [{ manager: 'm', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': { 'f:q': {} } } }];
    const story = configMap().update('', (object) => ({ ...object, metadata: { name: 'x', managedFields: given }, data: { p: '1' } }));
    expect(story.owners()).toEqual({ 'm+': { 'f:data': fields('q') }, unknown: { 'f:data': { '.': {}, ...fields('p') } } });
  });
});

describe('changing an object', () => {
  it('moves a field to who changed it, and takes it from all when it goes', () => {
    const story = configMap()
      .update('a', set({ data: { p: '1', q: '1', r: '1' } }))
      .update('b', (object) => {
        object['data'].p = '2';
        delete object['data'].q;
      });
    expect(story.owners()).toEqual({ a: { 'f:data': { '.': {}, ...fields('r') } }, b: { 'f:data': fields('p') } });
  });

  it('adds to what the same writer owned before, and its time is that of its last change', () => {
    const story = configMap()
      .update('a', set({ data: { p: '1' } }))
      .update('b', (object) => void (object['data'].q = '1'))
      .update('a', (object) => void (object['data'].r = '1'))
      .update('a', () => {});
    expect(story.object!.metadata.managedFields!.map(({ manager, time }) => `${manager} ${time}`)).toEqual([
      'b 2026-01-01T00:00:01Z',
      'a 2026-01-01T00:00:02Z',
    ]);
    expect(story.owners()['a']).toEqual({ 'f:data': { '.': {}, ...fields('p', 'r') } });
  });

  it('keeps the owners when the request leaves them out, or sends ones that cannot be read', () => {
    const story = configMap().update('a', set({ data: { p: '1' } }));
    const owners = story.owners();
    expect(story.update('b', (object) => void delete object.metadata.managedFields).owners()).toEqual(owners);
    for (const wrong of [{ operation: 'Nope' }, { apiVersion: '' }, { fieldsType: 'FieldsV2' }, { fieldsV1: { x: {} } }]) {
      const entry = { manager: 'm', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {}, ...wrong };
      expect(story.update('b', (object) => void (object.metadata.managedFields = [entry])).owners()).toEqual(owners);
    }
  });

  it.each([[[]], [[{}]]])('forgets all owners by %j', (reset) => {
    const story = configMap().update('a', set({ data: { p: '1' } }));
    expect(story.update('a', (object) => void (object.metadata.managedFields = reset)).owners()).toEqual({});
  });

  it('by a subresource takes no owners from the request, and tells the owner apart', () => {
    const story = storyOf('v1', 'Namespace')
      .update('a', set({}))
      .update(
        'a',
        (object) => ({ ...object, metadata: { ...object.metadata, managedFields: [] }, status: { phase: 'Terminating' } }),
        'status',
      );
    expect(story.owners()).toMatchObject({ 'a/status': { 'f:status': fields('phase') } });
    expect(Object.keys(story.owners())).toEqual(['a', 'a/status']);
  });

  it('keeps ten owners from updates, and merges the oldest into one', () => {
    let story = configMap().update('m00', set({ data: { k00: '' } }));
    for (let i = 1; i < 13; i++) {
      const number = String(i).padStart(2, '0');
      story = story.update(`m${number}`, (object) => void (object['data'][`k${number}`] = ''));
    }
    const owners = story.owners();
    expect(Object.keys(owners)).toEqual(['ancient-changes', 'm04', 'm05', 'm06', 'm07', 'm08', 'm09', 'm10', 'm11', 'm12']);
    expect(owners['ancient-changes']).toEqual({ 'f:data': { '.': {}, ...fields('k00', 'k01', 'k02', 'k03') } });
  });

  it('forgets an owner of a version that is not served', () => {
    const entry = { manager: 'm', operation: 'Update', apiVersion: 'v0', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': {} } };
    const story = configMap()
      .update('a', set({ data: { p: '1' } }))
      .update('b', (object) => void object.metadata.managedFields!.push(entry));
    expect(Object.keys(story.owners())).toEqual(['a']);
  });

  it('takes what was owned in parts before it became one value for the whole of it', () => {
    const selector = { 'f:spec': { 'f:selector': { '.': {}, 'f:app': {} }, 'f:ports': {} } };
    const old = [{ manager: 'old', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: selector }];
    const story = storyOf('v1', 'Service')
      .update('a', set({ spec: { selector: { app: 'x' }, ports: [{ port: 80 }] } }))
      .update('b', (object) => ({ ...object, metadata: { ...object.metadata, managedFields: old } }));
    expect(story.owners()).toEqual({ old: { 'f:spec': fields('ports', 'selector') } });
  });
});

describe('times', () => {
  const object = (data: object, time: string): AnyObject =>
    ({ metadata: { name: 'x', managedFields: [{ manager: 'a', time, fieldsV1: {} }] }, data }) as unknown as AnyObject;

  it('stay when nothing else changes, and only then', () => {
    const same = object({ p: '1' }, '2026-01-02T00:00:00Z');
    keepIdleTimes(same, object({ p: '1' }, '2026-01-01T00:00:00Z'));
    expect(same.metadata.managedFields![0]!.time).toBe('2026-01-01T00:00:00Z');
    const other = object({ p: '2' }, '2026-01-02T00:00:00Z');
    keepIdleTimes(other, object({ p: '1' }, '2026-01-01T00:00:00Z'));
    expect(other.metadata.managedFields![0]!.time).toBe('2026-01-02T00:00:00Z');
  });
});

describe('the scale of an object', () => {
  const entry = (manager: string, operation: string, fieldsV1: object, more: object = {}) => ({
    manager,
    operation,
    apiVersion: 'apps/v1',
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...more,
  });
  const parents = [
    entry('applier', 'Apply', { 'f:spec': { ...fields('replicas'), 'f:template': fields('x') } }),
    entry('other', 'Update', { 'f:spec': fields('paused') }),
  ];
  const scaled = (manager: string, operation: string) =>
    entry(manager, operation, { 'f:spec': fields('replicas') }, { apiVersion: 'autoscaling/v1', subresource: 'scale' });

  it('is owned by who owns the replicas', () => {
    expect(toScaleOwners(parents, 'apps/v1')).toEqual([
      { ...parents[0], apiVersion: 'autoscaling/v1', fieldsV1: { 'f:spec': fields('replicas') } },
    ]);
  });

  it('takes the replicas from who lost them there', () => {
    const owners = fromScaleOwners(parents, [scaled('hpa', 'Update')], 'apps/v1');
    expect(owners.map(({ manager, subresource, fieldsV1 }) => [manager, subresource, fieldsV1])).toEqual([
      ['applier', undefined, { 'f:spec': { 'f:template': fields('x') } }],
      ['hpa', 'scale', { 'f:spec': fields('replicas') }],
      ['other', undefined, { 'f:spec': fields('paused') }],
    ]);
  });

  it('leaves all as it was when nobody lost them', () => {
    expect(fromScaleOwners(parents, toScaleOwners(parents, 'apps/v1'), 'apps/v1')).toEqual(parents);
  });
});
