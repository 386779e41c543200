import { type Address, compareAddresses, isPort, tryParseAddress } from '../net/index.ts';
import type { EndpointSlice, Service } from '../objects/client.ts';
import { publishedEndpoints } from './input.ts';
import { addressEntry, reverseKeyOf } from './records.ts';
import {
  emptyEntry,
  encodeSet,
  FormatError,
  nameFromText,
  nameKey,
  type NameEntry,
  prependLabels,
  recordTypes,
  srvData,
} from './wire/index.ts';
import type { ServiceZone } from './zone.ts';

/** A name being put together: relative labels to its entry. */
type Names = Map<string, NameEntry>;

/**
 * The names of one Service (Kubernetes DNS specification 1.1.0, sections 2.2 to 2.6). `base` is the wire name `svc.ns.svc.Z`.
 * Undefined when it has none: no cluster IP yet, or headless without an endpoint to publish.
 */
export function compileService(service: Service, slices: readonly EndpointSlice[], base: Uint8Array, ttl: number): ServiceZone | undefined {
  const { spec } = service;
  if (spec.type === 'ExternalName') return compileExternalName(spec.externalName ?? '', ttl);
  if (spec.clusterIP === 'None') return compileHeadless(service, slices, base, ttl);
  return compileClusterIP(service, base, ttl);
}

function compileExternalName(externalName: string, ttl: number): ServiceZone {
  try {
    const alias = nameFromText(externalName);
    if (alias.length > 1) return { names: new Map([['', { sets: [encodeSet(recordTypes.CNAME, ttl, [alias])], alias }]]), reverse: [] };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  // The API server refuses such a Service; should one come all the same, its name exists and points nowhere.
  return { names: new Map([['', emptyEntry]]), reverse: [] };
}

function compileClusterIP(service: Service, base: Uint8Array, ttl: number): ServiceZone | undefined {
  const { spec } = service;
  const addresses = parseAll(spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? '']);
  if (addresses.length === 0) return undefined;
  const self = addressEntry(ttl, addresses);
  const names: Names = new Map([['', self]]);
  for (const port of spec.ports ?? []) {
    if (!port.name) continue;
    const set = encodeSet(recordTypes.SRV, ttl, [srvData(0, 100, port.port, base)], [self]);
    addWithParents(names, [`_${port.name}`, `_${(port.protocol ?? 'TCP').toLowerCase()}`], { sets: [set] });
  }
  return { names, reverse: addresses.map((address) => ({ key: reverseKeyOf(address), target: base })) };
}

function compileHeadless(service: Service, slices: readonly EndpointSlice[], base: Uint8Array, ttl: number): ServiceZone | undefined {
  const byName = new Map<string, Map<string, Address>>();
  const srv = new Map<string, { labels: string[]; records: Map<string, { name: string; port: number }> }>();
  for (const { address: text, hostname, slice } of publishedEndpoints(service, slices)) {
    const address = tryParseAddress(text);
    if (!address) continue;
    const name = endpointName(hostname, address);
    const known = byName.get(name) ?? new Map<string, Address>();
    byName.set(name, known.set(address.text, address));
    for (const port of slice.ports ?? []) {
      if (!port.name || !isPort(port.port)) continue;
      const labels = [`_${port.name}`, `_${(port.protocol ?? 'TCP').toLowerCase()}`];
      const group = srv.get(labels.join('.')) ?? { labels, records: new Map() };
      group.records.set(`${name}:${port.port}`, { name, port: port.port });
      srv.set(labels.join('.'), group);
    }
  }
  if (byName.size === 0) return undefined;

  const all = new Map([...byName.values()].flatMap((addresses) => [...addresses]));
  const names: Names = new Map([['', addressEntry(ttl, [...all.values()].sort(compareAddresses))]]);
  const targets = new Map<string, { entry: NameEntry; wire: Uint8Array }>();
  const reverse: { key: string; target: Uint8Array }[] = [];
  for (const [name, addresses] of byName) {
    const own = [...addresses.values()].sort(compareAddresses);
    const target = { entry: addressEntry(ttl, own), wire: prependLabels([name], base) };
    targets.set(name, target);
    names.set(relativeKey([name]), target.entry);
    for (const address of own) reverse.push({ key: reverseKeyOf(address), target: target.wire });
  }
  for (const { labels, records } of srv.values()) {
    const list = [...records.values()];
    const weight = Math.max(1, Math.floor(100 / list.length));
    const data = list.map(({ name, port }) => srvData(0, weight, port, targets.get(name)!.wire));
    addWithParents(names, labels, {
      sets: [
        encodeSet(
          recordTypes.SRV,
          ttl,
          data,
          list.map(({ name }) => targets.get(name)!.entry),
        ),
      ],
    });
  }
  return { names, reverse };
}

/** An endpoint without a hostname still needs a stable name: its address with dashes. */
function endpointName(hostname: string | undefined, address: Address): string {
  if (hostname && hostname.length <= 63) return hostname.toLowerCase();
  return address.text.replaceAll(/[.:]/g, '-');
}

/** Adds a name and the empty non-terminals between it and the Service's name. */
function addWithParents(names: Names, labels: readonly string[], entry: NameEntry): void {
  names.set(relativeKey(labels), entry);
  for (let skip = 1; skip < labels.length; skip++) {
    const parent = relativeKey(labels.slice(skip));
    if (!names.has(parent)) names.set(parent, emptyEntry);
  }
}

const root = Uint8Array.of(0);
const relativeKey = (labels: readonly string[]): string => nameKey(prependLabels(labels, root)).slice(0, -1);

function parseAll(texts: readonly string[]): Address[] {
  const addresses: Address[] = [];
  for (const text of texts) {
    const address = tryParseAddress(text);
    if (address) addresses.push(address);
  }
  return addresses;
}
