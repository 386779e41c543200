/** One direction of a tracked flow. Addresses are canonical. */
export interface FlowTuple {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A flow as connection tracking knows it. Under DNAT the source of `reply` is where the flow really goes. */
export interface TrackedFlow {
  readonly protocol: 'udp';
  readonly original: FlowTuple;
  readonly reply: FlowTuple;
}

/** All flows to one address and port that really go to another: where they were sent, and where they went. */
export interface FlowGroup {
  /** Only flows from this address; undefined means from all. */
  readonly source?: string;
  readonly destination: string;
  readonly destinationPort: number;
  readonly backend: string;
  readonly backendPort: number;
}

/** The groups that hold the flows, each once. */
export function groupFlows(flows: readonly TrackedFlow[]): FlowGroup[] {
  const groups = new Map<string, FlowGroup>();
  for (const { original, reply } of flows) {
    const { destination, destinationPort } = original;
    const group = { destination, destinationPort, backend: reply.source, backendPort: reply.sourcePort };
    groups.set(Object.values(group).join(' '), group);
  }
  return [...groups.values()];
}
