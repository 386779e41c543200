import { describe, expect, test } from 'vitest';
import { parseConntrack } from '../../src/kernel/conntrack.ts';
import { compileProxy, type ProxyModel } from '../../src/kube-proxy/index.ts';
import { mayHaveStaleFlows, staleFlows } from '../../src/kube-proxy/stale-flows.ts';
import { endpoint, service, slice } from './objects.ts';

const dns = (pods: readonly string[], more: Parameters<typeof service>[0] = {}): ProxyModel =>
  compileProxy(
    {
      nodeName: 'worker-1',
      node: undefined,
      services: [
        service({
          type: 'NodePort',
          clusterIP: '10.96.0.10',
          ports: [{ name: 'http', port: 53, protocol: 'UDP', nodePort: 30_053 }],
          ...more,
        }),
      ],
      endpointSlices: [
        slice(
          pods.map((pod) => endpoint(pod, 'worker-1')),
          { ports: [{ name: 'http', port: 53, protocol: 'UDP' }] },
        ),
      ],
    },
    4,
  );
const empty = compileProxy({ nodeName: 'worker-1', node: undefined, services: [], endpointSlices: [] }, 4);
const node = new Set(['192.168.88.11']);

// `conntrack -L -p udp` of 1.4.7.
const flows =
  parseConntrack(`udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=4001 dport=53 src=10.244.1.2 dst=10.244.1.9 sport=53 dport=4001 mark=0 use=1
udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=4002 dport=53 [UNREPLIED] src=10.244.1.3 dst=10.244.1.9 sport=53 dport=4002 mark=0 use=1
udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=4003 dport=53 [UNREPLIED] src=10.96.0.10 dst=10.244.1.9 sport=53 dport=4003 mark=0 use=1
udp      17 29 src=192.168.88.100 dst=192.168.88.11 sport=4004 dport=30053 src=10.244.1.3 dst=192.168.88.11 sport=53 dport=61234 [ASSURED] mark=0 use=1
udp      17 29 src=10.244.1.9 dst=203.0.113.5 sport=4005 dport=30053 src=203.0.113.5 dst=10.244.1.9 sport=30053 dport=4005 mark=0 use=1
udp      17 29 src=10.244.1.9 dst=10.96.0.77 sport=4006 dport=53 src=10.244.1.3 dst=10.244.1.9 sport=53 dport=4006 mark=0 use=1
tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.96.0.10 sport=1 dport=53 src=10.244.1.3 dst=10.0.0.1 sport=53 dport=1 [ASSURED] mark=0 use=1
`);
const stale = (before: ProxyModel | undefined, after: ProxyModel): number[] =>
  staleFlows(flows, before, after, node).map(({ original }) => original.sourcePort);

describe('UDP flows', () => {
  test('to an endpoint that is gone are stale, by cluster IP and by node port; flows of others are not', () => {
    expect(stale(dns(['10.244.1.2', '10.244.1.3']), dns(['10.244.1.2']))).toEqual([4002, 4003, 4004]);
    expect(stale(undefined, dns(['10.244.1.2']))).toEqual([4002, 4003, 4004]);
  });

  test('are all stale when the last endpoint goes', () => {
    expect(stale(dns(['10.244.1.2', '10.244.1.3']), dns([]))).toEqual([4001, 4002, 4003, 4004]);
  });

  test('that were redirected are stale when the service is deleted', () => {
    expect(stale(dns(['10.244.1.2', '10.244.1.3']), empty)).toEqual([4001, 4002, 4004]);
  });

  test('that found no endpoint are stale when there is one', () => {
    expect(stale(dns([]), dns(['10.244.1.2', '10.244.1.3']))).toEqual([4003]);
  });
});

test('connection tracking is looked at only when flows may have become stale', () => {
  expect(mayHaveStaleFlows(undefined, empty)).toBe(false);
  expect(mayHaveStaleFlows(undefined, dns([]))).toBe(true);
  const both = dns(['10.244.1.2', '10.244.1.3']);
  expect(mayHaveStaleFlows(both, dns(['10.244.1.2', '10.244.1.3']))).toBe(false);
  expect(mayHaveStaleFlows(dns(['10.244.1.2']), both)).toBe(false);
  expect(mayHaveStaleFlows(both, dns(['10.244.1.2']))).toBe(true);
  expect(mayHaveStaleFlows(dns([]), both)).toBe(true);
  expect(mayHaveStaleFlows(both, empty)).toBe(true);
  expect(mayHaveStaleFlows(both, dns(['10.244.1.2', '10.244.1.3'], { clusterIP: '10.96.0.11' }))).toBe(true);
});
