import type { Container, Pod } from '../../objects/client.ts';

/** Which namespaces the containers of a pod share, with the host and with each other. */
export interface PodSharing {
  readonly hostNetwork: boolean;
  readonly hostPID: boolean;
  readonly hostIPC: boolean;
  /** Its containers see each other's processes. */
  readonly sharedProcesses: boolean;
}

/** What of a security context a container runtime is asked to keep. */
export interface ContainerSecurity {
  readonly privileged: boolean;
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  readonly supplementalGroups: readonly number[];
  readonly readOnlyRootFilesystem: boolean;
  readonly allowPrivilegeEscalation: boolean;
}

/** The part of core/v1 SecurityContext and PodSecurityContext that is kept. */
interface SecurityContext {
  readonly privileged?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  /** Of a pod alone. */
  readonly supplementalGroups?: readonly number[];
  readonly fsGroup?: number;
}

export function podSharing({ spec }: Pod): PodSharing {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace } = spec as Pod['spec'] & {
    readonly hostPID?: boolean;
    readonly hostIPC?: boolean;
    readonly shareProcessNamespace?: boolean;
  };
  return {
    hostNetwork: Boolean(hostNetwork),
    hostPID: Boolean(hostPID),
    hostIPC: Boolean(hostIPC),
    sharedProcesses: Boolean(shareProcessNamespace),
  };
}

/** A container's own context over that of its pod, as core/v1 says. */
export function containerSecurity(pod: Pod, container: Container): ContainerSecurity {
  const ofPod = contextOf(pod.spec);
  const own = contextOf(container);
  return {
    privileged: Boolean(own.privileged),
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    runAsUser: own.runAsUser ?? ofPod.runAsUser,
    runAsGroup: own.runAsGroup ?? ofPod.runAsGroup,
    supplementalGroups: [...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup]), ...(ofPod.supplementalGroups ?? [])],
    readOnlyRootFilesystem: Boolean(own.readOnlyRootFilesystem),
    allowPrivilegeEscalation: own.allowPrivilegeEscalation ?? true,
  };
}

const contextOf = (of: object): SecurityContext => (of as { readonly securityContext?: SecurityContext }).securityContext ?? {};
