import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonMergePatch, PatchError, strategicMergePatch } from '../../src/objects/index.ts';

describe('JSON merge patch', () => {
  // The test cases of RFC 7386, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (target, patch, result) => {
    expect(jsonMergePatch(target, patch)).toEqual(result);
  });

  it('sets no prototype', () => {
    const result = jsonMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect(result['polluted']).toBeUndefined();
  });
});

const deployment = 'k8s.io.api.apps.v1.Deployment';
const pod = 'k8s.io.api.core.v1.Pod';
const spec = (containers: unknown, more: object = {}) => ({ spec: { containers, ...more } });
const merged = (original: object, patch: object) => strategicMergePatch(pod, original, patch);

describe('strategic merge patch', () => {
  it('merges containers by name and their environment by name', () => {
    const original = spec([
      {
        name: 'a',
        image: '1',
        env: [
          { name: 'X', value: '1' },
          { name: 'Y', value: '2' },
        ],
      },
      { name: 'b', image: '1' },
    ]);
    const patch = spec([{ name: 'a', image: '2', env: [{ name: 'Y', value: '3' }] }]);
    expect(merged(original, patch)).toEqual(
      spec([
        {
          name: 'a',
          image: '2',
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '3' },
          ],
        },
        { name: 'b', image: '1' },
      ]),
    );
  });

  it('leaves original and patch as they were', () => {
    const original = spec([{ name: 'a', env: [{ name: 'X' }] }]);
    const patch = spec([{ name: 'a', env: [{ name: 'Y' }] }]);
    const before = structuredClone([original, patch]);
    merged(original, patch);
    expect([original, patch]).toEqual(before);
  });

  it('deletes an item, replaces a list, replaces an object', () => {
    const original = spec([{ name: 'a' }, { name: 'b' }], { nodeSelector: { x: '1' } });
    expect(merged(original, spec([{ name: 'a', $patch: 'delete' }]))).toMatchObject(spec([{ name: 'b' }]));
    expect(merged(original, spec([{ name: 'c' }, { $patch: 'replace' }]))).toMatchObject(spec([{ name: 'c' }]));
    expect(merged(original, { spec: { nodeSelector: { y: '2', $patch: 'replace' } } })).toMatchObject({
      spec: { nodeSelector: { y: '2' } },
    });
    expect(merged(original, { spec: { nodeSelector: { $patch: 'delete' } } })).toMatchObject({ spec: { nodeSelector: {} } });
  });

  it('replaces atomic lists whole', () => {
    const original = spec([{ name: 'a', args: ['1', '2'] }], { tolerations: [{ key: 'x' }] });
    expect(merged(original, spec([{ name: 'a', args: ['3'] }], { tolerations: [{ key: 'y' }] }))).toEqual(
      spec([{ name: 'a', args: ['3'] }], { tolerations: [{ key: 'y' }] }),
    );
  });

  it('null removes a field, also where the original lacks it', () => {
    expect(merged({ metadata: { labels: { a: '1', b: '2' } } }, { metadata: { labels: { a: null, c: null } } })).toEqual({
      metadata: { labels: { b: '2' } },
    });
    expect(merged({}, { metadata: { labels: { a: null, b: '1' } } })).toEqual({ metadata: { labels: { b: '1' } } });
  });

  it('merges conditions by type, as kubelet patches them', () => {
    const original = {
      status: {
        conditions: [
          { type: 'Ready', status: 'False' },
          { type: 'Initialized', status: 'True' },
        ],
      },
    };
    const patch = {
      metadata: { uid: 'u' },
      status: {
        $setElementOrder_: undefined,
        conditions: [{ type: 'Ready', status: 'True' }],
        '$setElementOrder/conditions': [{ type: 'Initialized' }, { type: 'Ready' }],
      },
    };
    delete (patch.status as Record<string, unknown>)['$setElementOrder_'];
    expect(merged(original, patch)).toEqual({
      metadata: { uid: 'u' },
      status: {
        conditions: [
          { type: 'Initialized', status: 'True' },
          { type: 'Ready', status: 'True' },
        ],
      },
    });
  });

  it('treats finalizers as a set and deletes from it', () => {
    const original = { metadata: { finalizers: ['a', 'b', 'c'] } };
    expect(merged(original, { metadata: { finalizers: ['d', 'a'] } })).toMatchObject({
      metadata: { finalizers: expect.toSatisfy((list: string[]) => list.toSorted().join() === 'a,b,c,d') },
    });
    expect(merged(original, { metadata: { '$deleteFromPrimitiveList/finalizers': ['b'] } })).toEqual({
      metadata: { finalizers: ['a', 'c'] },
    });
    const both = { metadata: { '$deleteFromPrimitiveList/finalizers': ['b'], '$setElementOrder/finalizers': ['c', 'a'] } };
    expect(merged(original, both)).toEqual({ metadata: { finalizers: ['c', 'a'] } });
  });

  it('puts lists in the order asked for, with what only the server has in its place', () => {
    const original = spec([{ name: 'a' }, { name: 'sidecar' }, { name: 'b' }]);
    const patch = { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'b', image: '2' }] } };
    expect(merged(original, patch)).toEqual(spec([{ name: 'sidecar' }, { name: 'b', image: '2' }, { name: 'a' }]));
  });

  it('puts new items before those that the patch does not name, as the reference does', () => {
    expect(merged(spec([{ name: 'a' }]), spec([{ name: 'b' }]))).toEqual(spec([{ name: 'b' }, { name: 'a' }]));
  });

  it('keeps only the fields of $retainKeys: a new strategy or volume source replaces the old one', () => {
    const original = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
    const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } };
    expect(strategicMergePatch(deployment, original, patch)).toEqual({ spec: { strategy: { type: 'Recreate' } } });
    const volumes = { spec: { volumes: [{ name: 'v', emptyDir: {} }] } };
    const change = { spec: { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }] } };
    expect(merged(volumes, change)).toEqual({ spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } });
  });

  // Recorded from `kubectl apply` 1.33 after a port and a container were taken out of the files.
  it('applies what kubectl apply sends', () => {
    const service = {
      spec: {
        ports: [
          { name: 'http', port: 80 },
          { name: 'https', port: 443 },
        ],
        selector: { app: 'web' },
      },
    };
    const patch = { spec: { '$setElementOrder/ports': [{ port: 80 }], ports: [{ $patch: 'delete', port: 443 }] } };
    expect(strategicMergePatch('k8s.io.api.core.v1.Service', service, patch)).toEqual({
      spec: { ports: [{ name: 'http', port: 80 }], selector: { app: 'web' } },
    });
    const original = {
      spec: {
        template: { spec: { containers: [{ name: 'a', image: 'nginx', env: [{ name: 'X' }, { name: 'Z', value: '2' }] }, { name: 'b' }] } },
      },
    };
    const change = {
      spec: {
        template: {
          spec: {
            '$setElementOrder/containers': [{ name: 'a' }],
            containers: [
              {
                '$setElementOrder/env': [{ name: 'Z' }],
                env: [
                  { name: 'Z', value: '3' },
                  { $patch: 'delete', name: 'X' },
                ],
                image: 'nginx:2',
                name: 'a',
              },
              { $patch: 'delete', name: 'b' },
            ],
          },
        },
      },
    };
    expect(strategicMergePatch(deployment, original, change)).toEqual({
      spec: { template: { spec: { containers: [{ name: 'a', image: 'nginx:2', env: [{ name: 'Z', value: '3' }] }] } } },
    });
  });

  it('leaves no directive behind in what it adds', () => {
    const patch = {
      spec: {
        volumes: [{ $retainKeys: ['name'], name: 'v' }],
        '$setElementOrder/volumes': [{ name: 'v' }],
        nodeSelector: { $patch: 'replace', a: 'b' },
      },
    };
    expect(JSON.stringify(merged({}, patch))).not.toContain('$');
  });

  it.each([
    ['a string', 'a strategic merge patch must be an object'],
    [{ spec: { containers: [{ image: 'httpd' }] } }, 'map: map[image:httpd] does not contain declared merge key: name'],
    [{ spec: { containers: ['x'] } }, 'an item of containers is no object'],
    [{ $patch: 'remove' }, 'unknown patch type found: "remove"'],
    [{ spec: { containers: [{ name: 'a', $patch: 'remove' }] } }, 'unknown patch type found: "remove"'],
    [
      { spec: { '$setElementOrder/containers': [{ name: 'b' }], containers: [{ name: 'a' }] } },
      "doesn't match $setElementOrder/containers",
    ],
    [{ spec: { '$setElementOrder/tolerations': [], tolerations: [] } }, 'tolerations is not merged'],
    [{ spec: { '$setElementOrder/containers': [null] } }, 'an item of $setElementOrder/containers is no object'],
    [
      { spec: { '$setElementOrder/containers': ['a'], containers: [{ name: 'a' }] } },
      'an item of $setElementOrder/containers is no object',
    ],
    [{ metadata: { '$setElementOrder/finalizers': [null] } }, 'an item of $setElementOrder/finalizers is no primitive value'],
    [{ metadata: { finalizers: [{}] } }, 'an item of finalizers is no primitive value'],
    [{ metadata: { '$deleteFromPrimitiveList/finalizers': 'a' } }, 'must be a list'],
  ])('%j is refused', (patch, message) => {
    const act = () => strategicMergePatch(pod, { metadata: { finalizers: ['a'] }, ...spec([{ name: 'a' }]) }, patch);
    expect(act).toThrow(PatchError);
    expect(act).toThrow(message);
  });

  it('is idempotent, and throws nothing but PatchError', () => {
    const key = fc.constantFrom(
      'spec',
      'containers',
      'name',
      'a',
      '$patch',
      '$retainKeys',
      '$setElementOrder/containers',
      'metadata',
      'finalizers',
      'volumes',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('a', 'b', 'delete', 'replace', null),
        // Of items that are alike, a list that is new keeps all and one that is merged keeps one, as in the reference.
        fc.uniqueArray(tie('tree'), {
          maxLength: 3,
          selector: (item) => JSON.stringify((item as { name?: unknown } | null)?.name ?? item),
        }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, tree, (original, patch) => {
        try {
          const once = strategicMergePatch(pod, original, patch);
          expect(strategicMergePatch(pod, once, patch)).toEqual(once);
        } catch (error) {
          if (!(error instanceof PatchError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});
