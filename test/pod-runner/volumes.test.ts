import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type KubeObject, type Pod, resources } from '../../src/objects/client.ts';
import { startPodVolumes } from '../../src/pod-runner/effects/pod-volumes.ts';
import { writeVolume } from '../../src/pod-runner/effects/volume-writer.ts';
import { containerEnvironment } from '../../src/pod-runner/render/environment.ts';
import { bindMounts } from '../../src/pod-runner/volumes/mounts.ts';
import { renderVolume, type VolumeFile } from '../../src/pod-runner/volumes/render.ts';
import { resourceValue } from '../../src/pod-runner/volumes/resource-value.ts';
import { noReferences, type References, type Volume } from '../../src/pod-runner/volumes/types.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { container, pod } from './states.ts';

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'podwire-volumes-'));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const references: References = {
  configMap: (name) =>
    name === 'settings'
      ? {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name },
          data: { 'a.conf': 'A', 'not a variable=': 'x', PORT: '80' },
          binaryData: { bin: base64('\u0000') },
        }
      : undefined,
  secret: (name) =>
    name === 'keys' ? { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data: { password: base64('pw') } } : undefined,
  token: (volume, path) => (volume === 'access' && path === 'token' ? 'T' : undefined),
};
const render = (volume: Volume, of: Pod = pod()) => {
  const files = renderVolume(volume, of, references, { cpu: '2' });
  return files && Object.fromEntries([...files].map(([path, { content, mode }]) => [path, [content.toString(), mode.toString(8)]]));
};

describe('what is in a volume', () => {
  test('a ConfigMap is a file a key, or those that are asked for under their paths and modes', () => {
    expect(render({ name: 'v', configMap: { name: 'settings' } })).toMatchObject({ 'a.conf': ['A', '644'], bin: ['\u0000', '644'] });
    expect(
      render({ name: 'v', configMap: { name: 'settings', defaultMode: 0o400, items: [{ key: 'PORT', path: 'deep/port', mode: 0o600 }] } }),
    ).toEqual({ 'deep/port': ['80', '600'] });
  });

  test('a projected volume joins token, ConfigMap, Secret and downward API', () => {
    const sources = [
      { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
      { configMap: { name: 'settings', items: [{ key: 'a.conf', path: 'ca.crt' }] } },
      { secret: { name: 'keys' } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ];
    expect(render({ name: 'access', projected: { sources } })).toEqual({
      token: ['T', '644'],
      'ca.crt': ['A', '644'],
      password: ['pw', '644'],
      namespace: ['default', '644'],
    });
    const own = pod();
    (own.spec as { securityContext?: object }).securityContext = { runAsUser: 1000 };
    expect(render({ name: 'access', projected: { sources } }, own)).toMatchObject({ token: ['T', '600'] });
  });

  test('labels show as lines, sorted and quoted', () => {
    const items = [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }];
    expect(render({ name: 'v', downwardAPI: { items } }, pod({}, { labels: { b: 'x"y', a: '1' } }))).toEqual({
      labels: ['a="1"\nb="x\\"y"', '644'],
    });
  });

  test.each<[Volume, RegExp]>([
    [{ name: 'v', configMap: { name: 'none' } }, /^configmap "none" not found$/],
    [{ name: 'v', secret: { secretName: 'none' } }, /^secret "none" not found$/],
    [{ name: 'v', configMap: { name: 'settings', items: [{ key: 'k', path: 'k' }] } }, /^references non-existent config key: k$/],
    [{ name: 'v', secret: { secretName: 'keys', items: [{ key: 'k', path: 'k' }] } }, /^references non-existent secret key: k$/],
    [{ name: 'v', configMap: { name: 'settings', items: [{ key: 'PORT', path: '../x' }] } }, /must be relative/],
    [{ name: 'v', configMap: { name: 'settings', items: [{ key: 'PORT', path: '/x' }] } }, /must be relative/],
    [{ name: 'v', configMap: { name: 'settings', items: [{ key: 'PORT', path: 'a/../../x' }] } }, /must be relative/],
    [{ name: 'v', nfs: {} } as never, /^nfs volumes are not supported/],
  ])('%j is refused', (volume, problem) => {
    expect(() => render(volume)).toThrow(problem);
  });

  test('what is optional may be missing', () => {
    expect(render({ name: 'v', configMap: { name: 'none', optional: true } })).toEqual({});
    expect(render({ name: 'v', secret: { secretName: 'keys', optional: true, items: [{ key: 'k', path: 'k' }] } })).toEqual({});
  });

  test('a limit that is not set is what the node has; values are rounded up to the divisor', () => {
    const limited = { ...container('main'), resources: { limits: { cpu: '1500m', memory: '100Mi' } } };
    const value = (resource: string, divisor?: string) =>
      resourceValue(limited, { resource, ...(divisor ? { divisor } : {}) }, { cpu: '4', 'ephemeral-storage': '1Gi' });
    expect([value('limits.cpu'), value('limits.cpu', '1m'), value('limits.memory', '1Mi'), value('requests.memory')]).toEqual([
      '2',
      '1500',
      '100',
      '104857600',
    ]);
    expect([value('limits.ephemeral-storage', '1Gi'), value('requests.other'), value('nonsense')]).toEqual(['1', '0', undefined]);
  });
});

describe('variables out of the API', () => {
  const place = { nodeName: 'worker-1', hostIPs: [], podIPs: [], references, resources: { cpu: '2' } };
  const variables = (more: object) => Object.fromEntries(containerEnvironment(pod(), { ...container('main'), ...more } as never, place));

  test('come by key and as a whole; env wins over envFrom', () => {
    const found = variables({
      envFrom: [
        { configMapRef: { name: 'settings' }, prefix: 'S_' },
        { configMapRef: { name: 'settings' } },
        { secretRef: { name: 'none', optional: true } },
      ],
      env: [
        { name: 'PORT', value: '81' },
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
        { name: 'FROM', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a.conf' } } },
        { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      ],
    });
    expect(found).toMatchObject({ S_PORT: '80', PORT: '81', PASSWORD: 'pw', FROM: 'A', CPU: '2' });
    expect(Object.keys(found)).not.toContain('NONE');
    expect(Object.keys(found)).not.toContain('not a variable=');
  });

  test.each([
    [{ envFrom: [{ secretRef: { name: 'none' } }] }, /secret "none" not found/],
    [{ env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } }] }, /couldn't find key k in Secret default\/keys/],
    [
      { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'settings', key: 'k' } } }] },
      /couldn't find key k in ConfigMap default\/settings/,
    ],
  ])('%j is refused', (more, problem) => {
    expect(() => variables(more)).toThrow(problem);
  });
});

