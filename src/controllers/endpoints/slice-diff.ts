import type { Endpoint, EndpointPort, EndpointSlice } from '../../objects/client.ts';
import { canonicalJson, sameMeaning } from '../equal.ts';

/** Endpoints that share an address family and a set of ports: what one slice can hold. */
export interface SliceGroup {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly EndpointPort[];
  /** In order of pod name. */
  readonly endpoints: readonly Endpoint[];
}

/** A slice as it should be. `slice` is the one to change; undefined makes a new one. */
export interface SliceContent {
  readonly slice: EndpointSlice | undefined;
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SliceDiff {
  /** To make or change. */
  readonly write: readonly SliceContent[];
  readonly remove: readonly EndpointSlice[];
  /** As they should be already. */
  readonly keep: readonly EndpointSlice[];
}

/** Ports with what the API server may fill in, so that our own slices are recognised however they come back. */
export const groupKey = (addressType: string, ports: readonly EndpointPort[]): string =>
  `${addressType}|${canonicalJson(ports.map(({ name, protocol, ...port }) => ({ ...port, name: name ?? '', protocol: protocol ?? 'TCP' })))}`;

/** Which pod an endpoint stands for. */
const idOf = ({ targetRef, addresses }: Endpoint): string =>
  `${targetRef?.namespace}/${targetRef?.name}/${targetRef?.uid}/${addresses.join()}`;

/**
 * The fewest writes that bring the slices to the groups: endpoints stay in the slice they are in, new ones fill slices that change anyway, then
 * the fullest with room, then new ones; a slice to remove is turned into one to make where the address family allows (the reference's reconciler).
 */
export function diffSlices(groups: readonly SliceGroup[], existing: readonly EndpointSlice[], maxEndpoints: number): SliceDiff {
  const write: SliceContent[] = [];
  const remove: EndpointSlice[] = [];
  const keep: EndpointSlice[] = [];
  const byGroup = Map.groupBy(existing, ({ addressType, ports }) => groupKey(addressType, ports ?? []));
  for (const group of groups) {
    const key = groupKey(group.addressType, group.ports);
    const diff = diffGroup(group, byGroup.get(key) ?? [], maxEndpoints);
    byGroup.delete(key);
    write.push(...diff.write);
    remove.push(...diff.remove);
    keep.push(...diff.keep);
  }
  remove.push(...[...byGroup.values()].flat());
  return recycle({ write, remove, keep });
}

interface Bin {
  readonly slice: EndpointSlice | undefined;
  endpoints: Endpoint[];
  changed: boolean;
}

function diffGroup({ addressType, ports, endpoints }: SliceGroup, existing: readonly EndpointSlice[], max: number): SliceDiff {
  const wanted = new Map(endpoints.map((endpoint) => [idOf(endpoint), endpoint]));
  const bins = existing.map((slice) => takeOver(slice, wanted));
  const rest = [...wanted.values()];
  const fill = (bin: Bin): void => {
    const added = rest.splice(0, Math.max(0, max - bin.endpoints.length));
    if (added.length === 0) return;
    bin.endpoints.push(...added);
    bin.changed = true;
  };
  for (const bin of bins) if (bin.changed && bin.endpoints.length > 0) fill(bin);
  // The fullest slice that can take all that is left, so that one write is enough; else whichever has room is worth less than a new one.
  const roomy = bins
    .filter((bin) => !bin.changed && bin.endpoints.length + rest.length <= max)
    .sort((a, b) => b.endpoints.length - a.endpoints.length);
  const target = bins.find((bin) => bin.changed && bin.endpoints.length === 0) ?? roomy[0];
  if (rest.length > 0 && target) fill(target);
  while (rest.length > 0) {
    const bin: Bin = { slice: undefined, endpoints: [], changed: true };
    fill(bin);
    bins.push(bin);
  }
  const full = bins.filter((bin) => bin.endpoints.length > 0);
  // A service without endpoints has one empty slice, so that clients can tell "none" from "not known yet".
  const left = full.length > 0 ? full : [bins[0] ?? { slice: undefined, endpoints: [], changed: true }];
  return {
    write: left
      .filter(({ changed }) => changed)
      .map(({ slice, endpoints: content }) => ({ slice, addressType, ports, endpoints: content })),
    keep: left.flatMap(({ changed, slice }) => (changed || !slice ? [] : slice)),
    remove: bins.flatMap((bin) => (left.includes(bin) || !bin.slice ? [] : bin.slice)),
  };
}

/** Keeps what of the slice is still wanted, with its present content, and strikes it off the list. */
function takeOver(slice: EndpointSlice, wanted: Map<string, Endpoint>): Bin {
  let changed = false;
  const endpoints: Endpoint[] = [];
  for (const before of slice.endpoints ?? []) {
    const after = wanted.get(idOf(before));
    if (after) {
      wanted.delete(idOf(before));
      endpoints.push(after);
    }
    changed ||= !after || !sameMeaning(before, after);
  }
  return { slice, endpoints, changed };
}

/** Turns pairs of one to remove and one to make into a change. */
function recycle({ write, remove, keep }: SliceDiff): SliceDiff {
  const left = [...remove];
  const recycled = write.map((content) => {
    const index = content.slice ? -1 : left.findIndex(({ addressType }) => addressType === content.addressType);
    return index < 0 ? content : { ...content, slice: left.splice(index, 1)[0]! };
  });
  return { write: recycled, remove: left, keep };
}
