/** What `GetStatus` of control.proto answers, in the form the loader gives: the messages of that file, field by field. */
export interface AgentStatus {
  readonly node: string;
  readonly processId: number;
  readonly problems: readonly string[];
  readonly attachments: { readonly podCidrs: readonly string[]; readonly items: readonly AttachmentStatus[] };
  readonly routing: {
    readonly asn: number;
    readonly routerId: string;
    readonly peers: readonly PeerStatus[];
    readonly routes: readonly RouteStatus[];
    readonly advertised: readonly string[];
  };
  readonly proxy: { readonly mode: string; readonly services: readonly ServicePortStatus[]; readonly lastSync: number };
  readonly policies: { readonly items: readonly PolicyStatus[]; readonly droppedIngress: number; readonly droppedEgress: number };
  readonly dns: {
    readonly zone: string;
    readonly records: number;
    readonly queries: number;
    readonly listening: readonly string[];
    readonly synced: boolean;
  };
}

export interface AttachmentStatus {
  readonly pod: string;
  readonly interface: string;
  readonly addresses: readonly string[];
}

export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  readonly asn: number;
  readonly state: string;
  readonly uptimeSeconds: number;
  readonly received: number;
  readonly accepted: number;
  readonly advertised: number;
  readonly lastError: string;
}

export interface RouteStatus {
  readonly prefix: string;
  readonly nextHop: string;
  readonly peer: string;
  readonly reason: string;
  readonly inKernel: boolean;
}

export interface ServicePortStatus {
  readonly name: string;
  readonly protocol: string;
  readonly frontends: readonly string[];
  readonly backends: readonly string[];
}

export interface PolicyStatus {
  readonly name: string;
  readonly directions: readonly string[];
  readonly pods: readonly string[];
}
