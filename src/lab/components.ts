import { join } from 'node:path';
import { containerdCommand } from './cri/containerd.ts';
import type { LabLayout } from './layout.ts';
import type { LabNode, Topology } from './topology.ts';

/** One daemon of a lab, as the supervisor starts it. */
export interface Component {
  /** Unique in the lab: `worker-1.agent`. Names the log and the process file. */
  readonly name: string;
  readonly node: string;
  /** Name of the network namespace it runs in. */
  readonly namespace: string;
  /** Arguments after `podwire`. */
  readonly args: readonly string[];
  /** The listening socket for the host's loopback port is handed over as file descriptor 3. */
  readonly inheritsListener: boolean;
  /** What is started instead of podwire. */
  readonly program?: readonly string[];
}

export const apiServerPort = 6443;
export const healthPorts = { agent: 10256, controllers: 10257, podRunner: 10248, apiServer: 10259 } as const;

export interface Credentials {
  readonly certificateAuthority: string;
  readonly apiServerCertificate: string;
  readonly apiServerKey: string;
  /** By which the pod runners know the API server. */
  readonly kubeletClientCertificate: string;
  readonly kubeletClientKey: string;
  /** Key pair that signs and verifies tokens of service accounts. */
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly controllersKubeconfig: string;
}

/** File names of the credentials below the lab's pki folder. */
export const credentialFiles = ({ pki }: LabLayout): Credentials => ({
  certificateAuthority: join(pki, 'ca.crt'),
  apiServerCertificate: join(pki, 'apiserver.crt'),
  apiServerKey: join(pki, 'apiserver.key'),
  kubeletClientCertificate: join(pki, 'apiserver-kubelet-client.crt'),
  kubeletClientKey: join(pki, 'apiserver-kubelet-client.key'),
  serviceAccountKey: join(pki, 'sa.key'),
  serviceAccountPublicKey: join(pki, 'sa.pub'),
  controllersKubeconfig: join(pki, 'controllers.kubeconfig'),
});

/** Everything that runs in a lab: the control plane on the first node, an agent and a pod runner on each. Pure. */
export function labComponents(topology: Topology, layout: LabLayout): readonly Component[] {
  return [...controlPlane(topology, layout), ...topology.nodes.flatMap((node, index) => nodeComponents(node, index, topology, layout))];
}

const list = (values: readonly string[]): string => values.join(',');
const health = (port: number): string[] => ['--health-bind-address', `127.0.0.1:${port}`];

function controlPlane(topology: Topology, layout: LabLayout): Component[] {
  const node = controlNode(topology);
  const files = credentialFiles(layout);
  const { namespace } = layout.node(node.name);
  return [
    {
      name: `${node.name}.apiserver`,
      node: node.name,
      namespace,
      inheritsListener: true,
      args: [
        'apiserver',
        ...['--data-dir', layout.apiServerData],
        ...['--bind-address', node.addresses[0]!, '--secure-port', String(apiServerPort), '--advertise-address', node.addresses[0]!],
        ...['--listen-fd', '3'],
        ...['--service-cluster-ip-range', list(topology.serviceCIDRs)],
        ...[
          '--tls-cert-file',
          files.apiServerCertificate,
          '--tls-private-key-file',
          files.apiServerKey,
          '--client-ca-file',
          files.certificateAuthority,
        ],
        ...['--authorization-mode', 'RBAC', '--initial-objects', layout.initialObjects],
        ...['--service-account-signing-key-file', files.serviceAccountKey, '--service-account-key-file', files.serviceAccountPublicKey],
        ...['--service-account-issuer', `https://kubernetes.default.svc.${topology.clusterDomain}`],
        ...['--kubelet-certificate-authority', files.certificateAuthority],
        ...['--kubelet-client-certificate', files.kubeletClientCertificate, '--kubelet-client-key', files.kubeletClientKey],
        ...health(healthPorts.apiServer),
      ],
    },
    {
      name: `${node.name}.controllers`,
      node: node.name,
      namespace,
      inheritsListener: false,
      args: [
        'controllers',
        ...['--kubeconfig', files.controllersKubeconfig],
        ...['--cluster-cidr', list(topology.podCIDRs), '--service-cluster-ip-range', list(topology.serviceCIDRs)],
        ...[
          '--node-cidr-mask-size-ipv4',
          String(topology.nodeMaskSizeIPv4),
          '--node-cidr-mask-size-ipv6',
          String(topology.nodeMaskSizeIPv6),
        ],
        ...['--node-monitor-grace-period', `${topology.timers.nodeMonitorGraceSeconds}s`],
        // One control plane in a lab: a restarted one need not wait long for the lease of its predecessor.
        ...['--leader-elect-lease-duration', '3s', '--leader-elect-renew-deadline', '2s', '--leader-elect-retry-period', '500ms'],
        ...['--root-ca-file', files.certificateAuthority, '--service-account-private-key-file', files.serviceAccountKey],
        ...topology.loadBalancerPools.flatMap((pool) => ['--load-balancer-pool', pool]),
        ...health(healthPorts.controllers),
      ],
    },
  ];
}

