import { type IpSet, type IpSetType, longestSetName } from '../../../dataplane/ipset.ts';
import type { Family } from '../../../net/index.ts';

/** kube-proxy's sets, by its IPv4 names; the last two are not in kube-proxy. */
const setTypes = {
  'KUBE-LOOP-BACK': 'hash:ip,port,ip',
  'KUBE-CLUSTER-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-FW': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'KUBE-LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'KUBE-NODE-PORT-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'KUBE-HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'KUBE-IPVS-IPS': 'hash:ip',
  /** Endpoints there are, but none that traffic policy Local lets anybody use. */
  'KUBE-NO-LOCAL': 'hash:ip,port',
  /** The same for outsiders: pods and the node itself are served by other nodes' endpoints. */
  'KUBE-NO-LOCAL-EXTERNAL': 'hash:ip,port',
} as const satisfies Readonly<Record<string, IpSetType>>;

export type SetName = keyof typeof setTypes;

const names = Object.keys(setTypes) as SetName[];

/** Sets that hold elements of several services: two services may have one endpoint, and the ports of one service one address. */
export const sharedSets: ReadonlySet<SetName> = new Set(['KUBE-LOOP-BACK', 'KUBE-IPVS-IPS', 'KUBE-HEALTH-CHECK-NODE-PORT']);

/** The set's name in the kernel, which holds both families' sets: `KUBE-6-CLUSTER-IP`, cut off where it gets too long, as kube-proxy does it. */
export const kernelName = (name: SetName, family: Family): string =>
  family === 4 ? name : name.replace('KUBE-', 'KUBE-6-').slice(0, longestSetName);

const kernelNames: Readonly<Record<Family, ReadonlySet<string>>> = {
  4: new Set(names.map((name) => kernelName(name, 4))),
  6: new Set(names.map((name) => kernelName(name, 6))),
};

/** Whether a set of the kernel is the proxy's. */
export const isProxySet = (name: string, family: Family): boolean => kernelNames[family].has(name);

/** All sets, by their names in the kernel. */
export function makeSets(family: Family, elements: (name: SetName) => IpSet['elements']): Map<string, IpSet> {
  return new Map(
    names.map((name) => {
      const type = setTypes[name];
      return [kernelName(name, family), { type, family: type === 'bitmap:port' ? undefined : family, elements: elements(name) }];
    }),
  );
}

export const setNames: readonly SetName[] = names;
