import assert from 'node:assert/strict';
import { compileAttachment, hostLinkName, parseRequest, renderResult } from '../../src/cni-plugin/index.ts';
import { parseAddress } from '../../src/net/index.ts';

const request = parseRequest({
  environment: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/c1', CNI_IFNAME: 'eth0' },
  stdin: JSON.stringify({
    cniVersion: '1.1.0',
    name: 'podwire',
    type: 'podwire-cni',
    isDefaultGateway: true,
    ipam: { type: 'podwire-ipam', ranges: [[{ subnet: '10.244.1.0/24' }]] },
  }),
});
assert(request.command === 'ADD');
const plan = compileAttachment(request.options, request.attachment, [parseAddress('10.244.1.7')]);
assert.equal(plan.host.name, hostLinkName('c1', 'eth0'));
assert.equal(plan.pod.mac, '0a:58:0a:f4:01:07');
assert.deepEqual(
  plan.podOperations.map(({ op }) => op),
  ['set-link', 'set-link', 'ensure-address', 'ensure-route'],
);
assert.deepEqual((renderResult(plan, request.options, '/run/netns/c1') as { ips: object[] }).ips, [
  { interface: 2, address: '10.244.1.7/24', gateway: '10.244.1.1' },
]);
