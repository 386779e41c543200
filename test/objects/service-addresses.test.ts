import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix, prefixContains } from '../../src/net/index.ts';
import { allocateServiceAddresses, type AnyObject, type ServicePool, serviceUse } from '../../src/objects/index.ts';
import { serviceKind } from '../../src/objects/kinds/service.ts';

const v4 = parsePrefix('10.96.0.0/16');
const v6 = parsePrefix('fd00:10:96::/112');
const pool = (existing: readonly AnyObject[] = [], cidrs = [v4, v6], random = () => 0): ServicePool => ({
  cidrs,
  nodePorts: { first: 30_000, last: 32_767 },
  used: serviceUse(existing),
  random,
});

const port = { name: 'http', port: 80 };

/** A Service as it is when the API server allocates: defaulted, normalized and without other faults. */
function create(spec: object, from = pool()) {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { ports: [{ ...port }], ...structuredClone(spec) },
  } as AnyObject;
  serviceKind.applyDefaults(service);
  serviceKind.prepareForCreate(service);
  return allocateServiceAddresses(service, undefined, from);
}

function update(old: AnyObject, change: object, from = pool([old])) {
  const service = { ...structuredClone(old), spec: { ...structuredClone(old.spec), ...structuredClone(change) } };
  serviceKind.applyDefaults(service);
  serviceKind.prepareForUpdate(service, old);
  expect(serviceKind.validate(service, old)).toEqual([]);
  return allocateServiceAddresses(service, old, from);
}

const allocated = (spec: object, from = pool()) => {
  const { service, causes } = create(spec, from);
  expect(causes).toEqual([]);
  return service;
};

