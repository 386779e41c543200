import { describe, expect, it } from 'vitest';
import { ApplyConflictError, ApplyRequestError, ConfigurationError } from '../../../src/objects/index.ts';
import { storyOf } from './story.ts';

const configMap = () => storyOf('v1', 'ConfigMap');
const named = { metadata: { name: 'x' } };
const data = (values: Record<string, string>) => ({ ...named, data: values });
const fields = (...names: string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));

const deployment = (containers: object[], more: object = {}) => ({
  ...named,
  spec: { selector: { matchLabels: { app: 'x' } }, template: { metadata: { labels: { app: 'x' } }, spec: { containers, ...more } } },
});
/** A configuration of containers alone. */
const containers = (...list: object[]) => ({ ...named, spec: { template: { spec: { containers: list } } } });
const web = { name: 'web', image: 'nginx:1' };

const conflictOf = (action: () => unknown): ApplyConflictError => {
  try {
    action();
  } catch (error) {
    if (error instanceof ApplyConflictError) return error;
    throw error;
  }
  throw new Error('no conflict');
};

describe('applying a configuration', () => {
  it('owns what it names and nothing that is defaulted', () => {
    const { object, ...story } = storyOf('apps/v1', 'Deployment').apply('a', deployment([{ ...web, ports: [{ containerPort: 80 }] }]));
    expect(object!.spec.replicas).toBe(1);
    expect(story.owners()).toEqual({
      'a+': {
        'f:spec': {
          'f:selector': {},
          'f:template': {
            'f:metadata': { 'f:labels': fields('app') },
            'f:spec': {
              'f:containers': {
                'k:{"name":"web"}': {
                  '.': {},
                  ...fields('name', 'image'),
                  'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, ...fields('containerPort') } },
                },
              },
            },
          },
        },
      },
    });
  });

  it('removes what it named before and no longer does', () => {
    const story = configMap()
      .apply('a', { metadata: { name: 'x', labels: { l: '1', m: '2' } }, data: { p: '1', q: '2' } })
      .apply('a', { metadata: { name: 'x', labels: { l: '1' } }, data: { q: '3' } });
    expect(story.object).toMatchObject({ metadata: { labels: { l: '1' } }, data: { q: '3' } });
    expect(story.object!['data']).not.toHaveProperty('p');
    expect(story.owners()).toEqual({ 'a+': { 'f:data': fields('q'), 'f:metadata': { 'f:labels': fields('l') } } });
  });

  it('removes a struct with all that it owned in it', () => {
    const story = storyOf('apps/v1', 'Deployment')
      .apply(
        'a',
        deployment([{ ...web, livenessProbe: { httpGet: { path: '/', port: 80 } }, resources: { limits: { cpu: '1', memory: '1Gi' } } }]),
      )
      .apply('a', deployment([{ ...web, resources: { limits: { cpu: '1' } } }]));
    const [container] = story.object!.spec.template.spec.containers;
    expect(container).not.toHaveProperty('livenessProbe');
    expect(container.resources.limits).toEqual({ cpu: '1' });
  });

  it('leaves what others own, also where it owned it with them', () => {
    const story = configMap()
      .apply('a', data({ shared: '1', mine: '2' }))
      .apply('b', data({ shared: '1', yours: '3' }))
      .apply('a', data({}));
    expect(story.object!['data']).toEqual({ shared: '1', yours: '3' });
    expect(story.owners()).toMatchObject({ 'b+': { 'f:data': fields('shared', 'yours') } });
  });

  it('shares a field that it names with the value that stands', () => {
    const story = configMap()
      .update('creator', (object) => void Object.assign(object, { data: { p: '1' } }))
      .apply('a', data({ p: '1' }));
    expect(story.owners()).toEqual({ creator: { 'f:data': { '.': {}, ...fields('p') } }, 'a+': { 'f:data': fields('p') } });
  });

  it('conflicts with those who own what it would change, and says with whom about what', () => {
    const story = configMap()
      .apply('a', data({ p: '1', q: '1' }))
      .update('editor', (object) => void (object['data'].r = '1'));
    const { message, causes } = conflictOf(() => story.apply('b', data({ p: '2', r: '2' })));
    expect(message).toBe('Apply failed with 2 conflicts: conflicts with "a":\n- .data.p\nconflicts with "editor" using v1:\n- .data.r');
    expect(causes).toEqual([
      { reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.data.p' },
      { reason: 'FieldManagerConflict', message: 'conflict with "editor" using v1', field: '.data.r' },
    ]);
    expect(conflictOf(() => story.apply('b', data({ q: '2' }))).message).toBe('Apply failed with 1 conflict: conflict with "a": .data.q');
  });

  it('takes what it conflicts about when forced', () => {
    const story = configMap()
      .apply('a', data({ p: '1', q: '1' }))
      .apply('b', data({ p: '2' }), { force: true });
    expect(story.object!['data']).toEqual({ p: '2', q: '1' });
    expect(story.owners()).toEqual({ 'a+': { 'f:data': fields('q') }, 'b+': { 'f:data': fields('p') } });
    // Who lost a field does not remove it by no longer naming it.
    expect(story.apply('a', data({ q: '1' })).object!['data']).toEqual({ p: '2', q: '1' });
  });

  it('does not conflict about what it takes out', () => {
    const story = configMap()
      .apply('a', data({ p: '1' }))
      .update('editor', (object) => void (object['data'].p = '2'))
      .apply('a', data({}));
    expect(story.object!['data']).toEqual({ p: '2' });
  });

  it('is the same again: no owner changes, nor a time', () => {
    const first = storyOf('apps/v1', 'Deployment').apply('a', deployment([web]));
    const second = first.apply('a', deployment([web]));
    expect(second.object).toEqual(first.object);
  });

  it('names the owner of what stood before anybody applied', () => {
    const story = configMap()
      .update('creator', (object) => void Object.assign(object, { data: { p: '1', q: '1' } }))
      .update('forgetter', (object) => void (object.metadata.managedFields = []))
      .update('later', (object) => void (object['data'].q = '2'));
    expect(story.object!.metadata).not.toHaveProperty('managedFields');
    expect(story.apply('a', data({ p: '1' })).owners()).toEqual({
      'a+': { 'f:data': fields('p') },
      'before-first-apply': { 'f:data': { '.': {}, ...fields('p', 'q') } },
    });
    expect(conflictOf(() => story.apply('a', data({ p: '2' }))).message).toContain('conflict with "before-first-apply" using v1: .data.p');
  });

  it('keeps status and object apart', () => {
    const story = storyOf('apps/v1', 'Deployment')
      .apply('a', { ...deployment([web]), status: { replicas: 9 } })
      .apply('a', { ...named, spec: { replicas: 5 }, status: { replicas: 1 } }, { subresource: 'status' });
    expect(story.owners()).toMatchObject({ 'a/status+': { 'f:status': fields('replicas') } });
    expect(Object.keys(story.owners()['a+']!)).toEqual(['f:spec']);
    expect(conflictOf(() => story.apply('b', { ...named, status: { replicas: 2 } }, { subresource: 'status' })).message).toBe(
      'Apply failed with 1 conflict: conflict with "a" with subresource "status": .status.replicas',
    );
  });
});

describe('lists', () => {
  it('of maps merge item by item, and each owner removes only its own part', () => {
    const story = storyOf('apps/v1', 'Deployment')
      .apply(
        'a',
        deployment([
          { ...web, env: [{ name: 'A', value: '1' }] },
          { name: 'side', image: 's' },
        ]),
      )
      .apply(
        'b',
        containers({ name: 'web', env: [{ name: 'B', value: '2' }], ports: [{ containerPort: 81 }] }, { name: 'side', image: 's' }),
      );
    const [first] = story.object!.spec.template.spec.containers;
    expect(first.env).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ]);
    const without = story.apply('a', deployment([web]));
    const left = without.object!.spec.template.spec.containers;
    expect(left.map(({ name }: { name: string }) => name)).toEqual(['web', 'side']);
    expect(left[0]).toMatchObject({ image: 'nginx:1', env: [{ name: 'B', value: '2' }], ports: [{ containerPort: 81 }] });
    expect(without.apply('b', named).object!.spec.template.spec.containers).toHaveLength(1);
  });

  it('of maps take the order of the configuration where both have the items', () => {
    const names = (story: ReturnType<typeof storyOf>) =>
      story.object!.spec.template.spec.containers.map(({ name }: { name: string }) => name);
    const of = (...list: string[]) => list.map((name) => ({ name, image: 'i' }));
    const story = storyOf('apps/v1', 'Deployment').apply('a', deployment(of('a', 'b', 'c')));
    expect(names(story.apply('b', containers(...of('c', 'a'))))).toEqual(['b', 'c', 'a']);
    expect(names(story.apply('b', containers(...of('x', 'b'))))).toEqual(['a', 'x', 'b', 'c']);
    expect(names(story.apply('b', containers(...of('c', 'x'))))).toEqual(['a', 'b', 'c', 'x']);
  });

  it('know an item by all of its keys, of which the protocol of a port may be left out', () => {
    const ports = (...list: object[]) => deployment([{ ...web, ports: list }]);
    const story = storyOf('apps/v1', 'Deployment')
      .apply('a', ports({ containerPort: 53, protocol: 'UDP', name: 'dns' }, { containerPort: 53, name: 'dns-tcp' }))
      .apply('a', ports({ containerPort: 53, name: 'tcp' }));
    expect(story.object!.spec.template.spec.containers[0].ports).toEqual([{ containerPort: 53, name: 'tcp', protocol: 'TCP' }]);
  });

  it('of values are sets', () => {
    const finalizers = (...list: string[]) => ({ metadata: { name: 'x', finalizers: list } });
    const story = configMap().apply('a', finalizers('a/a', 's/s')).apply('b', finalizers('s/s', 'b/b')).apply('a', finalizers('a/a'));
    expect(story.object!.metadata.finalizers).toEqual(['a/a', 's/s', 'b/b']);
    expect(story.owners()['b+']).toEqual({ 'f:metadata': { 'f:finalizers': { 'v:"b/b"': {}, 'v:"s/s"': {} } } });
    expect(story.apply('b', finalizers('b/b')).object!.metadata.finalizers).toEqual(['a/a', 'b/b']);
  });

  it('and maps that are one value conflict as one', () => {
    const service = (spec: object) => ({ ...named, spec });
    const story = storyOf('v1', 'Service').apply('a', service({ selector: { app: 'x' }, ports: [{ port: 80 }] }));
    expect(conflictOf(() => story.apply('b', service({ selector: { app: 'x', tier: 'y' } }))).message).toContain(': .spec.selector');
    expect(story.apply('b', service({ selector: { app: 'x' } })).owners()['b+']).toEqual({ 'f:spec': fields('selector') });
  });

  it('with duplicates in them are owned as one, and give way to a configuration that names the item', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'A', value: '2' },
      { name: 'B', value: '3' },
    ];
    const story = storyOf('apps/v1', 'Deployment').update('creator', (object) => ({ ...object, ...deployment([{ ...web, env }]) }));
    const owned = story.owners()['creator'] as never as {
      'f:spec': { 'f:template': { 'f:spec': { 'f:containers': Record<string, object> } } };
    };
    expect(owned['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"web"}']).toMatchObject({
      'f:env': { '.': {}, 'k:{"name":"A"}': {}, 'k:{"name":"B"}': { '.': {}, ...fields('name', 'value') } },
    });
    const untouched = story.apply('a', containers({ name: 'web', env: [{ name: 'C', value: '4' }] }));
    expect(untouched.object!.spec.template.spec.containers[0].env).toEqual([...env, { name: 'C', value: '4' }]);
    const replaced = story.apply('a', containers({ name: 'web', env: [{ name: 'A', value: '9' }] }), { force: true });
    expect(replaced.object!.spec.template.spec.containers[0].env).toEqual([
      { name: 'A', value: '9' },
      { name: 'B', value: '3' },
    ]);
  });
});

