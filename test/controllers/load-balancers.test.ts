import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { controllersOptions } from '../../src/controllers/index.ts';
import { readPools } from '../../src/controllers/load-balancers/pool.ts';
import { decideAddresses } from '../../src/controllers/load-balancers/reconcile.ts';
import { resources, type Service } from '../../src/objects/index.ts';
import { service, settle, startCluster, type TestCluster, until } from './harness.ts';

const balanced = (name: string, change: Partial<Service['spec']> = {}, ...ips: string[]): Service => {
  const made = service(name, { type: 'LoadBalancer', ipFamilies: ['IPv4'], ...change });
  return {
    ...made,
    metadata: { ...made.metadata, creationTimestamp: `2030-01-01T00:00:0${name.length % 10}Z` },
    ...(ips.length > 0 ? { status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } } } : {}),
  };
};
const decide = (services: Service[], ...pools: string[]) =>
  Object.fromEntries(
    decideAddresses(services, { pools: readPools(pools), loadBalancerClass: 'podwire.io/pool' }).map(
      ({ service: of, addresses, problem }) => [of.metadata.name, problem ?? addresses.join()],
    ),
  );

describe('pools', () => {
  test('are CIDRs or ranges of one family that overlap neither each other nor the cluster', () => {
    expect(readPools(['192.0.2.0/30', '2001:db8::10-2001:db8::1f'])).toMatchObject([
      { family: 4, first: 0xc0000201n, last: 0xc0000202n },
      { family: 6, last: 0x20010db800000000000000000000001fn },
    ]);
    for (const [pool, reason] of [
      ['192.0.2.1/30', 'without host bits'],
      ['192.0.2.9-192.0.2.3', 'comes after'],
      ['192.0.2.1-::1', 'different families'],
      ['x', 'expected a CIDR'],
      ['1.2.3.4-1.2.3.5-1.2.3.6', 'FIRST-LAST'],
    ])
      expect(() => controllersOptions({ loadBalancerPools: [pool!] }), pool).toThrow(reason);
    expect(() => controllersOptions({ loadBalancerPools: ['192.0.2.0/28', '192.0.2.8-192.0.2.9'] })).toThrow(
      'load-balancer pools 192.0.2.0/28 and 192.0.2.8-192.0.2.9 overlap',
    );
    expect(() => controllersOptions({ loadBalancerPools: ['10.96.7.0/28'] })).toThrow(
      'load-balancer pool 10.96.7.0/28 overlaps service CIDR',
    );
  });
});

describe('deciding', () => {
  test('what services have stays, requests come before others, classes of others are left alone', () => {
    expect(
      decide(
        [
          balanced('a'),
          balanced('bb', {}, '192.0.2.1'),
          balanced('ccc', { loadBalancerIP: '192.0.2.2' }),
          balanced('dddd', { loadBalancerClass: 'example.com/other' }),
          balanced('eeeee', { loadBalancerClass: 'podwire.io/pool' }),
        ],
        '192.0.2.1-192.0.2.4',
      ),
    ).toEqual({ a: '192.0.2.3', bb: '192.0.2.1', ccc: '192.0.2.2', eeeee: '192.0.2.4' });
  });

  test('one address of each family; what is lacking is told by family', () => {
    expect(decide([balanced('a', { ipFamilies: ['IPv6', 'IPv4'] })], '192.0.2.0/30', '2001:db8::/126')).toEqual({
      a: '2001:db8::,192.0.2.1',
    });
    expect(decide([balanced('a', { ipFamilies: ['IPv6'] })], '192.0.2.0/30')).toEqual({ a: 'there is no pool of IPv6 addresses' });
    expect(decide([balanced('a', {}, '192.0.2.1'), balanced('bb')], '192.0.2.1-192.0.2.1')).toEqual({
      a: '192.0.2.1',
      bb: 'no free IPv4 address in 192.0.2.1-192.0.2.1',
    });
  });

  test('a request that cannot be met is told, and nothing else is given instead', () => {
    const pool = '192.0.2.1-192.0.2.9';
    expect(decide([balanced('a', { loadBalancerIP: '198.51.100.1' })], pool)).toEqual({
      a: 'requested address 198.51.100.1 is in no pool',
    });
    expect(decide([balanced('a', {}, '192.0.2.5'), balanced('bb', { loadBalancerIP: '192.0.2.5' })], pool)).toEqual({
      a: '192.0.2.5',
      bb: 'requested address 192.0.2.5 is in use by service default/a',
    });
    expect(decide([balanced('a', { loadBalancerIP: 'x' })], pool)).toMatchObject({ a: 'requested address "x" is no IP address' });
    expect(decide([balanced('a', { loadBalancerIP: '192.0.2.7' }, '192.0.2.5')], pool)).toEqual({ a: '192.0.2.7' });
  });

  test('of two with the same address the older keeps it; addresses out of the pools are given up; those of a service on its way out are not given again', () => {
    const leaving = balanced('a', {}, '192.0.2.1');
    leaving.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
    expect(decide([leaving, balanced('bb')], '192.0.2.1-192.0.2.2')).toEqual({ bb: '192.0.2.2' });
    expect(decide([balanced('bb', {}, '192.0.2.1'), balanced('a', {}, '192.0.2.1')], '192.0.2.1-192.0.2.2')).toEqual({
      a: '192.0.2.1',
      bb: '192.0.2.2',
    });
    expect(decide([balanced('a', {}, '198.51.100.7')], '192.0.2.1-192.0.2.2')).toEqual({ a: '192.0.2.1' });
  });

  test('no address is ever given twice, and deciding again changes nothing', () => {
    const wish = fc.record({
      families: fc.constantFrom<('IPv4' | 'IPv6')[]>(['IPv4'], ['IPv6'], ['IPv4', 'IPv6']),
      request: fc.constantFrom(undefined, undefined, '192.0.2.3', '2001:db8::2', '203.0.113.1'),
      has: fc.constantFrom(undefined, '192.0.2.2', '192.0.2.3', '2001:db8::1', '203.0.113.9'),
      type: fc.constantFrom('LoadBalancer' as const, 'LoadBalancer' as const, 'ClusterIP' as const),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 8 }), (wishes) => {
        const options = { pools: readPools(['192.0.2.1-192.0.2.4', '2001:db8::1-2001:db8::3']), loadBalancerClass: 'x' };
        const services = wishes.map(({ families, request, has, type }, index) =>
          balanced(`s${index}`, { type, ipFamilies: families, ...(request ? { loadBalancerIP: request } : {}) }, ...(has ? [has] : [])),
        );
        const decisions = decideAddresses(services, options);
        const given = decisions.flatMap(({ addresses }) => addresses);
        expect(new Set(given).size).toBe(given.length);
        const settled = services.map((of): Service => {
          const addresses = decisions.find(({ service: decided }) => decided === of)?.addresses;
          return addresses ? { ...of, status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } } } : of;
        });
        const again = decideAddresses(settled, options);
        for (const { service: of, addresses } of again)
          expect((of.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).sort()).toEqual([...addresses].sort());
      }),
    );
  });
});

