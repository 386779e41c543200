// The messages of runtime.proto as TypeScript sees them: 64-bit numbers are decimal texts, enums their names. What is sent may leave fields out.

export interface SandboxMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
}

export type Labels = Readonly<Record<string, string>>;

type NamespaceMode = 'POD' | 'CONTAINER' | 'NODE';

export interface NamespaceOptions {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
}

export interface SandboxConfig {
  readonly metadata: SandboxMetadata;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly portMappings: readonly {
    readonly protocol: 'TCP' | 'UDP' | 'SCTP';
    readonly containerPort: number;
    readonly hostPort: number;
    readonly hostIp: string;
  }[];
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly linux: {
    readonly securityContext: { readonly namespaceOptions: NamespaceOptions; readonly privileged: boolean };
  };
}

export type SandboxState = 'SANDBOX_READY' | 'SANDBOX_NOTREADY';

export interface SandboxItem {
  readonly id: string;
  readonly metadata: SandboxMetadata | null;
  readonly state: SandboxState;
  readonly createdAt: string;
  readonly labels: Labels;
}

export interface SandboxStatus extends SandboxItem {
  readonly network: { readonly ip: string; readonly additionalIps: readonly { readonly ip: string }[] } | null;
}

interface Int64 {
  readonly value: string;
}

export interface ContainerConfig {
  readonly metadata: { readonly name: string; readonly attempt: number };
  readonly image: { readonly image: string };
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly envs: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly { readonly containerPath: string; readonly hostPath: string; readonly readonly: boolean }[];
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Below the sandbox's log folder. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly linux: {
    readonly securityContext: {
      readonly capabilities: { readonly addCapabilities: readonly string[]; readonly dropCapabilities: readonly string[] };
      readonly privileged: boolean;
      readonly namespaceOptions: NamespaceOptions;
      readonly runAsUser?: Int64;
      readonly runAsGroup?: Int64;
      readonly supplementalGroups: readonly string[];
      readonly readonlyRootfs: boolean;
      readonly noNewPrivs: boolean;
    };
  };
}

export type ContainerState = 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN';

export interface ContainerItem {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number } | null;
  readonly imageRef: string;
  readonly state: ContainerState;
  readonly labels: Labels;
}

/** Times in ns since the epoch; '0' when there is none. */
export interface ContainerStatus extends Omit<ContainerItem, 'podSandboxId'> {
  readonly createdAt: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
}

export interface Image {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

interface OfSandbox {
  readonly podSandboxId: string;
}
interface OfContainer {
  readonly containerId: string;
}
interface OfImage {
  readonly image: { readonly image: string };
}
type Empty = Readonly<Record<string, never>>;
interface StreamingUrl {
  readonly url: string;
}

/** What is asked and what is answered, by the name of the method. */
export interface CriMethods {
  Version: [request: Empty, response: { readonly runtimeName: string; readonly runtimeVersion: string }];
  Status: [
    request: Empty,
    response: {
      readonly status: {
        readonly conditions: readonly {
          readonly type: string;
          readonly status: boolean;
          readonly reason: string;
          readonly message: string;
        }[];
      } | null;
    },
  ];
  RunPodSandbox: [request: { readonly config: SandboxConfig }, response: OfSandbox];
  StopPodSandbox: [request: OfSandbox, response: Empty];
  RemovePodSandbox: [request: OfSandbox, response: Empty];
  PodSandboxStatus: [
    request: OfSandbox & { readonly verbose?: boolean },
    response: { readonly status: SandboxStatus | null; readonly info: Labels },
  ];
  ListPodSandbox: [request: { readonly filter?: { readonly labelSelector: Labels } }, response: { readonly items: readonly SandboxItem[] }];
  CreateContainer: [
    request: OfSandbox & { readonly config: ContainerConfig; readonly sandboxConfig: SandboxConfig },
    response: OfContainer,
  ];
  StartContainer: [request: OfContainer, response: Empty];
  StopContainer: [request: OfContainer & { readonly timeout: number }, response: Empty];
  RemoveContainer: [request: OfContainer, response: Empty];
  ListContainers: [
    request: { readonly filter?: { readonly labelSelector: Labels } },
    response: { readonly containers: readonly ContainerItem[] },
  ];
  ContainerStatus: [
    request: OfContainer & { readonly verbose?: boolean },
    response: { readonly status: ContainerStatus | null; readonly info: Labels },
  ];
  ReopenContainerLog: [request: OfContainer, response: Empty];
  ExecSync: [
    request: OfContainer & { readonly cmd: readonly string[]; readonly timeout: number },
    response: { readonly stdout: Buffer; readonly stderr: Buffer; readonly exitCode: number },
  ];
  Exec: [
    request: OfContainer & {
      readonly cmd: readonly string[];
      readonly tty: boolean;
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
    },
    response: StreamingUrl,
  ];
  Attach: [
    request: OfContainer & { readonly tty: boolean; readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
    response: StreamingUrl,
  ];
  PortForward: [request: OfSandbox & { readonly port: readonly number[] }, response: StreamingUrl];
  ListImages: [request: Empty, response: { readonly images: readonly Image[] }];
  ImageStatus: [request: OfImage, response: { readonly image: Image | null }];
  PullImage: [request: OfImage, response: { readonly imageRef: string }];
}
