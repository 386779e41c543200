import type { IptablesChain, IptablesMatch, IptablesTableName, IptablesTarget, KnownRule } from '../../../dataplane/iptables.ts';
import { defaultReject, type IptablesTable } from '../../../dataplane/iptables.ts';
import type { Family } from '../../../net/index.ts';
import { type LocalTraffic, localMatch } from '../../local-traffic.ts';
import { chains } from '../chains.ts';
import { accept, comment, ctstate, destinationIsLocal, drop, jump, returns, rule, source, sourceIsLocal } from '../rules.ts';
import { kernelName, type SetName } from './sets.ts';

/** kube-proxy's fixed chains of mode ipvs that mode iptables does not have. */
export const ipvsChains = {
  nodePort: 'KUBE-NODE-PORT',
  loadBalancer: 'KUBE-LOAD-BALANCER',
  sourceRanges: 'KUBE-SOURCE-RANGES-FIREWALL',
  filter: 'KUBE-IPVS-FILTER',
  outFilter: 'KUBE-IPVS-OUT-FILTER',
  fireWall: 'KUBE-FIRE-WALL',
} as const;

/** What the rules depend on; they know of no service. */
export interface IpvsRulesSetting {
  readonly family: Family;
  readonly local: LocalTraffic;
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that asks for masquerading. */
  readonly mark: number;
}

const markMasq = jump(chains.markMasq);

/**
 * The rules beside the virtual servers: whose source is replaced, who is let in, and what the service addresses, which are the node's own here,
 * keep shut. They are the same for any number of services.
 *
 *     mangle OUTPUT      firewall, for the node's own packets: IPVS takes those before the filter table sees them
 *     nat    PREROUTING  OUTPUT   marks
 *     filter INPUT       firewall, ports of the service addresses that no service has
 *     (IPVS, at the end of INPUT and behind nat OUTPUT)
 *     nat    POSTROUTING masquerading
 */
export function ipvsTables(setting: IpvsRulesSetting): Map<IptablesTableName, IptablesTable> {
  const { family, local, mark } = setting;
  const inSet = (set: SetName, sides: string, not = false): IptablesMatch => ({
    match: 'set',
    set: kernelName(set, family),
    sides: sides.split(',') as ('src' | 'dst')[],
    ...(not ? { not } : {}),
  });
  const ofPods = (not: boolean): IptablesMatch[] => (local ? [localMatch(local, not)] : []);
  /** The node itself, by any address that is not a pod's. */
  const fromNode = [...ofPods(true), sourceIsLocal];
  const firewallJump = rule([ctstate('NEW'), comment('kubernetes load balancer firewall')], jump(chains.proxyFirewall));
  const firewall = firewallChains(inSet, ofPods);

  const nodePortRules = (protocol: 'tcp' | 'udp' | 'sctp', all: SetName, localOnly: SetName, sides: string): KnownRule[] => {
    const of: IptablesMatch = { match: 'protocol', protocol };
    return [
      rule([of, comment('node port, policy Local: the node itself'), inSet(localOnly, sides), ...fromNode], markMasq),
      rule([of, comment('node port, policy Local'), inSet(localOnly, sides)], returns),
      rule([of, comment('node port'), inSet(all, sides)], markMasq),
    ];
  };
  const nat: [string, IptablesChain][] = [
    ['PREROUTING', { rules: [rule([comment('kubernetes service portals')], jump(chains.services))] }],
    ['OUTPUT', { rules: [rule([comment('kubernetes service portals')], jump(chains.services))] }],
    ['POSTROUTING', { rules: [rule([comment('kubernetes postrouting rules')], jump(chains.postrouting))] }],
    [
      chains.services,
      {
        rules: [
          // The kernel lets nothing from a loopback address out to a real server.
          rule(source(family === 4 ? '127.0.0.0/8' : '::1/128'), returns),
          rule([comment('load balancer addresses'), inSet('KUBE-LOAD-BALANCER', 'dst,dst')], jump(ipvsChains.loadBalancer)),
          rule([comment('cluster IPs'), ...clusterIPSenders(setting, inSet)], markMasq),
          rule([comment('external IPs'), inSet('KUBE-EXTERNAL-IP', 'dst,dst')], markMasq),
          rule([comment('external IPs, policy Local: the node itself'), inSet('KUBE-EXTERNAL-IP-LOCAL', 'dst,dst'), ...fromNode], markMasq),
          // Others shall not translate what is for a virtual server.
          ...served.map((set) => rule([inSet(set, 'dst,dst')], accept)),
          rule([destinationIsLocal], jump(ipvsChains.nodePort)),
        ],
      },
    ],
    [
      ipvsChains.loadBalancer,
      {
        rules: [
          rule([comment('policy Local: the node itself'), inSet('KUBE-LOAD-BALANCER-LOCAL', 'dst,dst'), ...fromNode], markMasq),
          rule([comment('policy Local'), inSet('KUBE-LOAD-BALANCER-LOCAL', 'dst,dst')], returns),
          { matches: [], target: markMasq },
        ],
      },
    ],
    [
      ipvsChains.nodePort,
      {
        rules: [
          ...nodePortRules('tcp', 'KUBE-NODE-PORT-TCP', 'KUBE-NODE-PORT-LOCAL-TCP', 'dst'),
          ...nodePortRules('udp', 'KUBE-NODE-PORT-UDP', 'KUBE-NODE-PORT-LOCAL-UDP', 'dst'),
          ...nodePortRules('sctp', 'KUBE-NODE-PORT-SCTP-HASH', 'KUBE-NODE-PORT-LOCAL-SCTP-HASH', 'dst,dst'),
        ],
      },
    ],
    [
      chains.postrouting,
      {
        rules: [
          // Hairpin: a pod that reaches itself must see another source, or it would answer itself past this node.
          rule([comment('a pod reaching itself'), inSet('KUBE-LOOP-BACK', 'dst,dst,src')], masquerade),
          rule([{ match: 'mark', value: mark, mask: mark, not: true }], returns),
          // Taken off again, so that a packet that crosses the rules twice (by a tunnel) is masqueraded once.
          { matches: [], target: { target: 'mark', value: mark, mask: 0 } },
          rule([comment('kubernetes service traffic requiring SNAT')], masquerade),
        ],
      },
    ],
    [chains.markMasq, { rules: [{ matches: [], target: { target: 'mark', value: mark, mask: mark } }] }],
  ];
  const filter: [string, IptablesChain][] = [
    [
      'INPUT',
      {
        rules: [
          firewallJump,
          rule([comment('kubernetes health check rules')], jump(ipvsChains.nodePort)),
          rule([comment('kubernetes ipvs access filter')], jump(ipvsChains.filter)),
        ],
      },
    ],
    ['FORWARD', { rules: [firewallJump, rule([comment('kubernetes forwarding rules')], jump(chains.forward))] }],
    ...firewall,
    [
      ipvsChains.nodePort,
      { rules: [rule([tcp, comment('health check node ports'), inSet('KUBE-HEALTH-CHECK-NODE-PORT', 'dst')], accept)] },
    ],
    [
      ipvsChains.filter,
      {
        rules: [
          ...served.map((set) => rule([inSet(set, 'dst,dst')], returns)),
          rule([tcp, inSet('KUBE-HEALTH-CHECK-NODE-PORT', 'dst')], returns),
          // The service addresses are the node's own: what listens on all its addresses must not be reached by them (k/k#72236).
          rule([tcp, ctstate('NEW'), inSet('KUBE-IPVS-IPS', 'dst')], { target: 'reject', with: 'tcp-reset' }),
          rule([ctstate('NEW'), inSet('KUBE-IPVS-IPS', 'dst')], { target: 'reject', with: defaultReject(family) }),
        ],
      },
    ],
    [
      chains.forward,
      {
        rules: [
          rule([comment('kubernetes forwarding rules'), { match: 'mark', value: mark, mask: mark }], accept),
          rule([comment('kubernetes forwarding conntrack rule'), ctstate('RELATED', 'ESTABLISHED')], accept),
        ],
      },
    ],
  ];
  return new Map<IptablesTableName, IptablesTable>([
    ['nat', new Map(nat)],
    ['filter', new Map(filter)],
    ['mangle', new Map<string, IptablesChain>([['OUTPUT', { rules: [firewallJump] }], ...firewall])],
  ]);
}

