import { describe, expect, it } from 'vitest';
import { LabError } from '../../src/lab/errors.ts';
import { parseLabFile, resolveTopology } from '../../src/lab/topology.ts';

const problemsOf = (text: string): readonly string[] => {
  try {
    parseLabFile(text, 'lab.yaml');
  } catch (error) {
    if (error instanceof LabError) return error.problems;
    throw error;
  }
  return [];
};

describe('a lab file', () => {
  it('may be empty: three dual-stack nodes', () => {
    const topology = parseLabFile('', 'lab.yaml');
    expect(topology.nodes).toEqual([
      { name: 'control', addresses: ['192.168.88.11', 'fd00:88::11'], labels: {} },
      { name: 'worker-1', addresses: ['192.168.88.12', 'fd00:88::12'], labels: {} },
      { name: 'worker-2', addresses: ['192.168.88.13', 'fd00:88::13'], labels: {} },
    ]);
    expect(topology.clusterDNS).toEqual(['10.96.0.10', 'fd00:10:96::a']);
  });

  it('moves the DNS address with the service CIDRs', () => {
    const topology = resolveTopology({ network: { serviceCIDRs: ['172.20.0.0/16', 'fd01::/112'] } });
    expect(topology.clusterDNS).toEqual(['172.20.0.10', 'fd01::a']);
  });

  it('gives a node with runtime: cri a containerd, and no other node images', () => {
    const [control, worker] = parseLabFile(
      'nodes: [{ name: a, runtime: netns }, { name: b, runtime: cri, images: [/x.tar] }]',
      'lab.yaml',
    ).nodes;
    expect(control).toEqual({ name: 'a', addresses: ['192.168.88.11', 'fd00:88::11'], labels: {} });
    expect(worker?.containerd).toEqual({ images: ['/x.tar'] });
    expect(problemsOf('nodes: [{ name: a, images: [/x.tar] }]')).toEqual([
      'lab.yaml: nodes.0.images: only a node with runtime: cri has images; pods of other nodes run programs of the host',
    ]);
    expect(problemsOf('nodes: [{ name: a, runtime: docker }]')).toEqual([
      'lab.yaml: nodes.0.runtime must be equal to one of the allowed values',
    ]);
  });

  it('with a field that does not exist is refused by the path of that field', () => {
    expect(problemsOf('network: { podCIDR: 10.0.0.0/8 }')).toEqual(['lab.yaml: unknown field network.podCIDR']);
    expect(problemsOf('nodes: [{ name: a, role: worker }]')).toEqual(['lab.yaml: unknown field nodes.0.role']);
  });

  it('with overlapping CIDRs is refused by both names', () => {
    expect(problemsOf('network: { podCIDRs: [10.96.0.0/12, "fd00:10:244::/56"] }')).toEqual([
      'lab.yaml: network.podCIDRs[0] 10.96.0.0/12 overlaps network.serviceCIDRs[0] 10.96.0.0/16; choose ranges apart from each other',
    ]);
  });

  it('may have several pod CIDRs of a family, which together must have room for the nodes', () => {
    const { podCIDRs } = resolveTopology({ network: { podCIDRs: ['10.1.0.0/23', 'fd00:10:244::/63', '10.2.0.0/24', 'fd00:10:245::/64'] } });
    expect(podCIDRs).toEqual(['10.1.0.0/23', 'fd00:10:244::/63', '10.2.0.0/24', 'fd00:10:245::/64']);
    expect(problemsOf('network: { podCIDRs: [10.1.0.0/24, 10.2.0.0/24, "fd00:10:244::/56"] }')).toEqual([
      'lab.yaml: network.podCIDRs[0]: 10.1.0.0/24, network.podCIDRs[1]: 10.2.0.0/24 have room for fewer than 3 node CIDRs of /24; ' +
        'enlarge them or network.nodeMaskSizeIPv4',
    ]);
    expect(problemsOf('network: { serviceCIDRs: [10.96.0.0/16, 10.97.0.0/16, "fd00:10:96::/112"] }').join()).toContain('serviceCIDRs');
  });

  it.each([
    ['network: { podCIDRs: [10.244.0.1/16, "fd00:10:244::/56"] }', 'did you mean 10.244.0.0/16?'],
    ['network: { podCIDRs: [10.244.0.0/16] }', 'they must be the same, in the same order'],
    ['network: { podCIDRs: [10.244.0.0/24, "fd00:10:244::/56"] }', 'has room for fewer than 3 node CIDRs of /24'],
    ['network: { nodeMaskSizeIPv4: 12 }', '/12 does not divide'],
    ['network: { loadBalancerPools: [10.96.1.0/24] }', 'load-balancer pool 10.96.1.0/24 overlaps network.serviceCIDRs[0] 10.96.0.0/16'],
    ['network: { loadBalancerPools: [x] }', 'network.loadBalancerPools: load-balancer pool "x": expected a CIDR'],
    ['network: { clusterDNS: [10.97.0.10] }', 'network.clusterDNS[0]: 10.97.0.10 is outside the service CIDRs'],
    ['network: { clusterDNS: [dns] }', '"dns" is not an IP address'],
    ['network: { underlayCIDRs: [192.168.88.0/29, "fd00:88::/64"] }', 'is too small for 3 nodes'],
    ['nodes: [{ name: a }, { name: a }]', 'two nodes are named "a"'],
    ['nodes: [{ name: A }]', 'nodes.0.name must match'],
    ['nodes: []', 'nodes must not have fewer than 1'],
    ['timers: { bgpHoldSeconds: 2 }', 'timers.bgpHoldSeconds must be >= 3'],
    ['name: [', 'lab.yaml:'],
    ['name: a\nname: b', 'Map keys must be unique'],
    ['[]', 'the file must be object'],
  ])('%s is refused: %s', (text, problem) => {
    expect(problemsOf(text).join('\n')).toContain(problem);
  });
});
