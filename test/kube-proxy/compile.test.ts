import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileProxy, createProxyCompiler, type ServicePortModel } from '../../src/kube-proxy/index.ts';
import type { EndpointSlice, Node, Service } from '../../src/objects/index.ts';
import { endpoint, node, service, slice } from './objects.ts';

const compile = (services: readonly Service[], slices: readonly EndpointSlice[], on: Node = node(), family: 4 | 6 = 4) =>
  compileProxy({ nodeName: 'worker-1', node: on, services, endpointSlices: slices }, family);
const one = (...args: Parameters<typeof compile>): ServicePortModel => compile(...args).services[0]!;
const reasons = ({ endpoints }: ServicePortModel, policy: 'underCluster' | 'underLocal' = 'underCluster') =>
  Object.fromEntries(endpoints.map((each) => [each.address, each[policy]]));
const addressesOf = (backends: readonly { address: string }[]) => backends.map(({ address }) => address);

describe('which endpoints serve', () => {
  test('ready ones, and those that terminate only when none is ready (KEP-1669)', () => {
    const states = [
      endpoint('10.244.1.2', 'worker-1'),
      endpoint('10.244.1.3', 'worker-1', 'unready'),
      endpoint('10.244.2.2', 'worker-2', 'serving-terminating'),
    ];
    const some = one([service({})], [slice(states)]);
    expect(reasons(some)).toEqual({ '10.244.1.2': 'used-ready', '10.244.1.3': 'not-ready', '10.244.2.2': 'not-needed' });
    const none = one([service({})], [slice(states.slice(1))]);
    expect(reasons(none)).toEqual({ '10.244.1.3': 'not-ready', '10.244.2.2': 'used-terminating' });
    expect(addressesOf(none.clusterBackends)).toEqual(['10.244.2.2']);
    const gone = one([service({})], [slice([endpoint('10.244.2.2', 'worker-2', 'terminating')])]);
    expect(reasons(gone)).toEqual({ '10.244.2.2': 'not-serving' });
    expect(gone.hasEndpoints).toBe(false);
  });

  test('missing conditions mean ready, serving and not terminating', () => {
    expect(addressesOf(one([service({})], [slice([{ addresses: ['10.244.1.2'] }])]).clusterBackends)).toEqual(['10.244.1.2']);
  });

  test('policy Local falls back to terminating endpoints for itself, whatever is ready elsewhere', () => {
    const model = one(
      [service({ type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ name: 'http', port: 80, nodePort: 30_080 }] })],
      [slice([endpoint('10.244.1.2', 'worker-1', 'serving-terminating'), endpoint('10.244.2.2', 'worker-2')])],
    );
    expect(reasons(model, 'underLocal')).toEqual({ '10.244.1.2': 'used-terminating', '10.244.2.2': 'other-node' });
    expect(addressesOf(model.clusterBackends)).toEqual(['10.244.2.2']);
    expect(addressesOf(model.backends)).toEqual(['10.244.1.2', '10.244.2.2']);
  });

  test('internal policy Local uses only this node', () => {
    const model = one(
      [service({ internalTrafficPolicy: 'Local' })],
      [slice([endpoint('10.244.1.2', 'worker-1'), endpoint('10.244.2.2', 'worker-2')])],
    );
    expect(addressesOf(model.localBackends)).toEqual(['10.244.1.2']);
    expect(reasons(model)).toEqual({ '10.244.1.2': 'policy-unused', '10.244.2.2': 'policy-unused' });
  });

  test('zone hints are followed when every ready endpoint has one and one is for this zone', () => {
    const hinted = (address: string, zone?: string) =>
      endpoint(address, 'worker-2', 'ready', zone ? { hints: { forZones: [{ name: zone }] } } : {});
    const both = [slice([hinted('10.244.1.2', 'a'), hinted('10.244.1.3', 'b')])];
    expect(reasons(one([service({})], both, node('worker-1', 'a')))).toEqual({
      '10.244.1.2': 'used-hinted-zone',
      '10.244.1.3': 'other-zone',
    });
    expect(one([service({})], both, node('worker-1', 'c')).clusterBackends).toHaveLength(2);
    expect(one([service({})], both).clusterBackends).toHaveLength(2);
    const missing = [slice([hinted('10.244.1.2', 'a'), hinted('10.244.1.3')])];
    expect(one([service({})], missing, node('worker-1', 'a')).clusterBackends).toHaveLength(2);
  });

  test('node hints come before zone hints', () => {
    const hints = (name: string) => ({ hints: { forNodes: [{ name }], forZones: [{ name: 'a' }] } });
    const slices = [
      slice([
        endpoint('10.244.1.2', 'worker-1', 'ready', hints('worker-1')),
        endpoint('10.244.2.2', 'worker-2', 'ready', hints('worker-2')),
      ]),
    ];
    expect(reasons(one([service({})], slices, node('worker-1', 'a')))).toEqual({
      '10.244.1.2': 'used-hinted-node',
      '10.244.2.2': 'other-node-hint',
    });
  });

  test('a named port may be another number in each slice, and ports of other names or protocols do not count', () => {
    const model = one(
      [service({})],
      [
        slice([endpoint('10.244.1.2', 'worker-1')]),
        slice(
          [endpoint('10.244.1.3', 'worker-1')],
          {
            ports: [
              { name: 'http', port: 9090 },
              { name: 'admin', port: 1 },
              { name: 'http', port: 2, protocol: 'UDP' },
            ],
          },
          'web-2',
        ),
      ],
    );
    expect(model.clusterBackends.map(({ text }) => text)).toEqual(['10.244.1.2:8080', '10.244.1.3:9090']);
  });

  test('an endpoint in two slices counts once, as ready as either says', () => {
    const slices = [slice([endpoint('10.244.1.2', 'worker-1', 'unready')]), slice([endpoint('10.244.1.2', 'worker-1')], {}, 'web-2')];
    for (const order of [slices, slices.toReversed()]) expect(reasons(one([service({})], order))).toEqual({ '10.244.1.2': 'used-ready' });
  });
});

