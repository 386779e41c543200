import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { diffSlices, groupKey } from '../../src/controllers/endpoints/slice-diff.ts';
import { type Endpoint, type Endpoints, type EndpointSlice, type Pod, resources, type Service } from '../../src/objects/index.ts';
import { now, service, settle, startCluster, type TestCluster, until } from './harness.ts';

let cluster: TestCluster;
afterEach(() => cluster?.daemon.stop());

const pod = (
  name: string,
  number: number,
  change: { ready?: boolean; spec?: Partial<Pod['spec']>; labels?: Record<string, string>; phase?: 'Running' | 'Succeeded' } = {},
): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    resourceVersion: String(Math.floor(performance.now() * 1_000)),
    creationTimestamp: now(),
    labels: change.labels ?? { app: 'web' },
  },
  spec: { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080 }] }], nodeName: 'a', ...change.spec },
  status: {
    phase: change.phase ?? 'Running',
    podIP: `10.244.0.${number}`,
    podIPs: [{ ip: `10.244.0.${number}` }, { ip: `fd00::${number}` }],
    conditions: [{ type: 'Ready', status: change.ready === false ? 'False' : 'True', lastTransitionTime: now() }],
  },
});
const slices = (family = 'IPv4') => cluster.list(resources.endpointSlices).filter(({ addressType }) => addressType === family);
const addresses = () =>
  slices()
    .flatMap(({ endpoints }) => endpoints.flatMap((endpoint) => endpoint.addresses))
    .sort();

