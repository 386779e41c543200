import { type Condition, type Node, type NodeAddress, toTime } from '../../objects/client.ts';

/** What the machine says of itself. */
export interface MachineFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly architecture: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineID: string;
  readonly bootID: string;
}

export interface NodeIdentity {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly maxPods: number;
  /** Port of the kubelet API; undefined when it is not served. */
  readonly kubeletPort?: number | undefined;
  /** Of a container runtime: `containerd://1.6.20`. */
  readonly containerRuntimeVersion?: string | undefined;
}

/** Versions that kubectl shows: the API level that podwire follows, and podwire's own. */
const kubeletVersion = 'v1.33.0-podwire';
const ownRuntimeVersion = 'podwire://0.1.0';

/** kubelet's words while there is no network configuration. */
export const networkNotReady =
  'container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni config uninitialized';

/** Labels of the Node: the well-known ones, then those asked for. */
export const nodeLabels = ({ name, labels }: NodeIdentity, { architecture }: MachineFacts): Record<string, string> => ({
  'kubernetes.io/hostname': name,
  'kubernetes.io/os': 'linux',
  'kubernetes.io/arch': architecture,
  'beta.kubernetes.io/os': 'linux',
  'beta.kubernetes.io/arch': architecture,
  ...labels,
});

/** The Node as it is registered. */
export const nodeObject = (identity: NodeIdentity, machine: MachineFacts): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: identity.name, labels: nodeLabels(identity, machine), annotations: { 'node.alpha.kubernetes.io/ttl': '0' } },
  spec: {},
});

/** What the node has for pods, as quantities. */
export const nodeResources = (machine: MachineFacts, maxPods: number): Record<string, string> => ({
  cpu: String(machine.cpus),
  memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
  'ephemeral-storage': `${Math.floor(machine.diskBytes / 1024)}Ki`,
  pods: String(maxPods),
});

/**
 * The status of the Node (core/v1 NodeStatus). `problem` is why pods cannot be run now. Conditions of others stay, and a condition whose status
 * stays keeps its lastTransitionTime.
 */
export function nodeStatus(
  identity: NodeIdentity,
  machine: MachineFacts,
  problem: string | undefined,
  previous: readonly Condition[],
  now: number,
): NonNullable<Node['status']> {
  const resources = nodeResources(machine, identity.maxPods);
  const findings: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[] = [
    { type: 'MemoryPressure', status: 'False', reason: 'KubeletHasSufficientMemory', message: 'kubelet has sufficient memory available' },
    { type: 'DiskPressure', status: 'False', reason: 'KubeletHasNoDiskPressure', message: 'kubelet has no disk pressure' },
    { type: 'PIDPressure', status: 'False', reason: 'KubeletHasSufficientPID', message: 'kubelet has sufficient PID available' },
    problem === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: problem },
  ];
  const names = new Set(findings.map(({ type }) => type));
  return {
    addresses: [
      ...identity.addresses.map((address): NodeAddress => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: identity.name },
    ],
    capacity: resources,
    allocatable: resources,
    conditions: [
      ...previous.filter(({ type }) => !names.has(type)),
      ...findings.map((finding) => {
        const before = previous.find(({ type }) => type === finding.type);
        const since = before?.status === finding.status ? before.lastTransitionTime : undefined;
        return { ...finding, lastHeartbeatTime: toTime(now), lastTransitionTime: since ?? toTime(now) };
      }),
    ],
    ...(identity.kubeletPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: identity.kubeletPort } } }),
    nodeInfo: {
      machineID: machine.machineID,
      systemUUID: machine.machineID,
      bootID: machine.bootID,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: identity.containerRuntimeVersion ?? ownRuntimeVersion,
      kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: machine.architecture,
    },
  };
}

/** True when the conditions that kubelet keeps are written as wanted, whatever their heartbeat. */
export const nodeStatusHolds = (current: Node['status'], wanted: NonNullable<Node['status']>): boolean =>
  (wanted.conditions ?? []).every(({ type, status, reason, message }) =>
    current?.conditions?.some(
      (condition) => condition.type === type && condition.status === status && condition.reason === reason && condition.message === message,
    ),
  ) &&
  JSON.stringify(current?.addresses) === JSON.stringify(wanted.addresses) &&
  current?.daemonEndpoints?.kubeletEndpoint?.Port === wanted.daemonEndpoints?.kubeletEndpoint?.Port;
