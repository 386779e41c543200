import type { Prefix } from '../net/index.ts';

export interface ApiServerOptions {
  /** Folder of the embedded store, and of what this server keeps for itself. */
  readonly dataDir: string;
  /** Where the objects are kept instead of the embedded store. */
  readonly etcd?: EtcdFlags;
  readonly bindAddress: string;
  /** 0 takes any free port. */
  readonly securePort: number;
  /** Where the service `kubernetes` leads to. */
  readonly advertiseAddress: string;
  /** One per family; the first is the default family. */
  readonly serviceClusterIPRanges: readonly Prefix[];
  readonly serviceNodePortRange: { readonly first: number; readonly last: number };
  /** Undefined serves plain HTTP without authentication, on a loopback address alone. */
  readonly tls: TlsFiles | undefined;
  /** What is left out has its default. */
  readonly security?: Partial<SecurityOptions>;
  /** YAML file of objects that are made before the server listens. */
  readonly initialObjects?: string | undefined;
  /** How kubelets are spoken to; what is left out has its default. */
  readonly kubelet?: Partial<KubeletClientOptions>;
  /** A listening socket that this process inherited, served besides. */
  readonly listenFd: number | undefined;
  /** How long events are kept (seconds). */
  readonly eventTtlSeconds: number;
  /** How many revisions back a watch can start. */
  readonly historyRevisions: number;
}

/** kube-apiserver's --kubelet-* flags. */
export interface KubeletClientOptions {
  /** Of the kubelets' certificates; without it they are not checked. */
  readonly certificateAuthority: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientKey: string | undefined;
  /** Types of node addresses, the best first. */
  readonly preferredAddressTypes: readonly string[];
  /** How long a connection may take to stand (ms). */
  readonly timeout: number;
}

export const kubeletClientDefaults: KubeletClientOptions = {
  certificateAuthority: undefined,
  clientCertificate: undefined,
  clientKey: undefined,
  preferredAddressTypes: ['InternalIP', 'ExternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS'],
  timeout: 5_000,
};

/** kube-apiserver's --etcd-* flags. */
export interface EtcdFlags {
  /** `https://host:2379`, or `http://` on a loopback address. */
  readonly servers: readonly string[];
  /** `/registry`, unless the etcd is shared with others. */
  readonly prefix: string;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Between compactions (ms); 0 for none. */
  readonly compactionInterval: number;
}

/** Who may do what. Every field has a default: see {@link securityDefaults}. */
export interface SecurityOptions {
  /** AlwaysAllow lets every authenticated user do anything. */
  readonly authorizationMode: 'RBAC' | 'AlwaysAllow';
  /** Lines of `token,user,uid,"group,group"`. */
  readonly tokenAuthFile: string | undefined;
  readonly serviceAccounts: ServiceAccountOptions;
  /** Reads, and writes, under way at once; 0 is no limit. */
  readonly maxRequestsInFlight: number;
  readonly maxMutatingRequestsInFlight: number;
  /** Admission plugins that are left out: ServiceAccount. */
  readonly disabledAdmission: readonly string[];
}

export interface ServiceAccountOptions {
  /** The first signs; tokens of all are believed. */
  readonly issuers: readonly string[];
  /** PEM: public keys, or private ones whose public half counts, by which tokens are verified. Empty: the signing key's. */
  readonly keyFiles: readonly string[];
  /** PEM: the private key that signs tokens (RSA or ECDSA). Undefined: one is made and kept in the data folder. */
  readonly signingKeyFile: string | undefined;
  /** Audiences that this server answers to; the first issuer when empty. */
  readonly apiAudiences: readonly string[];
  /** Longest life of a token that is asked for (seconds); 0 is no limit but the reference's own, 2^32. */
  readonly maxTokenExpirationSeconds: number;
}

export const securityDefaults: SecurityOptions = {
  authorizationMode: 'RBAC',
  tokenAuthFile: undefined,
  serviceAccounts: {
    issuers: ['https://kubernetes.default.svc.cluster.local'],
    keyFiles: [],
    signingKeyFile: undefined,
    apiAudiences: [],
    maxTokenExpirationSeconds: 0,
  },
  maxRequestsInFlight: 400,
  maxMutatingRequestsInFlight: 200,
  disabledAdmission: [],
};

export interface TlsFiles {
  readonly certFile: string;
  readonly privateKeyFile: string;
  /** Whose client certificates are believed. */
  readonly clientCAFile: string;
}