describe('endpoint slices of a service', () => {
  test('an empty slice of each family tells that there is nothing; pods fill them with all that proxies need', async () => {
    cluster = await startCluster();
    const made = await cluster.client.create(resources.services, service('web'));
    await until(() => cluster.list(resources.endpointSlices).length === 2, 'there are two slices');
    expect(slices()[0]).toMatchObject({ endpoints: [], ports: [] });
    cluster.cluster.set(resources.pods, pod('p', 7));
    const [slice] = await until(() => (slices('IPv6')[0]?.endpoints.length === 1 ? slices() : undefined), 'the pod is listed');
    expect(slice!.metadata).toMatchObject({
      generateName: 'web-',
      labels: { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
      ownerReferences: [{ kind: 'Service', name: 'web', uid: made.metadata.uid, controller: true, blockOwnerDeletion: true }],
    });
    expect(slice!.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
    expect(Date.parse(slice!.metadata.annotations!['endpoints.kubernetes.io/last-change-trigger-time']!)).toBeGreaterThan(
      Date.now() - 5_000,
    );
    expect(slice!.ports).toEqual([{ name: '', protocol: 'TCP', port: 8080 }]);
    expect(slice!.endpoints).toEqual([
      {
        addresses: ['10.244.0.7'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'a',
        targetRef: { kind: 'Pod', namespace: 'default', name: 'p', uid: 'uid-p' },
      },
    ]);
    expect(slices('IPv6')[0]!.endpoints[0]!.addresses).toEqual(['fd00::7']);
    // The placeholder was turned into the first slice: nothing was deleted.
    expect(cluster.client.writes.filter((write) => write.startsWith('delete'))).toEqual([]);
  });

  test('readiness, termination, finished pods and publishNotReadyAddresses show in the conditions', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.pods, pod('ready', 1));
    cluster.cluster.set(resources.pods, pod('unready', 2, { ready: false }));
    const ending = pod('ending', 3);
    cluster.cluster.set(resources.pods, { ...ending, metadata: { ...ending.metadata, deletionTimestamp: now() } });
    cluster.cluster.set(resources.pods, pod('done', 4, { phase: 'Succeeded' }));
    await cluster.client.create(resources.services, service('web'));
    await until(() => addresses().length === 3, 'three endpoints');
    const byName = () =>
      Object.fromEntries(slices().flatMap(({ endpoints }) => endpoints.map(({ targetRef, conditions }) => [targetRef!.name!, conditions])));
    expect(byName()).toEqual({
      ready: { ready: true, serving: true, terminating: false },
      unready: { ready: false, serving: false, terminating: false },
      ending: { ready: false, serving: true, terminating: true },
    });
    const legacy = await until(() => cluster.get(resources.endpoints, 'default/web'), 'Endpoints exist');
    expect(legacy.subsets).toMatchObject([
      { addresses: [{ ip: '10.244.0.1' }], notReadyAddresses: [{ ip: '10.244.0.2' }], ports: [{ port: 8080, protocol: 'TCP' }] },
    ]);
    await cluster.client.patch(resources.services, 'web', 'default', 'merge', { spec: { publishNotReadyAddresses: true } });
    await until(() => Object.values(byName()).every((conditions) => conditions!.ready), 'all count as ready');
  });

  test('a named target port is looked up in each pod; pods that differ go into slices of their own', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.pods, pod('a', 1));
    cluster.cluster.set(
      resources.pods,
      pod('b', 2, { spec: { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 9090 }] }] } }),
    );
    await cluster.client.create(
      resources.services,
      service('web', { ports: [{ name: 'web', port: 80, targetPort: 'http', appProtocol: 'http' }] }),
    );
    await until(() => slices().length === 2, 'two slices');
    expect(
      slices()
        .map(({ ports, endpoints }) => [ports![0]!.port, endpoints[0]!.targetRef!.name])
        .sort(),
    ).toEqual([
      [8080, 'a'],
      [9090, 'b'],
    ]);
    expect(slices()[0]!.ports![0]).toMatchObject({ name: 'web', protocol: 'TCP', appProtocol: 'http' });
  });

  test('headless services carry the label and host names; services without selector and external names are left alone', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.pods, pod('p', 1, { spec: { hostname: 'db-0', subdomain: 'web' } }));
    await cluster.client.create(resources.services, service('web', { clusterIP: 'None', clusterIPs: ['None'], ports: [] }));
    await cluster.client.create(resources.services, service('manual', { selector: {} }));
    await cluster.client.create(resources.services, service('ext', { type: 'ExternalName', externalName: 'example.org' }));
    await until(() => addresses().length === 1, 'the headless service has its endpoint');
    expect(slices()[0]).toMatchObject({
      metadata: { labels: { 'service.kubernetes.io/headless': '' } },
      endpoints: [{ hostname: 'db-0' }],
    });
    await settle();
    expect(cluster.list(resources.endpointSlices).every(({ metadata }) => metadata.labels!['kubernetes.io/service-name'] === 'web')).toBe(
      true,
    );
    expect(cluster.list(resources.endpoints).map(({ metadata }) => metadata.name)).toEqual(['web']);
  });

  test('what does not change is not written: status chatter, other pods, a restart of the controllers', async () => {
    cluster = await startCluster();
    await cluster.client.create(resources.services, service('web'));
    cluster.cluster.set(resources.pods, pod('p', 1));
    await until(
      () => slices('IPv6')[0]?.endpoints.length === 1 && cluster.get(resources.endpoints, 'default/web')?.subsets?.length,
      'the pod is listed',
    );
    const before = cluster.client.writes.length;
    const chatty = pod('p', 1);
    cluster.cluster.set(resources.pods, { ...chatty, metadata: { ...chatty.metadata, annotations: { note: 'x' } } });
    cluster.cluster.set(resources.pods, pod('q', 2, { labels: { app: 'other' } }));
    await settle();
    await cluster.restart();
    await settle();
    expect(cluster.client.writes.slice(before)).toEqual([]);
  });

  test('a slice that someone deletes or changes is put right; the slices and Endpoints go with the service', async () => {
    cluster = await startCluster();
    await cluster.client.create(resources.services, service('web'));
    cluster.cluster.set(resources.pods, pod('p', 1));
    await until(() => addresses().length === 1, 'the pod is listed');
    const [slice] = slices();
    await cluster.client.update(resources.endpointSlices, { ...slice!, endpoints: [] });
    await until(() => addresses().length === 1, 'it is put right');
    await cluster.client.delete(resources.endpointSlices, slices()[0]!.metadata.name, 'default');
    await until(() => addresses().length === 1, 'it is made again');
    await cluster.client.delete(resources.services, 'web', 'default');
    await until(() => cluster.list(resources.endpointSlices).length + cluster.list(resources.endpoints).length === 0, 'all is gone');
  });
});

describe('diffSlices', () => {
  const endpoint = (name: string, ready = true): Endpoint => ({
    addresses: [`10.0.0.${name}`],
    conditions: { ready },
    targetRef: { kind: 'Pod', namespace: 'd', name, uid: name },
  });
  const ports = [{ name: '', protocol: 'TCP' as const, port: 80 }];
  let serial = 0;
  const apply = (
    existing: readonly EndpointSlice[],
    groups: Parameters<typeof diffSlices>[0],
    max: number,
  ): { slices: EndpointSlice[]; writes: number } => {
    const { write, remove, keep } = diffSlices(groups, existing, max);
    const made = write.map(
      ({ slice, addressType, ports: own, endpoints }): EndpointSlice => ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: slice?.metadata ?? { name: `s${serial++}` },
        addressType,
        ports: [...own],
        endpoints: [...endpoints],
      }),
    );
    return { slices: [...keep, ...made], writes: write.length + remove.length };
  };
  const group = (names: readonly string[], ready = true) => [
    { addressType: 'IPv4' as const, ports, endpoints: names.map((name) => endpoint(name, ready)) },
  ];

  test('any change of pods ends with each listed once, no slice too full, and nothing to do the second time', () => {
    const state = fc.record({ names: fc.uniqueArray(fc.integer({ min: 0, max: 40 }).map(String), { maxLength: 30 }), ready: fc.boolean() });
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 8 }), (states) => {
        let existing: EndpointSlice[] = [];
        for (const { names, ready } of states) {
          existing = apply(existing, group(names, ready), 7).slices;
          expect(existing.flatMap(({ endpoints }) => endpoints.map(({ targetRef }) => targetRef!.name)).sort()).toEqual([...names].sort());
          for (const { endpoints } of existing) expect(endpoints.length).toBeLessThanOrEqual(7);
          expect(existing.length).toBeGreaterThan(0);
          expect(apply(existing, group(names, ready), 7).writes).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('250 pods make three slices; one more or one less writes one slice', () => {
    const names = Array.from({ length: 250 }, (_, index) => String(index));
    const { slices: full, writes } = apply([], group(names), 100);
    expect([full.length, writes]).toEqual([3, 3]);
    expect(apply(full, group([...names, 'new']), 100).writes).toBe(1);
    expect(apply(full, group(names.slice(1)), 100).writes).toBe(1);
  });

  test('ports that the API server filled in are recognised', () => {
    expect(groupKey('IPv4', [{ port: 80 }])).toBe(groupKey('IPv4', [{ name: '', protocol: 'TCP', port: 80 }]));
  });
});