const tcp: IptablesMatch = { match: 'protocol', protocol: 'tcp' };
const masquerade: IptablesTarget = { target: 'masquerade', randomFully: true };
/** The sets of what virtual servers answer by an address of a service. */
const served: readonly SetName[] = ['KUBE-CLUSTER-IP', 'KUBE-LOAD-BALANCER', 'KUBE-EXTERNAL-IP', 'KUBE-EXTERNAL-IP-LOCAL'];

type InSet = (set: SetName, sides: string) => IptablesMatch;

/** Whose source is replaced at a cluster IP. */
function clusterIPSenders({ masqueradeAll, local }: IpvsRulesSetting, inSet: InSet): IptablesMatch[] {
  if (masqueradeAll) return [inSet('KUBE-CLUSTER-IP', 'dst,dst')];
  if (local) return [localMatch(local, true), inSet('KUBE-CLUSTER-IP', 'dst,dst')];
  // The node's own processes reach a cluster IP from that address itself, for the dummy link has it, and no endpoint could answer there.
  return [inSet('KUBE-CLUSTER-IP', 'src,dst')];
}

/** Who is not let in, in both tables that ask. */
function firewallChains(inSet: InSet, ofPods: (not: boolean) => IptablesMatch[]): [string, IptablesChain][] {
  return [
    [
      chains.proxyFirewall,
      {
        rules: [
          rule([comment('source ranges'), inSet('KUBE-LOAD-BALANCER-FW', 'dst,dst')], jump(ipvsChains.sourceRanges)),
          rule([comment('no local endpoints'), inSet('KUBE-NO-LOCAL', 'dst,dst')], drop),
          rule(
            [
              comment('no local endpoints for outsiders'),
              ...ofPods(true),
              { ...sourceIsLocal, not: true } as IptablesMatch,
              inSet('KUBE-NO-LOCAL-EXTERNAL', 'dst,dst'),
            ],
            drop,
          ),
        ],
      },
    ],
    [
      ipvsChains.sourceRanges,
      {
        rules: [
          rule([inSet('KUBE-LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src')], returns),
          rule([inSet('KUBE-LOAD-BALANCER-SOURCE-IP', 'dst,dst,src')], returns),
          { matches: [], target: drop },
        ],
      },
    ],
  ];
}
