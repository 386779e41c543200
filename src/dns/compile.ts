import { tryParseAddress } from '../net/index.ts';
import type { EndpointSlice, Namespace, Service } from '../objects/client.ts';
import { type DnsInput, groupSlices } from './input.ts';
import type { DnsOptions } from './options.ts';
import { addressEntry } from './records.ts';
import { compileService } from './service-zone.ts';
import {
  countLabels,
  emptyEntry,
  encodeSet,
  FormatError,
  nameFromText,
  nameKey,
  type NameEntry,
  prependLabels,
  recordTypes,
  soaData,
  txtData,
} from './wire/index.ts';
import type { ServiceZone, Zone } from './zone.ts';

export type ZoneOptions = Pick<DnsOptions, 'clusterDomain' | 'ttlSeconds' | 'pods' | 'serviceName'>;

interface CachedService {
  readonly slices: readonly EndpointSlice[];
  readonly key: string;
  readonly namespaceLabel: string;
  readonly zone: ServiceZone | undefined;
}

const none: readonly EndpointSlice[] = [];

/**
 * A compiler of zones: `compile(input)` is a pure function of its input. What it made of a Service is kept as long as the Service and its
 * slices are the very same objects, so that one change costs one Service.
 * @throws FormatError when the cluster domain is not a name.
 */
export function createZoneCompiler(options: ZoneOptions): (input: DnsInput) => Zone {
  const apex = nameFromText(options.clusterDomain.toLowerCase());
  const svc = prependLabels(['svc'], apex);
  const cache = new WeakMap<Service, CachedService>();

  function serviceOf(service: Service, slices: readonly EndpointSlice[]): CachedService | undefined {
    const known = cache.get(service);
    if (known && sameItems(known.slices, slices)) return known;
    const { name, namespace = '' } = service.metadata;
    try {
      const base = prependLabels([name, namespace], svc);
      const made: CachedService = {
        slices,
        key: nameKey(base),
        namespaceLabel: labelKey(namespace),
        zone: compileService(service, slices, base, options.ttlSeconds),
      };
      cache.set(service, made);
      return made;
    } catch (error) {
      // A name too long for DNS cannot be asked for either.
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }

  return (input) => {
    const slices = groupSlices(input.endpointSlices);
    const services = new Map<string, ServiceZone>();
    const namespaces = new Set<string>();
    const targets = new Map<string, Uint8Array[]>();
    let glue: readonly string[] = input.serverAddresses;
    for (const namespace of input.namespaces) namespaces.add(labelOf(namespace));
    for (const service of input.services) {
      const id = `${service.metadata.namespace}/${service.metadata.name}`;
      const compiled = serviceOf(service, slices.get(id) ?? none);
      if (!compiled) continue;
      // The namespace may reach the cache after its Service.
      namespaces.add(compiled.namespaceLabel);
      if (!compiled.zone) continue;
      services.set(compiled.key, compiled.zone);
      for (const { key, target } of compiled.zone.reverse) {
        const known = targets.get(key);
        if (known) known.push(target);
        else targets.set(key, [target]);
      }
      if (id === options.serviceName && service.spec.clusterIP !== 'None') glue = service.spec.clusterIPs ?? [service.spec.clusterIP ?? ''];
    }
    return {
      ...fixedParts(apex, glue, options.ttlSeconds, input.serial),
      services,
      namespaces,
      reverse: new Map([...targets].map(([key, list]) => [key, pointerEntry(list, options.ttlSeconds)])),
      pods: options.pods,
      podAddresses: options.pods === 'verified' ? podAddresses(input) : new Set(),
    };
  };
}

/** The names that do not come from a Service: apex, version, name server, and the empty non-terminals svc and pod. */
function fixedParts(
  apex: Uint8Array,
  glue: readonly string[],
  ttl: number,
  serial: number,
): Omit<Zone, 'services' | 'namespaces' | 'reverse' | 'pods' | 'podAddresses'> {
  const primary = prependLabels(['ns', 'dns'], apex);
  const soa = encodeSet(recordTypes.SOA, ttl, [
    soaData({ primary, mailbox: prependLabels(['hostmaster'], apex), serial, refresh: 7_200, retry: 1_800, expire: 86_400, minimum: ttl }),
  ]);
  const addresses = glue.flatMap((text) => tryParseAddress(text) ?? []).filter((address) => address.value !== 0n);
  const serverEntry = addressEntry(ttl, addresses);
  const nameServer = { ...encodeSet(recordTypes.NS, ttl, [primary]), targets: [serverEntry] };
  const under = (...labels: string[]): string => nameKey(prependLabels(labels, apex));
  const fixed = new Map<string, NameEntry>([
    [nameKey(apex), { sets: [soa, nameServer] }],
    [under('dns-version'), { sets: [encodeSet(recordTypes.TXT, ttl, [txtData('1.1.0')])] }],
    [under('ns', 'dns'), serverEntry],
    [under('dns'), emptyEntry],
    [under('svc'), emptyEntry],
    [under('pod'), emptyEntry],
  ]);
  return { apex, apexKey: nameKey(apex), apexLabels: countLabels(apex), serial, ttl, soa, fixed };
}

/** PTR to each name, in a fixed order. */
function pointerEntry(targets: readonly Uint8Array[], ttl: number): NameEntry {
  const sorted = targets.length > 1 ? [...targets].sort((a, b) => Buffer.compare(a, b)) : targets;
  return { sets: [encodeSet(recordTypes.PTR, ttl, sorted)] };
}

/** Completed pods have given their address back; a pod on the host's network has none of its own, but is asked for by its node's. */
function podAddresses(input: DnsInput): Set<string> {
  const found = new Set<string>();
  for (const { metadata, status } of input.pods) {
    if (status?.phase === 'Succeeded' || status?.phase === 'Failed') continue;
    for (const { ip } of status?.podIPs ?? (status?.podIP ? [{ ip: status.podIP }] : [])) {
      const address = tryParseAddress(ip);
      if (address) found.add(`${metadata.namespace}/${address.text}`);
    }
  }
  return found;
}

const labelKey = (label: string): string => String.fromCharCode(label.length) + label.toLowerCase();

const namespaceLabels = new WeakMap<Namespace, string>();
function labelOf(namespace: Namespace): string {
  const known = namespaceLabels.get(namespace);
  if (known !== undefined) return known;
  const label = labelKey(namespace.metadata.name);
  namespaceLabels.set(namespace, label);
  return label;
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** How many names and records the zone holds, by type. Walks the whole zone. */
export function countZone(zone: Zone): { names: number; records: Record<'A' | 'AAAA' | 'SRV' | 'PTR' | 'CNAME', number> } {
  const records = { A: 0, AAAA: 0, SRV: 0, PTR: 0, CNAME: 0 };
  const byType = new Map<number, keyof typeof records>([
    [recordTypes.A, 'A'],
    [recordTypes.AAAA, 'AAAA'],
    [recordTypes.SRV, 'SRV'],
    [recordTypes.PTR, 'PTR'],
    [recordTypes.CNAME, 'CNAME'],
  ]);
  let names = 0;
  const add = (entry: NameEntry): void => {
    names++;
    for (const set of entry.sets) {
      const name = byType.get(set.type);
      if (name) records[name] += set.offsets.length - 1;
    }
  };
  for (const service of zone.services.values()) for (const entry of service.names.values()) add(entry);
  for (const entry of zone.reverse.values()) add(entry);
  for (const entry of zone.fixed.values()) add(entry);
  return { names, records };
}
