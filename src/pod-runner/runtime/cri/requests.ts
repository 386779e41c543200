import type { PodRef, SandboxRequest, StartRequest } from '../runtime.ts';
import type { ContainerConfig, NamespaceOptions, SandboxConfig } from './messages.ts';
import { labelNames } from './observed.ts';

const podLabels = ({ name, namespace, uid }: PodRef) => ({
  [labelNames.podName]: name,
  [labelNames.podNamespace]: namespace,
  [labelNames.podUid]: uid,
});

/** Containers of a pod see each other's processes only where the pod asks for it. */
const namespaces = ({ hostNetwork, hostPID, hostIPC, sharedProcesses }: SandboxRequest['sharing']): NamespaceOptions => ({
  network: hostNetwork ? 'NODE' : 'POD',
  pid: hostPID ? 'NODE' : sharedProcesses ? 'POD' : 'CONTAINER',
  ipc: hostIPC ? 'NODE' : 'POD',
});

/** What RunPodSandbox is asked for. `attempt` counts the sandboxes of one pod. */
export function sandboxConfig(request: SandboxRequest, attempt: number, logDirectory: string): SandboxConfig {
  const { pod, hostname, hostPorts, annotations, sharing } = request;
  return {
    metadata: { name: pod.name, uid: pod.uid, namespace: pod.namespace, attempt },
    // With the host's network comes the host's name.
    hostname: sharing.hostNetwork ? '' : hostname,
    logDirectory,
    portMappings: hostPorts.map(({ hostPort, containerPort, protocol, hostIP = '' }) => ({
      protocol: protocol.toUpperCase() as 'TCP' | 'UDP' | 'SCTP',
      containerPort,
      hostPort,
      hostIp: hostIP,
    })),
    labels: podLabels(pod),
    annotations,
    linux: { securityContext: { namespaceOptions: namespaces(sharing), privileged: false } },
  };
}

/** What CreateContainer is asked for. `filesDir` holds what of `files` the container gets below /etc; `logPath` is relative to the sandbox's folder. */
export function containerConfig({ attempt, launch, files, sandbox }: StartRequest, filesDir: string, logPath: string): ContainerConfig {
  const { security } = launch;
  const { pod } = sandbox;
  return {
    metadata: { name: launch.container, attempt },
    image: { image: launch.image },
    command: launch.command,
    args: launch.args,
    workingDir: launch.ownWorkingDir,
    envs: [...launch.environment].map(([key, value]) => ({ key, value })),
    mounts: [
      ...nameMounts(files, filesDir),
      ...launch.mounts.map(({ source, target, readOnly }) => ({ containerPath: target, hostPath: source, readonly: readOnly })),
    ],
    labels: { ...podLabels(pod), [labelNames.container]: launch.container },
    annotations: { 'io.kubernetes.container.restartCount': String(attempt) },
    logPath,
    stdin: launch.stdin !== 'none',
    stdinOnce: launch.stdin === 'once',
    tty: launch.tty,
    linux: {
      securityContext: {
        capabilities: { addCapabilities: security.addCapabilities, dropCapabilities: security.dropCapabilities },
        privileged: security.privileged,
        namespaceOptions: namespaces(sandbox.sharing),
        ...(security.runAsUser === undefined ? {} : { runAsUser: { value: String(security.runAsUser) } }),
        ...(security.runAsGroup === undefined ? {} : { runAsGroup: { value: String(security.runAsGroup) } }),
        supplementalGroups: security.supplementalGroups.map(String),
        readonlyRootfs: security.readOnlyRootFilesystem,
        noNewPrivs: !security.allowPrivilegeEscalation,
      },
    },
  };
}

/** Files that a volume of the pod lies over are the volume's. */
function nameMounts(files: StartRequest['files'], filesDir: string): ContainerConfig['mounts'] {
  return Object.keys(files).map((name) => ({ containerPath: `/etc/${name}`, hostPath: `${filesDir}/${name}`, readonly: false }));
}
