import type { Pod, Probe, Service } from '../objects/client.ts';
import { apiServerPort, controlNode, healthPorts } from './components.ts';
import type { Topology } from './topology.ts';

const supervised = { 'podwire.io/supervised-by': 'lab' };

/** The Service behind which every node's DNS server stands. Its Pods are the agents' mirror pods. */
export const dnsService = (topology: Topology): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' } },
  spec: {
    clusterIP: topology.clusterDNS[0]!,
    clusterIPs: [...topology.clusterDNS],
    ipFamilyPolicy: topology.clusterDNS.length > 1 ? 'RequireDualStack' : 'SingleStack',
    selector: { 'k8s-app': 'kube-dns' },
    // Every pod asks the server of its own node: no detour, and the node is what any egress policy lets a pod reach.
    internalTrafficPolicy: 'Local',
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
      { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
    ],
  },
});

/** The static pods of a node: they show in `kubectl get pods -A` what the supervisor runs there, and whether it is ready. */
export function staticPods(topology: Topology, node: string): Pod[] {
  const agent = staticPod('podwire-agent', { 'k8s-app': 'kube-dns' }, httpProbe(healthPorts.agent), [
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
    { name: 'dns-tcp', containerPort: 53, protocol: 'TCP' },
    { name: 'bgp', containerPort: 179, protocol: 'TCP' },
  ]);
  const control = controlNode(topology);
  if (node !== control.name) return [agent];
  return [
    agent,
    staticPod('podwire-apiserver', {}, httpProbe(healthPorts.apiServer), [
      { name: 'https', containerPort: apiServerPort, protocol: 'TCP' },
    ]),
    staticPod('podwire-controllers', {}, httpProbe(healthPorts.controllers), []),
  ];
}

const httpProbe = (port: number): Probe => ({
  httpGet: { path: '/readyz', port, host: '127.0.0.1' },
  periodSeconds: 1,
  failureThreshold: 3,
});

function staticPod(
  component: string,
  labels: Record<string, string>,
  readinessProbe: Probe,
  ports: NonNullable<Pod['spec']['containers'][0]['ports']>,
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: component, namespace: 'kube-system', labels: { component, ...labels }, annotations: supervised },
    spec: {
      hostNetwork: true,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: component, image: `podwire.io/${component}`, ports, readinessProbe }],
    },
  };
}