describe('which services are programmed', () => {
  test('headless, foreign and external-name services are skipped, with the reason', () => {
    const model = compile(
      [
        service({ clusterIP: 'None' }, { name: 'a' }),
        service({}, { name: 'b', labels: { 'service.kubernetes.io/service-proxy-name': 'other' } }),
        service({}, { name: 'c', labels: { 'service.kubernetes.io/headless': '' } }),
        service({ type: 'ExternalName', clusterIP: '' }, { name: 'd' }),
        service({ clusterIP: '' }, { name: 'e' }),
      ],
      [],
    );
    expect(model.services).toEqual([]);
    expect(model.skipped.map(({ service: name }) => name)).toEqual(['default/a', 'default/b', 'default/c', 'default/d', 'default/e']);
  });

  test('each family takes its own cluster IP, addresses, ranges and slices', () => {
    const dual = service(
      {
        type: 'LoadBalancer',
        clusterIPs: ['10.96.0.20', 'fd00:10:96::20'],
        externalIPs: ['203.0.113.7', '2001:db8::7'],
        loadBalancerSourceRanges: ['198.51.100.0/24', '2001:db8:1::/48'],
      },
      {},
      {
        loadBalancer: {
          ingress: [
            { ip: '203.0.113.9' },
            { ip: '2001:db8::9', ipMode: 'VIP' },
            { ip: '203.0.113.10', ipMode: 'Proxy' },
            { hostname: 'x' },
          ],
        },
      },
    );
    const slices = [
      slice([endpoint('10.244.1.2', 'worker-1')]),
      slice([endpoint('fd00:10:244:1::2', 'worker-1')], { addressType: 'IPv6' }, 'web-2'),
    ];
    expect(one([dual], slices)).toMatchObject({
      clusterIP: '10.96.0.20',
      externalIPs: ['203.0.113.7'],
      loadBalancerIPs: ['203.0.113.9'],
      sourceRanges: ['198.51.100.0/24'],
      clusterBackends: [{ text: '10.244.1.2:8080' }],
    });
    expect(one([dual], slices, node(), 6)).toMatchObject({
      clusterIP: 'fd00:10:96::20',
      externalIPs: ['2001:db8::7'],
      loadBalancerIPs: ['2001:db8::9'],
      sourceRanges: ['2001:db8:1::/48'],
      clusterBackends: [{ text: '[fd00:10:244:1::2]:8080' }],
    });
    expect(compile([service({})], slices, node(), 6).services).toEqual([]);
  });

  test('what cannot be programmed is told by object, field and reason, and the rest is', () => {
    const model = compile(
      [service({ externalIPs: ['203.0.113.7', 'nonsense'], loadBalancerSourceRanges: ['10.0.0.0/99'] })],
      [slice([endpoint('fd00::1', 'worker-1'), endpoint('10.244.1.2', 'worker-1')])],
    );
    expect(model.services[0]).toMatchObject({ externalIPs: ['203.0.113.7'], clusterBackends: [{ address: '10.244.1.2' }] });
    expect(model.problems).toEqual([
      { object: 'EndpointSlice default/web-1', field: 'endpoints[0].addresses[0]', reason: '"fd00::1" is not an IPv4 address' },
      { object: 'Service default/web', field: 'spec.externalIPs[1]', reason: '"nonsense" is not an IP address' },
      { object: 'Service default/web', field: 'spec.loadBalancerSourceRanges[0]', reason: '"10.0.0.0/99" is not a CIDR' },
    ]);
  });

  test('session affinity lasts three hours unless said otherwise', () => {
    expect(one([service({ sessionAffinity: 'ClientIP' })], []).affinitySeconds).toBe(10_800);
    expect(
      one([service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } })], []).affinitySeconds,
    ).toBe(60);
    expect(one([service({})], []).affinitySeconds).toBeUndefined();
  });
});

