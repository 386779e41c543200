import type { NftProtocol } from '../dataplane/nft.ts';
import { type Address, type Family, tryParseAddress } from '../net/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, invalid, listField, numberField, objectField, textField } from './fields.ts';

/** A port of the node that leads to the pod, as the runtime asks for it. */
export interface PortMapping {
  readonly protocol: NftProtocol;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Only this address of the node. */
  readonly hostIP?: Address;
  /** All addresses of this family only: the runtime said 0.0.0.0 or ::. Neither: all addresses of both. */
  readonly family?: Family;
}

/** A mapping of one family, with the pod's address in it. */
export interface HostPort {
  readonly protocol: NftProtocol;
  readonly hostPort: number;
  /** Canonical text; undefined means every address of the node. */
  readonly hostIP?: string;
  /** Canonical text. */
  readonly address: string;
  readonly containerPort: number;
}

const protocols: readonly string[] = ['tcp', 'udp', 'sctp'];

/** The capability `portMappings` (CNI conventions). @throws CniError 7 naming the entry and the key */
export function parsePortMappings(fields: Fields): readonly PortMapping[] {
  const runtimeConfig = objectField(fields, 'runtimeConfig') ?? {};
  const mappings = listField(runtimeConfig, 'portMappings', 'runtimeConfig.portMappings', 10_000).map((entry, index) =>
    parseMapping(asObject(entry, `runtimeConfig.portMappings[${index}]`), `runtimeConfig.portMappings[${index}]`),
  );
  for (const [index, mapping] of mappings.entries()) {
    const other = mappings.findIndex((before) => overlap(before, mapping));
    if (other < index)
      throw invalid(`runtimeConfig.portMappings[${index}].hostPort`, mapping.hostPort, `is asked for by portMappings[${other}] already`);
  }
  return mappings;
}

function parseMapping(entry: Fields, path: string): PortMapping {
  const port = (key: string): number => {
    const value = numberField(entry, key, { min: 1, max: 65_535 }, `${path}.${key}`);
    if (value === undefined) throw new CniError(cniErrorCodes.invalidConfig, `${path}.${key}: missing`);
    return value;
  };
  const protocol = (textField(entry, 'protocol', `${path}.protocol`) ?? 'tcp').toLowerCase();
  if (!protocols.includes(protocol)) throw invalid(`${path}.protocol`, entry['protocol'], `is none of ${protocols.join(', ')}`);
  const mapping = { protocol: protocol as NftProtocol, hostPort: port('hostPort'), containerPort: port('containerPort') };
  const text = textField(entry, 'hostIP', `${path}.hostIP`);
  if (text === undefined) return mapping;
  const hostIP = tryParseAddress(text);
  if (!hostIP) throw invalid(`${path}.hostIP`, text, 'is not an IP address');
  if (hostIP.text === '::1')
    throw invalid(`${path}.hostIP`, text, 'cannot be led to a pod: the kernel takes answers to ::1 from no other link than lo');
  return hostIP.value === 0n ? { ...mapping, family: hostIP.family } : { ...mapping, hostIP };
}

const familyOf = ({ hostIP, family }: PortMapping): Family | undefined => hostIP?.family ?? family;

function overlap(a: PortMapping, b: PortMapping): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (a.hostIP && b.hostIP) return a.hostIP.text === b.hostIP.text;
  return !familyOf(a) || !familyOf(b) || familyOf(a) === familyOf(b);
}

/**
 * The mappings for a pod with these addresses. A mapping for all addresses of a family that the pod has none of is left out.
 * @throws CniError 7 when a single node address is to lead to a pod without an address of its family
 */
export function compileHostPorts(mappings: readonly PortMapping[], addresses: readonly Address[]): HostPort[] {
  return mappings.flatMap((mapping, index): HostPort[] => {
    const { protocol, hostPort, containerPort, hostIP } = mapping;
    const wanted = familyOf(mapping);
    const targets = ([4, 6] as const).flatMap((family) =>
      wanted === undefined || wanted === family ? addresses.filter((address) => address.family === family).slice(0, 1) : [],
    );
    if (hostIP && targets.length === 0)
      throw invalid(`runtimeConfig.portMappings[${index}].hostIP`, hostIP.text, `needs a pod with an IPv${hostIP.family} address`);
    return targets.map(({ text }) => ({
      protocol,
      hostPort,
      ...(hostIP ? { hostIP: hostIP.text } : {}),
      address: text,
      containerPort,
    }));
  });
}

/** `8080/tcp`, or `10.0.0.1:8080/tcp`, or `[2001:db8::1]:8080/tcp`. */
export function hostPortText({ protocol, hostPort, hostIP }: Pick<HostPort, 'protocol' | 'hostPort' | 'hostIP'>): string {
  const at = hostIP === undefined ? '' : hostIP.includes(':') ? `[${hostIP}]:` : `${hostIP}:`;
  return `${at}${hostPort}/${protocol}`;
}