describe('what cannot be applied', () => {
  const of = (error: new (...args: never[]) => Error, message: string, configuration: object) =>
    expect(() => storyOf('apps/v1', 'Deployment').apply('a', configuration)).toThrow(
      expect.toSatisfy((thrown: Error) => thrown instanceof error && thrown.message === message),
    );
  const typed = 'failed to create typed patch object (/x; apps/v1, Kind=Deployment): ';

  it('is a field that the kind lacks', () =>
    of(ConfigurationError, `${typed}.spec.replica: field not declared in schema`, { ...named, spec: { replica: 1 } }));

  it('is a value of another type, each told', () =>
    of(
      ConfigurationError,
      `${typed}errors:\n  .spec.replicas: expected numeric (int or float), got string "3"\n  .spec.paused: expected boolean, got number 1`,
      { ...named, spec: { replicas: '3', paused: 1 } },
    ));

  it('is a list with two items of one key', () =>
    of(ConfigurationError, `${typed}.spec.template.spec.containers: duplicate entries for key [name="web"]`, deployment([web, web])));

  it('is an item without any key', () =>
    of(ConfigurationError, `${typed}.metadata.ownerReferences: element 0: associative list with keys may not have a null element`, {
      metadata: { name: 'x', ownerReferences: [null] },
    }));

  it('is another kind, or another version of it', () => {
    of(ApplyRequestError, 'invalid object type: apps/v1, Kind=ReplicaSet', { kind: 'ReplicaSet', ...named });
    of(ApplyRequestError, 'invalid object type: /v1, Kind=Deployment', { apiVersion: 'v1', ...named });
  });

  it('is a list of owners', () =>
    of(ApplyRequestError, 'metadata.managedFields must be nil', { metadata: { name: 'x', managedFields: [] } }));
});

describe('the last-applied annotation', () => {
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
  const configuration = { apiVersion: 'v1', kind: 'ConfigMap', ...data({ p: '1', q: '1' }) };
  const clientSide = () =>
    configMap().update('kubectl-client-side-apply', (object) => {
      object.metadata.annotations = { [annotation]: JSON.stringify(configuration) };
      object['data'] = { p: '1', q: '1' };
    });

  it('lets kubectl take over from its client-side self, and is kept true', () => {
    const story = clientSide().apply('kubectl', data({ p: '2', q: '1' }));
    expect(story.object!['data']).toEqual({ p: '2', q: '1' });
    expect(JSON.parse(story.object!.metadata.annotations![annotation]!)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      ...data({ p: '2', q: '1' }),
    });
  });

  it('does not let it take what others changed since', () => {
    const story = clientSide().update('editor', (object) => void (object['data'].p = '9'));
    expect(conflictOf(() => story.apply('kubectl', data({ p: '2', q: '2' }))).message).toBe(
      'Apply failed with 1 conflict: conflict with "editor" using v1: .data.p',
    );
  });

  it('is nothing to other appliers', () => {
    expect(conflictOf(() => clientSide().apply('other', data({ p: '2' }))).causes).toHaveLength(1);
  });
});
