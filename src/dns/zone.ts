import { tryParseAddress } from '../net/index.ts';
import { addressSet } from './records.ts';
import { emptyEntry, type NameEntry, type RecordSet } from './wire/index.ts';

/** What one Service adds to the zone. */
export interface ServiceZone {
  /** By the key of the labels in front of `svc.ns.svc.Z`; '' is the Service's own name. */
  readonly names: ReadonlyMap<string, NameEntry>;
  /** Reverse names (keys) and the wire names they point at. */
  readonly reverse: readonly { readonly key: string; readonly target: Uint8Array }[];
}

/** The compiled zone: everything the server answers of its own. Keys are those of nameKey. */
export interface Zone {
  /** Wire name and key of Z. */
  readonly apex: Uint8Array;
  readonly apexKey: string;
  readonly apexLabels: number;
  readonly serial: number;
  readonly ttl: number;
  /** Owner pointers of these are aimed at the apex by whoever writes them. */
  readonly soa: RecordSet;
  /** Names not of any Service, by whole key. */
  readonly fixed: ReadonlyMap<string, NameEntry>;
  /** By the key of `svc.ns.svc.Z`. */
  readonly services: ReadonlyMap<string, ServiceZone>;
  /** Label keys of the namespaces that exist. */
  readonly namespaces: ReadonlySet<string>;
  readonly reverse: ReadonlyMap<string, NameEntry>;
  readonly pods: 'disabled' | 'insecure' | 'verified';
  /** With `pods: verified`: `namespace/address` of each pod. */
  readonly podAddresses: ReadonlySet<string>;
}

export type Lookup =
  | { readonly kind: 'found'; readonly entry: NameEntry }
  /** `apex`: offset in the key where the zone's own name begins, for the SOA. */
  | { readonly kind: 'no-such-name'; readonly apex: number }
  /** Under in-addr.arpa or ip6.arpa and none of ours: an upstream may know more; `exists` when a name of ours lies below. */
  | { readonly kind: 'no-such-reverse'; readonly apex: number; readonly exists: boolean }
  /** Not a name of this zone. */
  | { readonly kind: 'outside' };

const outside: Lookup = { kind: 'outside' };
const svcLabel = '\x03svc';
const podLabel = '\x03pod';
const reverseApexes = ['\x07in-addr\x04arpa\0', '\x03ip6\x04arpa\0'] as const;

/** Looks a name up. `labels` says where each label begins in the key. Cost does not depend on the zone's size. */
export function lookUp(zone: Zone, key: string, labels: readonly number[]): Lookup {
  const above = labels.length - zone.apexLabels;
  const apex = above === 0 ? 0 : labels[above];
  if (above < 0 || apex === undefined || key.length - apex !== zone.apexKey.length || !key.endsWith(zone.apexKey))
    return lookUpReverse(zone, key, labels);
  const fixed = zone.fixed.get(key);
  if (fixed) return { kind: 'found', entry: fixed };
  const entry = above >= 2 ? lookUpBelow(zone, key, labels, above) : undefined;
  return entry ? { kind: 'found', entry } : { kind: 'no-such-name', apex };
}

function lookUpBelow(zone: Zone, key: string, labels: readonly number[], above: number): NameEntry | undefined {
  const top = key.slice(labels[above - 1]!, labels[above] ?? key.length - zone.apexKey.length);
  if (top === svcLabel) {
    if (above === 2) return zone.namespaces.has(key.slice(labels[0]!, labels[1]!)) ? emptyEntry : undefined;
    const service = labels[above - 3]!;
    return zone.services.get(key.slice(service))?.names.get(key.slice(0, service));
  }
  if (top !== podLabel || zone.pods === 'disabled' || above > 3) return undefined;
  const namespace = key.slice(labels[above - 2]!, labels[above - 1]!);
  if (!zone.namespaces.has(namespace)) return undefined;
  return above === 2 ? emptyEntry : podEntry(zone, key.slice(1, labels[1]!), namespace.slice(1));
}

/** `10-244-1-7` or `fd00-10-244--7`: the address is in the name (CoreDNS's `pods insecure`). */
function podEntry(zone: Zone, label: string, namespace: string): NameEntry | undefined {
  const text = /^\d+-\d+-\d+-\d+$/.test(label) ? label.replaceAll('-', '.') : label.replaceAll('-', ':');
  const address = tryParseAddress(text);
  if (!address) return undefined;
  if (zone.pods === 'verified' && !zone.podAddresses.has(`${namespace}/${address.text}`)) return undefined;
  return { sets: [addressSet(zone.ttl, [address])] };
}

function lookUpReverse(zone: Zone, key: string, labels: readonly number[]): Lookup {
  const at = labels[labels.length - 2];
  if (at === undefined || !reverseApexes.includes(key.slice(at) as never)) return outside;
  const entry = zone.reverse.get(key);
  if (entry) return { kind: 'found', entry };
  return { kind: 'no-such-reverse', apex: at, exists: hasNameBelow(zone, key, labels.length) };
}

/** Whether a reverse name of ours ends in this one (RFC 8020). Only names shorter than a whole address need the search. */
function hasNameBelow(zone: Zone, key: string, labelCount: number): boolean {
  if (labelCount >= (key.endsWith(reverseApexes[0]) ? 6 : 34)) return false;
  for (const name of zone.reverse.keys()) {
    // A reverse name's labels hold no byte that could be taken for a length, so a textual suffix is a suffix of labels.
    if (name.endsWith(key)) return true;
  }
  return false;
}