describe('cluster IPs', () => {
  it('are of the first family by default, from above the static band', () => {
    const { spec } = allocated({});
    expect(spec).toMatchObject({ ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'], clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'] });
    expect(allocated({}, pool([], [v6, v4])).spec).toMatchObject({ ipFamilies: ['IPv6'], clusterIP: 'fd00:10:96::101' });
  });

  it('are two when dual stack is preferred or required', () => {
    for (const ipFamilyPolicy of ['PreferDualStack', 'RequireDualStack']) {
      expect(allocated({ ipFamilyPolicy }).spec).toMatchObject({
        ipFamilies: ['IPv4', 'IPv6'],
        clusterIPs: ['10.96.1.1', 'fd00:10:96::101'],
      });
    }
    expect(allocated({ ipFamilies: ['IPv6', 'IPv4'] }).spec).toMatchObject({
      ipFamilyPolicy: 'RequireDualStack',
      clusterIP: 'fd00:10:96::101',
    });
  });

  it('in a single-stack cluster preferring gives one, requiring fails', () => {
    expect(allocated({ ipFamilyPolicy: 'PreferDualStack' }, pool([], [v4])).spec.clusterIPs).toEqual(['10.96.1.1']);
    expect(create({ ipFamilyPolicy: 'RequireDualStack' }, pool([], [v4])).causes).toEqual([
      {
        reason: 'FieldValueInvalid',
        field: 'spec.ipFamilyPolicy',
        message: 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      },
    ]);
    expect(create({ ipFamilies: ['IPv6'] }, pool([], [v4])).causes).toMatchObject([
      { field: 'spec.ipFamilies[0]', message: 'Invalid value: "IPv6": not configured on this cluster' },
    ]);
  });

  it('asked for are given, their family inferred', () => {
    expect(allocated({ clusterIP: '10.96.0.10' }).spec).toMatchObject({ clusterIPs: ['10.96.0.10'], ipFamilies: ['IPv4'] });
    expect(allocated({ clusterIP: 'fd00:10:96::a' }).spec).toMatchObject({ clusterIPs: ['fd00:10:96::a'], ipFamilies: ['IPv6'] });
    expect(allocated({ clusterIPs: ['10.96.0.10', 'fd00:10:96::a'] }).spec).toMatchObject({
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv4', 'IPv6'],
    });
  });

  it('in use, outside the range or no host address are refused', () => {
    const other = allocated({ clusterIP: '10.96.0.10' });
    const message = (clusterIP: string) => create({ clusterIP }, pool([other])).causes[0]?.message;
    expect(message('10.96.0.10')).toBe('Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated');
    for (const ip of ['10.97.0.1', '10.96.0.0', '10.96.255.255']) {
      expect(message(ip)).toBe(
        `Invalid value: ["${ip}"]: failed to allocate IP ${ip}: the provided IP (${ip}) is not in the valid range. The range of valid IPs is 10.96.0.0/16`,
      );
    }
  });

  it('headless services have None, ExternalName ones nothing', () => {
    expect(allocated({ clusterIP: 'None', selector: { a: 'b' } }).spec).toMatchObject({
      clusterIPs: ['None'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    expect(allocated({ clusterIP: 'None' }).spec).toMatchObject({
      clusterIPs: ['None'],
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'RequireDualStack',
    });
    const external = allocated({ type: 'ExternalName', externalName: 'example.com' }).spec;
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'])
      expect(external).not.toHaveProperty(field);
  });

  it('stay on update, grow to two and shrink to one', () => {
    const old = allocated({});
    const same = update(old, { selector: { a: 'b' } });
    expect(same).toMatchObject({ causes: [], service: { spec: { clusterIPs: old.spec.clusterIPs } } });
    const two = update(old, { ipFamilyPolicy: 'RequireDualStack' }).service;
    expect(two.spec.clusterIPs).toEqual(['10.96.1.1', 'fd00:10:96::101']);
    const one = update(two, { ipFamilyPolicy: 'SingleStack' }).service;
    expect(one.spec).toMatchObject({ clusterIPs: ['10.96.1.1'], ipFamilies: ['IPv4'] });
  });

  it('go when the service becomes ExternalName, and cannot be changed otherwise', () => {
    const old = allocated({});
    const { spec } = update(old, { type: 'ExternalName', externalName: 'example.com' }).service;
    expect(spec).not.toHaveProperty('clusterIPs');
    const changed = { ...structuredClone(old), spec: { ...structuredClone(old.spec), clusterIP: '10.96.7.7' } };
    serviceKind.prepareForUpdate(changed, old);
    expect(serviceKind.validate(changed, old)).toMatchObject([
      { field: 'spec.clusterIPs[0]', message: 'Invalid value: ["10.96.7.7"]: may not change once set' },
    ]);
  });

  it('a PUT that leaves them out keeps them', () => {
    const old = allocated({ type: 'NodePort' });
    const sent = { ...structuredClone(old), spec: { type: 'NodePort', ports: [{ ...port }] } } as AnyObject;
    serviceKind.applyDefaults(sent);
    serviceKind.prepareForUpdate(sent, old);
    expect(serviceKind.validate(sent, old)).toEqual([]);
    expect(sent.spec).toMatchObject({ clusterIPs: old.spec.clusterIPs, ports: [{ nodePort: old.spec.ports[0].nodePort }] });
  });

  it('run out with a clear error', () => {
    const small = parsePrefix('10.96.0.0/30');
    const first = allocated({}, pool([], [small]));
    const second = allocated({}, pool([first], [small]));
    expect([first.spec.clusterIP, second.spec.clusterIP].toSorted()).toEqual(['10.96.0.1', '10.96.0.2']);
    expect(create({}, pool([first, second], [small])).causes).toMatchObject([
      { reason: 'InternalError', message: 'Internal error: failed to allocate a serviceIP: range is full' },
    ]);
  });

  it('never clash, whatever the random numbers', () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.double({ min: 0, max: 0.999_999, noNaN: true })),
        fc.integer({ min: 1, max: 25 }),
        (numbers, count) => {
          const random = () => numbers.next().value as number;
          const range = parsePrefix('10.96.0.0/27');
          const services: AnyObject[] = [];
          for (let i = 0; i < count; i++) services.push(allocated({ type: 'NodePort' }, pool(services, [range], random)));
          const ips = services.map(({ spec }) => spec.clusterIP as string);
          expect(new Set(ips).size).toBe(count);
          expect(new Set(services.map(({ spec }) => spec.ports[0].nodePort)).size).toBe(count);
          for (const ip of ips) expect(prefixContains(range, parseAddress(ip))).toBe(true);
          // The first sixteen addresses are used last.
          if (count <= 14) expect(ips.every((ip) => Number(ip.split('.')[3]) > 16)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('node ports', () => {
  it('are chosen above the static band, one for TCP and UDP of the same port', () => {
    const ports = [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      { name: 'http', port: 80 },
    ];
    const numbers = allocated({ type: 'NodePort', ports }).spec.ports.map(({ nodePort }: { nodePort: number }) => nodePort);
    expect(numbers).toEqual([30_086, 30_086, 30_087]);
  });

  it('asked for are given, unless taken or out of range', () => {
    const taken = allocated({ type: 'NodePort', ports: [{ ...port, nodePort: 30_080 }] });
    expect(taken.spec.ports[0].nodePort).toBe(30_080);
    const causes = (nodePort: number) => create({ type: 'NodePort', ports: [{ ...port, nodePort }] }, pool([taken])).causes;
    expect(causes(30_080)).toEqual([
      { reason: 'FieldValueInvalid', field: 'spec.ports[0].nodePort', message: 'Invalid value: 30080: provided port is already allocated' },
    ]);
    expect(causes(80)).toMatchObject([
      { message: 'Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767' },
    ]);
  });

  it('come with LoadBalancer unless turned off, with a health check port for local traffic', () => {
    expect(allocated({ type: 'LoadBalancer' }).spec.ports[0].nodePort).toBe(30_086);
    expect(allocated({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }).spec.ports[0]).not.toHaveProperty('nodePort');
    expect(allocated({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' }).spec.healthCheckNodePort).toBe(30_087);
  });

  it('go when the type no longer needs them', () => {
    const old = allocated({ type: 'NodePort' });
    const { spec } = update(old, { type: 'ClusterIP' }).service;
    expect(spec.ports[0]).not.toHaveProperty('nodePort');
    expect(spec).not.toHaveProperty('externalTrafficPolicy');
  });
});