function nodeComponents(node: LabNode, index: number, topology: Topology, layout: LabLayout): Component[] {
  const paths = layout.node(node.name);
  const cluster = ['--cluster-domain', topology.clusterDomain];
  const runtime: Component[] = node.containerd
    ? [
        {
          name: `${node.name}.containerd`,
          node: node.name,
          namespace: paths.namespace,
          inheritsListener: false,
          program: containerdCommand(paths.containerd),
          args: [],
        },
      ]
    : [];
  const labels = { ...(index === 0 ? { 'node-role.kubernetes.io/control-plane': '' } : {}), ...node.labels };
  return [
    ...runtime,
    {
      name: `${node.name}.agent`,
      node: node.name,
      namespace: paths.namespace,
      inheritsListener: false,
      args: [
        'agent',
        ...['--kubeconfig', paths.agentKubeconfig, '--node-name', node.name, '--control-socket', paths.agentSocket],
        ...[
          '--cni-conf-dir',
          paths.cniConfDir,
          '--cni-bin-dir',
          paths.cniBinDir,
          '--cni-state-dir',
          paths.cniStateDir,
          '--mtu',
          String(topology.mtu),
          // containerd 1.6 knows no later one.
          ...(node.containerd ? ['--cni-version', '1.0.0'] : []),
        ],
        ...[
          '--cluster-cidr',
          list(topology.podCIDRs),
          ...cluster,
          ...node.addresses.flatMap((address) => ['--dns-listen-address', address]),
        ],
        ...['--hold-time', String(topology.timers.bgpHoldSeconds), '--restart-time', String(topology.timers.bgpRestartSeconds)],
        ...health(healthPorts.agent),
      ],
    },
    {
      name: `${node.name}.pod-runner`,
      node: node.name,
      namespace: paths.namespace,
      inheritsListener: false,
      args: [
        'pod-runner',
        ...[
          '--kubeconfig',
          paths.runnerKubeconfig,
          '--node-name',
          node.name,
          '--node-ip',
          list(node.addresses),
          '--root-dir',
          paths.runnerRoot,
        ],
        ...['--cni-conf-dir', paths.cniConfDir, '--cni-bin-dir', paths.cniBinDir, '--netns-prefix', paths.podNamespacePrefix],
        ...(node.containerd ? ['--container-runtime-endpoint', `unix://${paths.containerd.socket}`] : []),
        ...['--pod-manifest-path', paths.manifests, '--cluster-dns', list(topology.clusterDNS), ...cluster],
        ...[
          '--tls-cert-file',
          paths.runnerCertificate,
          '--tls-private-key-file',
          paths.runnerKey,
          '--client-ca-file',
          paths.runnerClientCA,
        ],
        ...['--node-lease-duration-seconds', String(topology.timers.nodeLeaseSeconds)],
        ...Object.entries(labels).flatMap(([key, value]) => ['--node-labels', `${key}=${value}`]),
        ...health(healthPorts.podRunner),
      ],
    },
  ];
}

/** The node that carries the control plane. */
export const controlNode = (topology: Topology): LabNode => topology.nodes[0]!;