describe('with a cluster', () => {
  let cluster: TestCluster;
  afterEach(() => cluster.daemon.stop());
  const ipOf = (name: string) => cluster.get(resources.services, `default/${name}`)?.status?.loadBalancer?.ingress?.map(({ ip }) => ip);

  test('a service gets its address with an event, another waits until it is given back', async () => {
    cluster = await startCluster({ loadBalancerPools: ['192.0.2.7-192.0.2.7'] });
    await cluster.client.create(resources.services, service('web', { type: 'LoadBalancer', ipFamilies: ['IPv4'] }));
    await until(() => ipOf('web')?.[0] === '192.0.2.7', 'it has its address');
    await cluster.client.create(
      resources.services,
      service('more', { type: 'LoadBalancer', ipFamilies: ['IPv4'], clusterIP: '10.96.0.21' }),
    );
    const refused = () => cluster.list(resources.events).find(({ reason }) => reason === 'SyncLoadBalancerFailed');
    await until(refused, 'the other is told');
    expect(refused()!.message).toBe(
      'Error syncing load balancer: failed to ensure load balancer: no free IPv4 address in 192.0.2.7-192.0.2.7',
    );
    expect(cluster.list(resources.events).some(({ reason }) => reason === 'EnsuredLoadBalancer')).toBe(true);
    await cluster.client.patch(resources.services, 'web', 'default', 'merge', { spec: { type: 'ClusterIP' } });
    await until(() => !ipOf('web')?.length, 'the address is taken back');
    await until(() => ipOf('more')?.[0] === '192.0.2.7', 'the other has it');
    await cluster.client.delete(resources.services, 'more', 'default');
    await settle();
    await cluster.client.patch(resources.services, 'web', 'default', 'merge', { spec: { type: 'LoadBalancer' } });
    await until(() => ipOf('web')?.[0] === '192.0.2.7', 'it is free again');
  });

  test('two at once while the watch is late get two addresses', async () => {
    cluster = await startCluster({ loadBalancerPools: ['192.0.2.0/29'] });
    cluster.client.hold();
    for (const name of ['one', 'two', 'six'])
      await cluster.client.create(resources.services, service(name, { type: 'LoadBalancer', ipFamilies: ['IPv4'] }));
    cluster.client.release();
    await until(() => ['one', 'two', 'six'].every((name) => ipOf(name)?.length === 1), 'all have one');
    expect(new Set(['one', 'two', 'six'].flatMap((name) => ipOf(name)!)).size).toBe(3);
  });
});
