import type { FlowGroup, TrackedFlow } from '../dataplane/flows.ts';
import type { NftTable } from '../dataplane/nft.ts';
import { walkNft } from '../packet-walk/index.ts';
import type { NetpolModel } from './model.ts';

/** Each group costs the kernel a look through its whole connection table; what is beyond this many runs out by itself. */
const maxGroups = 256;

/**
 * Flows between pods that the table would not let begin now, by source, destination and backend. Dropping their own direction stops them, but
 * without a connection to end, UDP answers would go on as long as the server sends; without the entry, they are judged as the server's own.
 */
export function deniedFlows(flows: readonly TrackedFlow[], table: NftTable, model: NetpolModel): FlowGroup[] {
  const pods = new Set(model.endpoints.flatMap(({ addresses }) => addresses.map(({ text }) => text)));
  const groups = new Map<string, FlowGroup>();
  for (const { protocol, original, reply } of flows) {
    // Under DNAT the source of the reply is where the flow goes.
    if (!pods.has(original.source) || !pods.has(reply.source)) continue;
    const { source, destination, destinationPort } = original;
    const group = { source, destination, destinationPort, backend: reply.source, backendPort: reply.sourcePort };
    const key = Object.values(group).join(' ');
    if (groups.has(key) || groups.size >= maxGroups) continue;
    const packet = { from: source, sourcePort: original.sourcePort, to: reply.source, port: reply.sourcePort, protocol };
    if (walkNft([table], 'forward', packet).verdict === 'drop') groups.set(key, group);
  }
  return [...groups.values()];
}
