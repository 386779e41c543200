import assert from 'node:assert/strict';
import { compile, renderKernelRoutes, resolveBgpOptions, selectBest, importPath } from '../../src/bgp/index.ts';
import { parseAddress, parsePrefix } from '../../src/net/index.ts';

const node = (name: string, address: string, podCIDR: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: { podCIDRs: [podCIDR] },
  status: { addresses: [{ type: 'InternalIP' as const, address }] },
});

// What the daemon of worker-1 is to be: a peer of the other node, advertising its own pod prefix.
const plan = compile({
  options: resolveBgpOptions({ nodeName: 'worker-1' }),
  nodes: [node('worker-1', '192.168.88.12', '10.244.1.0/24'), node('worker-2', '192.168.88.13', '10.244.2.0/24')],
});
assert.deepEqual(plan.peers.map(({ name, address }) => [name, address.text]), [['worker-2', '192.168.88.13']]);
assert.deepEqual(plan.advertisements.map(({ prefix, nextHop }) => [prefix.text, nextHop.text]), [['10.244.1.0/24', '192.168.88.12']]);

// The prefix is told by its node and, with a lower preference, by a router.
const heard = (from: string, localPref: number) => {
  const address = parseAddress(from);
  return importPath(
    parsePrefix('10.244.2.0/24'),
    address,
    { origin: 'igp', asPath: [], localPref },
    { kind: 'internal', peer: from, address, routerId: address, asn: 64512 },
    { localAsn: 64512, routerId: parseAddress('192.168.88.12'), ownAddresses: new Set(['192.168.88.12']), importPolicy: 'all' },
  );
};
const selection = selectBest([heard('192.168.88.1', 50), heard('192.168.88.13', 100)]);
assert(selection);
assert.equal(selection.reason, 'higher local preference');

// And that is what the kernel should hold.
const { routes } = renderKernelRoutes([selection]);
assert.deepEqual(routes.map(({ destination, gateway }) => `${destination.text} via ${gateway?.text}`), ['10.244.2.0/24 via 192.168.88.13']);
