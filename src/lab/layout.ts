import { join } from 'node:path';
import { type ContainerdLayout, containerdLayout } from './cri/containerd.ts';

/** Where a lab keeps everything, and how its namespaces are called. Pure: names only. */
export interface LabLayout {
  readonly lab: string;
  readonly root: string;
  /** The resolved topology, as JSON. */
  readonly topologyFile: string;
  /** Process id, start time and host port of the supervisor. */
  readonly supervisorFile: string;
  readonly adminKubeconfig: string;
  readonly pki: string;
  /** Objects that the API server makes before it listens. */
  readonly initialObjects: string;
  readonly apiServerData: string;
  readonly logs: string;
  readonly processes: string;
  readonly switchNamespace: string;
  /** Stands while a lab made /run/netns, so that the last one to go removes it. */
  readonly madeNamespaceFolder: string;
  node(name: string): NodeLayout;
}

export interface NodeLayout {
  readonly root: string;
  readonly namespace: string;
  /** Pod namespaces are `<prefix>.<id>`. */
  readonly podNamespacePrefix: string;
  readonly agentSocket: string;
  readonly agentKubeconfig: string;
  readonly runnerKubeconfig: string;
  /** Of the kubelet API that the pod runner serves, and the authority of who may use it. */
  readonly runnerCertificate: string;
  readonly runnerKey: string;
  readonly runnerClientCA: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly cniStateDir: string;
  readonly manifests: string;
  readonly runnerRoot: string;
  /** Of a node whose pods containerd runs. */
  readonly containerd: ContainerdLayout;
}

export const defaultStateDir = '/var/lib/podwire';

/** Lab and node names hold no dots, so no name of one lab is a prefix of another's. */
export const namespacePrefix = (lab: string): string => `pw.${lab}.`;

export function labLayout(stateDir: string, lab: string): LabLayout {
  const root = join(stateDir, 'labs', lab);
  return {
    lab,
    root,
    topologyFile: join(root, 'lab.json'),
    supervisorFile: join(root, 'supervisor.json'),
    adminKubeconfig: join(root, 'kubeconfig'),
    pki: join(root, 'pki'),
    initialObjects: join(root, 'initial-objects.yaml'),
    apiServerData: join(root, 'apiserver'),
    logs: join(root, 'logs'),
    processes: join(root, 'processes'),
    madeNamespaceFolder: join(stateDir, 'made-run-netns'),
    // Node names start with a letter, so that this is no node's.
    switchNamespace: `${namespacePrefix(lab)}0-switch`,
    node(name) {
      const node = join(root, 'nodes', name);
      const namespace = `${namespacePrefix(lab)}${name}`;
      return {
        root: node,
        namespace,
        podNamespacePrefix: namespace,
        agentSocket: join(node, 'agent.sock'),
        agentKubeconfig: join(node, 'agent.kubeconfig'),
        runnerKubeconfig: join(node, 'pod-runner.kubeconfig'),
        runnerCertificate: join(node, 'pod-runner.crt'),
        runnerKey: join(node, 'pod-runner.key'),
        runnerClientCA: join(node, 'ca.crt'),
        cniConfDir: join(node, 'cni', 'net.d'),
        cniBinDir: join(node, 'cni', 'bin'),
        cniStateDir: join(node, 'cni', 'state'),
        manifests: join(node, 'manifests'),
        runnerRoot: join(node, 'pod-runner'),
        containerd: containerdLayout(join(node, 'cri')),
      };
    },
  };
}
