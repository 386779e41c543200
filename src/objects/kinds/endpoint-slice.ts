import { tryParseAddress } from '../../net/index.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, formatSome, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { Endpoint, EndpointPort, StatusCause } from '../types/index.ts';
import { duplicate, invalids, notSupported, required, tooMany } from '../validation/causes.ts';
import { immutable } from '../validation/metadata.ts';
import { dnsLabel, dnsSubdomain, nonSpecialAddress, portNumber, qualifiedName } from '../validation/names.ts';
import { declareKind } from './declare.ts';

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const endpointsOf = (object: AnyObject): Endpoint[] => object['endpoints'] ?? [];
const portsOf = (object: AnyObject): EndpointPort[] => object['ports'] ?? [];

export const endpointSliceKind = declareKind({
  resource: resources.endpointSlices,
  generationOf: ['addressType', 'endpoints', 'ports'],
  defaults(slice) {
    slice['endpoints'] ??= [];
    for (const port of portsOf(slice)) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: (slice, old) => [
    ...validateAddressType(slice['addressType']),
    ...validateEndpoints(slice),
    ...validatePorts(portsOf(slice)),
    ...(old ? immutable('addressType', slice['addressType'], old['addressType']) : []),
  ],
  columns: [
    nameColumn,
    column('AddressType', 'IPv4, IPv6 or FQDN.', (slice) => slice['addressType'] ?? ''),
    column('Ports', 'Port numbers of the endpoints.', (slice) =>
      formatSome(
        portsOf(slice).map(({ port }) => (port === undefined ? '*' : String(port))),
        '<unset>',
      ),
    ),
    column('Endpoints', 'The first addresses.', (slice) =>
      formatSome(
        endpointsOf(slice).flatMap(({ addresses }) => addresses ?? []),
        '<unset>',
      ),
    ),
    ageColumn,
  ],
});

function validateAddressType(type: string | undefined): StatusCause[] {
  if (!type) return [required('addressType')];
  return addressTypes.includes(type) ? [] : [notSupported('addressType', type, addressTypes)];
}

function validateEndpoints(slice: AnyObject): StatusCause[] {
  const causes: StatusCause[] = [];
  const endpoints = endpointsOf(slice);
  if (endpoints.length > 1000) return [tooMany('endpoints', endpoints.length, 1000)];
  for (const [index, endpoint] of endpoints.entries()) {
    const at = `endpoints[${index}]`;
    const addresses = endpoint.addresses ?? [];
    if (addresses.length === 0) causes.push(required(`${at}.addresses`, 'must contain at least 1 address'));
    if (addresses.length > 100) causes.push(tooMany(`${at}.addresses`, addresses.length, 100));
    for (const [position, address] of addresses.entries()) {
      causes.push(...invalids(`${at}.addresses[${position}]`, address, addressProblems(address, slice['addressType'])));
    }
    if (endpoint.nodeName) causes.push(...invalids(`${at}.nodeName`, endpoint.nodeName, dnsSubdomain(endpoint.nodeName)));
    if (endpoint.hostname) causes.push(...invalids(`${at}.hostname`, endpoint.hostname, dnsLabel(endpoint.hostname)));
  }
  return causes;
}

function addressProblems(text: string, type: string): string[] {
  if (type === 'FQDN') return dnsSubdomain(text);
  const address = tryParseAddress(text);
  const wanted = type === 'IPv6' ? 6 : 4;
  if (address?.family !== wanted) return [wanted === 4 ? 'must be a valid IPv4 address' : 'must be a valid IPv6 address'];
  return nonSpecialAddress(text);
}

function validatePorts(ports: readonly EndpointPort[]): StatusCause[] {
  const causes: StatusCause[] = [];
  if (ports.length > 100) return [tooMany('ports', ports.length, 100)];
  const names = new Set<string>();
  for (const [index, { name = '', port, protocol, appProtocol }] of ports.entries()) {
    const at = `ports[${index}]`;
    if (name) causes.push(...invalids(`${at}.name`, name, dnsLabel(name)));
    if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    names.add(name);
    if (port !== undefined) causes.push(...invalids(`${at}.port`, port, portNumber(port)));
    if (!protocol) causes.push(required(`${at}.protocol`));
    else if (!protocols.includes(protocol)) causes.push(notSupported(`${at}.protocol`, protocol, protocols));
    if (appProtocol) causes.push(...invalids(`${at}.appProtocol`, appProtocol, qualifiedName(appProtocol)));
  }
  return causes;
}