describe('mounts', () => {
  const volumes = [
    { name: 'conf', configMap: { name: 'settings' } },
    { name: 'work', emptyDir: {} },
    { name: 'host', hostPath: { path: '/opt' } },
  ];
  const mounts = (...volumeMounts: object[]) =>
    bindMounts(pod({ volumes } as never), { ...container('main'), volumeMounts } as never, new Map([['N', 'web']]), '/v');

  test('what comes out of the API is read-only; outer places come first', () => {
    expect(
      mounts(
        { name: 'conf', mountPath: '/work/etc//x/', subPath: 'a.conf' },
        { name: 'work', mountPath: '/work' },
        { name: 'work', mountPath: '/log', subPathExpr: '$(N)', readOnly: true },
        { name: 'host', mountPath: '/opt2' },
      ),
    ).toEqual([
      { source: '/v/work/web', target: '/log', readOnly: true },
      { source: '/v/work', target: '/work', readOnly: false },
      { source: '/opt', target: '/opt2', readOnly: false },
      { source: '/v/conf/a.conf', target: '/work/etc/x', readOnly: true },
    ]);
  });

  test('a sub-path cannot leave its volume', () => {
    for (const subPath of ['../x', '/etc', 'a/../../b'])
      expect(() => mounts({ name: 'work', mountPath: '/w', subPath })).toThrow(/leads out of/);
  });
});

describe('the writer', () => {
  const now = new Date(1_700_000_000_000);
  const files = (contents: Record<string, string>, mode = 0o644): Map<string, VolumeFile> =>
    new Map(Object.entries(contents).map(([path, text]) => [path, { content: Buffer.from(text), mode }]));

  test('lays files behind one link, and changes them all at once', () => {
    const dir = join(folder(), 'v');
    expect(writeVolume(dir, files({ a: '1', 'deep/b': '2' }, 0o600), now)).toBe(true);
    const first = readlinkSync(join(dir, '..data'));
    expect(lstatSync(join(dir, 'a')).isSymbolicLink()).toBe(true);
    expect([readFileSync(join(dir, 'a'), 'utf8'), readFileSync(join(dir, 'deep/b'), 'utf8')]).toEqual(['1', '2']);
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o600);
    expect(writeVolume(dir, files({ a: '1', 'deep/b': '2' }, 0o600), now)).toBe(false);
    expect(readlinkSync(join(dir, '..data'))).toBe(first);
    expect(writeVolume(dir, files({ a: '1', c: '3' }), now)).toBe(true);
    expect(
      readdirSync(dir)
        .filter((name) => !name.startsWith('..'))
        .toSorted(),
    ).toEqual(['a', 'c']);
    expect(existsSync(join(dir, first))).toBe(false);
  });

  test('clears up after one that was killed', () => {
    const dir = join(folder(), 'v');
    writeVolume(dir, files({ a: '1' }), now);
    writeFileSync(join(dir, '..data_tmp'), '');
    writeFileSync(join(dir, '..2020_01_01_00_00_00.dead'), '');
    writeVolume(dir, files({ a: '2' }), now);
    expect(readdirSync(dir).filter((name) => name.startsWith('..'))).toHaveLength(2);
    expect(readFileSync(join(dir, 'a'), 'utf8')).toBe('2');
  });

  test('ends with what was asked for last, whatever came before', () => {
    const name = fc.constantFrom('a', 'b', 'c/d', 'c/e', 'f');
    const content = fc.dictionary(name, fc.string({ maxLength: 8 }), { maxKeys: 4 });
    const root = folder();
    let round = 0;
    fc.assert(
      fc.property(fc.array(content, { minLength: 1, maxLength: 4 }), (steps) => {
        const dir = join(root, String(round++));
        for (const step of steps) writeVolume(dir, files(step), now);
        const last = steps.at(-1)!;
        for (const [path, text] of Object.entries(last)) expect(readFileSync(join(dir, path), 'utf8')).toBe(text);
        const tops = new Set(Object.keys(last).map((path) => path.split('/')[0]));
        expect(new Set(readdirSync(dir).filter((each) => !each.startsWith('..')))).toEqual(tops);
      }),
      { numRuns: 40 },
    );
  });
});