describe('mirroring', () => {
  const mirrors = () =>
    cluster
      .list(resources.endpointSlices)
      .filter(({ metadata }) => metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === 'endpointslicemirroring-controller.k8s.io');
  const endpoints = (subsets: Endpoints['subsets'], labels: Record<string, string> = {}): Endpoints => ({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'db', namespace: 'default', labels },
    ...(subsets ? { subsets } : {}),
  });
  const { selector: _none, ...spec } = service('db').spec;
  const bare: Service = { ...service('db'), spec };

  test('Endpoints made by hand for a service without selector become slices by family and ports, follow them and go with them', async () => {
    cluster = await startCluster();
    await cluster.client.create(resources.services, bare);
    const ports = [{ name: 'sql', port: 5432, protocol: 'TCP' as const }];
    await cluster.client.create(
      resources.endpoints,
      endpoints(
        [{ addresses: [{ ip: '192.0.2.1' }, { ip: 'fd00::1' }], notReadyAddresses: [{ ip: '192.0.2.2', hostname: 'two' }], ports }],
        { team: 'x' },
      ),
    );
    await until(() => mirrors().length === 2, 'there is a slice of each family');
    const v4 = mirrors().find(({ addressType }) => addressType === 'IPv4')!;
    expect(v4).toMatchObject({
      metadata: {
        labels: { team: 'x', 'kubernetes.io/service-name': 'db' },
        ownerReferences: [{ kind: 'Endpoints', name: 'db', controller: true }],
      },
      ports,
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: true } },
        { addresses: ['192.0.2.2'], conditions: { ready: false }, hostname: 'two' },
      ],
    });
    await cluster.client.patch(resources.endpoints, 'db', 'default', 'merge', {
      subsets: [{ addresses: [{ ip: '192.0.2.9' }, { ip: 'nonsense' }], ports }],
    });
    await until(() => mirrors().length === 1 && mirrors()[0]!.endpoints[0]!.addresses[0] === '192.0.2.9', 'the slices follow');
    expect(mirrors()[0]!.metadata.name).toBe(v4.metadata.name);
    await until(() => cluster.list(resources.events).some(({ reason }) => reason === 'InvalidIPAddress'), 'the bad address is told');
    await cluster.client.delete(resources.endpoints, 'db', 'default');
    await until(() => mirrors().length === 0, 'they go');
  });

  test('nothing is mirrored for a service with a selector, without a service, or when a label says so; at most 1000 addresses are', async () => {
    cluster = await startCluster();
    const subset = { addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 1 }] };
    await cluster.client.create(resources.endpoints, endpoints([subset], { 'endpointslice.kubernetes.io/skip-mirror': 'true' }));
    await cluster.client.create(resources.services, bare);
    await settle();
    expect(mirrors()).toEqual([]);
    const many = Array.from({ length: 1_003 }, (_, index) => ({ ip: `10.9.${index >> 8}.${index & 255}` }));
    await cluster.client.patch(resources.endpoints, 'db', 'default', 'merge', {
      metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': null } },
      subsets: [{ ...subset, addresses: many }],
    });
    await until(() => mirrors()[0]?.endpoints.length === 1_000, 'a thousand are mirrored');
    await until(
      () => cluster.list(resources.events).some(({ message }) => message?.endsWith('3 addresses were skipped')),
      'the rest is told',
    );
    await cluster.client.patch(resources.services, 'db', 'default', 'merge', { spec: { selector: { app: 'db' } } });
    await until(() => mirrors().length === 0, 'a selector ends it');
  });
});