test('the result depends on the objects, not on their order', () => {
  const services = ['a', 'b', 'c'].map((name, index) => service({ clusterIP: `10.96.0.${index + 1}` }, { name }));
  const slices = services.flatMap(({ metadata: { name } }, index) => [
    slice([endpoint(`10.244.1.${index}`, 'worker-1'), endpoint('10.244.1.99', 'worker-1', 'unready')], {}, `${name}-1`, name),
    slice([endpoint('10.244.1.99', 'worker-1')], {}, `${name}-2`, name),
  ]);
  const expected = compile(services, slices);
  fc.assert(
    fc.property(
      fc.shuffledSubarray(services, { minLength: 3 }),
      fc.shuffledSubarray(slices, { minLength: 6 }),
      (shuffled, shuffledSlices) => {
        expect(compile(shuffled, shuffledSlices)).toEqual(expected);
      },
    ),
    { numRuns: 50 },
  );
});

test('a compiler gives back the same model objects for objects that have not changed', () => {
  const compiler = createProxyCompiler(4);
  const services = [service({}), service({ clusterIP: '10.96.0.30' }, { name: 'other' })];
  const slices = [slice([endpoint('10.244.1.2', 'worker-1')])];
  const input = { nodeName: 'worker-1', node: node(), services, endpointSlices: slices };
  const first = compiler(input);
  const second = compiler({ ...input, endpointSlices: [slice([endpoint('10.244.1.3', 'worker-1')])] });
  expect(second.services[0]).toBe(first.services[0]);
  expect(second.services[1]).not.toBe(first.services[1]);
  expect(addressesOf(second.services[1]!.clusterBackends)).toEqual(['10.244.1.3']);
});