describe('keeping them', () => {
  async function settle(clock: FakeClock, milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 500) await clock.advance(500);
  }

  function setUp(volumes: readonly Volume[]) {
    const clock = createFakeClock(1_700_000_000_000);
    const client = createFakeClient(createFakeCluster(), clock, () => 0.5);
    const dir = folder();
    const asked: { account: string; body: unknown }[] = [];
    let changes = 0;
    const of = pod({ volumes, serviceAccountName: 'robot' } as never);
    const start = () =>
      startPodVolumes(of, {
        client: {
          get: client.get,
          createSubresource(_resource, account, _namespace, _subresource, body) {
            asked.push({ account, body });
            const seconds = (body as { spec: { expirationSeconds: number } }).spec.expirationSeconds;
            return Promise.resolve({
              status: { token: `token-${asked.length}`, expirationTimestamp: new Date(clock.now() + seconds * 1_000).toISOString() },
            });
          },
        },
        clock,
        log: silentLogger(),
        dir,
        resources: {},
        isStatic: false,
        onChange: () => changes++,
      });
    return { clock, client, dir, asked, start, changes: () => changes };
  }

  test('a volume waits for what it is made of, and follows its changes', async () => {
    const { clock, client, dir, start, changes } = setUp([{ name: 'conf', configMap: { name: 'settings' } }]);
    const volumes = start();
    expect(volumes.state).toEqual({ phase: 'pending' });
    await settle(clock, 1_000);
    expect(volumes.state).toEqual({
      phase: 'failed',
      message: 'MountVolume.SetUp failed for volume "conf" : configmap "settings" not found',
    });
    const made = await client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { a: '1' },
    } as KubeObject);
    await settle(clock, 6_000);
    expect(volumes.state).toEqual({ phase: 'ready' });
    expect(readFileSync(join(dir, 'conf/a'), 'utf8')).toBe('1');
    await client.update(resources.configMaps, { ...made, data: { a: '2' } } as never);
    const before = changes();
    await settle(clock, 11_000);
    expect(readFileSync(join(dir, 'conf/a'), 'utf8')).toBe('2');
    expect(changes()).toBeGreaterThan(before);
    await client.delete(resources.configMaps, 'settings', 'default');
    await settle(clock, 11_000);
    // A running pod keeps what it has.
    expect(volumes.state).toEqual({ phase: 'ready' });
    expect(readFileSync(join(dir, 'conf/a'), 'utf8')).toBe('2');
    volumes.stop();
  });

  test('a token is bound to the pod, and renewed at 80% of its life', async () => {
    const { clock, dir, asked, start } = setUp([
      { name: 'access', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 1_000, audience: 'vault' } }] } },
    ]);
    const volumes = start();
    await settle(clock, 500);
    expect(readFileSync(join(dir, 'access/token'), 'utf8')).toBe('token-1');
    expect(asked[0]).toMatchObject({
      account: 'robot',
      body: {
        spec: {
          audiences: ['vault'],
          expirationSeconds: 1_000,
          boundObjectRef: { kind: 'Pod', name: pod().metadata.name, uid: pod().metadata.uid },
        },
      },
    });
    await settle(clock, 790_000);
    expect(readFileSync(join(dir, 'access/token'), 'utf8')).toBe('token-1');
    await settle(clock, 20_000);
    expect(readFileSync(join(dir, 'access/token'), 'utf8')).toBe('token-2');
    expect(asked).toHaveLength(2);
    volumes.stop();
    await settle(clock, 2_000_000);
    expect(asked).toHaveLength(2);
  });

  test('a pod without volumes is ready at once', () => {
    const volumes = setUp([]).start();
    expect(volumes.state).toEqual({ phase: 'ready' });
    expect(volumes.references.configMap('x')).toEqual(noReferences.configMap('x'));
  });
});
