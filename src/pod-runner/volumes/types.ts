import type { Container, KubeObject, Pod } from '../../objects/client.ts';

// The parts of core/v1 that volumes are made of.

export interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

export interface DownwardFile {
  readonly path: string;
  readonly fieldRef?: { readonly fieldPath: string };
  readonly resourceFieldRef?: ResourceFieldRef;
  readonly mode?: number;
}

export interface ResourceFieldRef {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string;
}

export interface TokenSource {
  readonly audience?: string;
  readonly expirationSeconds?: number;
  readonly path: string;
}

/** One source of a projected volume; exactly one field is set. */
export interface ProjectedSource {
  readonly serviceAccountToken?: TokenSource;
  readonly configMap?: { readonly name: string; readonly items?: readonly KeyToPath[]; readonly optional?: boolean };
  readonly secret?: { readonly name: string; readonly items?: readonly KeyToPath[]; readonly optional?: boolean };
  readonly downwardAPI?: { readonly items?: readonly DownwardFile[] };
}

/** A volume of a pod; besides the name, exactly one field is set. */
export interface Volume {
  readonly name: string;
  readonly emptyDir?: object;
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly configMap?: {
    readonly name: string;
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
    readonly optional?: boolean;
  };
  readonly secret?: {
    readonly secretName: string;
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
    readonly optional?: boolean;
  };
  readonly downwardAPI?: { readonly items?: readonly DownwardFile[]; readonly defaultMode?: number };
  readonly projected?: { readonly sources?: readonly ProjectedSource[]; readonly defaultMode?: number };
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly subPath?: string;
  readonly subPathExpr?: string;
}

/** Where a variable's value comes from. */
export interface ValueSource {
  readonly fieldRef?: { readonly fieldPath: string };
  readonly resourceFieldRef?: ResourceFieldRef;
  readonly configMapKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
  readonly secretKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
}

export interface EnvSource {
  readonly prefix?: string;
  readonly configMapRef?: { readonly name: string; readonly optional?: boolean };
  readonly secretRef?: { readonly name: string; readonly optional?: boolean };
}

export interface ConfigMapObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

export interface SecretObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** What a pod refers to, as last read from the API; undefined when it is not there. */
export interface References {
  configMap(name: string): ConfigMapObject | undefined;
  secret(name: string): SecretObject | undefined;
  /** The token of a projected volume's source. */
  token(volume: string, path: string): string | undefined;
}

export const noReferences: References = { configMap: () => undefined, secret: () => undefined, token: () => undefined };

type WithVolumes = Pod['spec'] & { readonly volumes?: readonly Volume[] };
type WithSources = Container & {
  readonly volumeMounts?: readonly VolumeMount[];
  readonly envFrom?: readonly EnvSource[];
  readonly resources?: { readonly limits?: Readonly<Record<string, string>>; readonly requests?: Readonly<Record<string, string>> };
};

export const volumesOf = ({ spec }: Pod): readonly Volume[] => (spec as WithVolumes).volumes ?? [];
export const mountsOf = (container: Container): readonly VolumeMount[] => (container as WithSources).volumeMounts ?? [];
export const envFromOf = (container: Container): readonly EnvSource[] => (container as WithSources).envFrom ?? [];
export const resourcesOf = (container: Container) => (container as WithSources).resources ?? {};
export const containersOf = ({ spec }: Pod): readonly Container[] => [...(spec.initContainers ?? []), ...spec.containers];
