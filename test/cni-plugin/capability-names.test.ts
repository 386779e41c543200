import { expect, it } from 'vitest';
import { withCapabilityNames } from '../../src/cni-plugin/capability-names.ts';
import { parseRequest } from '../../src/cni-plugin/index.ts';

const environment = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0', CNI_NETNS: '/run/netns/x' };
const ipam = { type: 'podwire-ipam', ranges: [[{ subnet: '10.244.1.0/24' }]] };

it('capabilities are understood as containerd writes them, with capital letters', () => {
  // As go-cni 1.1 of containerd 1.6.20 wrote it for a pod with a host port and bandwidth annotations.
  const runtimeConfig = {
    portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
    bandwidth: { IngressRate: 10_000_000, IngressBurst: 4_294_967_295, EgressRate: 0, EgressBurst: 0 },
    dns: { Servers: ['10.96.0.10'], Searches: ['x.local'], Options: ['ndots:5'] },
  };
  const config = { cniVersion: '1.0.0', name: 'podwire', type: 'podwire-cni', ipam, runtimeConfig };
  const spelled = {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }],
    bandwidth: { ingressRate: 10_000_000, ingressBurst: 4_294_967_295, egressRate: 0, egressBurst: 0 },
    dns: { servers: ['10.96.0.10'], searches: ['x.local'], options: ['ndots:5'] },
  };
  const parse = (runtime: object) => parseRequest({ environment, stdin: JSON.stringify({ ...config, runtimeConfig: runtime }) });
  expect(parse(runtimeConfig)).toEqual(parse(spelled));
  expect(parse(runtimeConfig)).toMatchObject({ options: { portMappings: [{ hostPort: 8080, containerPort: 80 }] } });
});

it('a key that is spelled right wins, and names that are not ours stay', () => {
  expect(withCapabilityNames({ runtimeConfig: { dns: { Servers: ['a'], servers: ['b'] }, aliases: { MyNet: ['x'] }, mac: 'AA' } })).toEqual(
    {
      runtimeConfig: { dns: { servers: ['b'] }, aliases: { MyNet: ['x'] }, mac: 'AA' },
    },
  );
  expect(withCapabilityNames({ runtimeConfig: 'wrong' })).toEqual({ runtimeConfig: 'wrong' });
  expect(withCapabilityNames({ name: 'x' })).toEqual({ name: 'x' });
});
