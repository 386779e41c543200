import type { Node } from '../../src/objects/index.ts';

/** Node `n<index>` at 192.168.88.index and fd00:88::index with its pod CIDRs of both families. */
export const makeNode = (index: number, { addresses, podCIDRs }: { addresses?: string[]; podCIDRs?: string[] } = {}): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `n${index}` },
  spec: { podCIDRs: podCIDRs ?? [`10.244.${index}.0/24`, `fd00:10:244:${index}::/64`] },
  status: {
    addresses: (addresses ?? [`192.168.88.${index}`, `fd00:88::${index}`]).map((address) => ({ type: 'InternalIP' as const, address })),
  },
});
