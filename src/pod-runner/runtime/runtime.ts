import type { Socket } from 'node:net';
import type { ConfigProblem, ContainerRun } from '../machine/types.ts';
import type { LaunchSpec } from '../render/launch.ts';
import type { NameFiles } from '../render/name-files.ts';
import type { PodSharing } from '../render/security.ts';
import type { ExecRequest, Interaction } from './interaction.ts';

/** Which pod something belongs to. */
export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface HostPort {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIP?: string;
}

/** What a runtime found of a pod when it was opened. */
export interface FoundPod {
  readonly ref: PodRef;
  /** The pod's addresses; undefined without a finished network of its own. */
  readonly addresses: readonly string[] | undefined;
  /** The latest runs by container name, and the ones before. */
  readonly runs: ReadonlyMap<string, ContainerRun>;
  readonly lasts: ReadonlyMap<string, ContainerRun>;
}

/** What a pod's network, and whatever else its containers have in common, is made from. */
export interface SandboxRequest {
  readonly pod: PodRef;
  readonly hostname: string;
  readonly hostPorts: readonly HostPort[];
  /** The pod's; they may limit its bandwidth. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly sharing: PodSharing;
}

export interface StartRequest {
  readonly sandbox: SandboxRequest;
  readonly attempt: number;
  readonly last: ContainerRun | undefined;
  readonly launch: LaunchSpec;
  readonly files: NameFiles;
}

/** The images that a runtime has and can get. */
export interface Images {
  /**
   * What keeps a container's image from being run now; undefined when it is there. To be asked again when the runtime tells of a change: asking
   * for the first time begins to look for it, and to pull it by `policy` (core/v1 imagePullPolicy).
   */
  problem(uid: string, container: string, image: string, policy: string | undefined): ConfigProblem | undefined;
}

/** The log of one run. */
export interface ContainerLog {
  readonly file: string;
  /** How often the file was set aside. */
  turns(): number;
  /** The process runs. */
  running(): boolean;
  /** More may be written. */
  open(): boolean;
  /** Called when more was written, and when nothing more will be. */
  subscribe(listener: () => void): () => void;
}

/**
 * What runs pods: the shape of CRI's RuntimeService (k8s.io/cri-api v1), so that network namespaces and a container runtime are two backends
 * of one thing. Everything survives the end of this process and is found again by the next.
 */
export interface Runtime {
  /** The images of a runtime that has any; undefined where programs of the host stand in for them. */
  readonly images?: Images;
  /** What is there, as found on disk and among the processes. */
  listPods(): Promise<readonly FoundPod[]>;
  /**
   * Makes the pod's network and gives its addresses (RunPodSandbox). A failure leaves nothing behind.
   * @throws CniError, CommandError, PodRunnerError, CriError
   */
  createSandbox(request: SandboxRequest): Promise<readonly string[]>;
  /** Removes the pod's network; one that is gone already is no error (StopPodSandbox, RemovePodSandbox). */
  removeSandbox(pod: PodRef): Promise<void>;
  /** Starts a container. The run is in `runs` from the call on; a failure to start is a run that has exited with reason StartError. */
  startContainer(request: StartRequest): Promise<void>;
  /** SIGTERM, then SIGKILL after `grace` ms (StopContainer). Asking again with less grace shortens it. */
  stopContainer(pod: PodRef, container: string, grace: number): void;
  /** The latest run of every container of the pod (ListContainers). */
  runs(uid: string): ReadonlyMap<string, ContainerRun>;
  /** Runs a command in a container (ExecSync). Exit code and the beginning of its output. */
  exec(pod: PodRef, container: string, command: readonly string[], timeout: number): Promise<{ exitCode: number; output: string }>;
  /** Kills what is left of the pod and removes its network, files and logs. */
  removePod(pod: PodRef): Promise<void>;
  /** Removes networks that no known pod has. */
  removeStrays(): Promise<void>;
  /** Called with the pod's uid when one of its runs has changed. */
  onChange(listener: (uid: string) => void): () => void;
  /** Stops looking. What runs goes on. */
  close(): void;
}

/** What people do with containers, beside what the pod needs: the streaming part of CRI, and the logs. */
export interface ContainerAccess {
  /** Runs a command in a container with its streams in the caller's hands (Exec). @throws PodRunnerError when the container is not running. */
  interact(pod: PodRef, container: string, request: ExecRequest): Promise<Interaction>;
  /** Joins in on a container's own process (Attach). @throws PodRunnerError when the container is not running. */
  attach(pod: PodRef, container: string): Promise<Interaction>;
  /** The log of one run of a container. */
  log(pod: PodRef, container: string, attempt: number): ContainerLog;
  /** Connects to a port inside the pod's network (PortForward). Rejects with kubelet's words. */
  connect(pod: PodRef, hostNetwork: boolean, port: number): Promise<Socket>;
}
