import { joinHostPort } from '../../net/index.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, formatSome, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { Endpoints, StatusCause } from '../types/index.ts';
import { invalids, notSupported, required } from '../validation/causes.ts';
import { dnsLabel, dnsSubdomain, nonSpecialAddress, portNumber } from '../validation/names.ts';
import { declareKind } from './declare.ts';

type Subset = NonNullable<Endpoints['subsets']>[number];

const protocols = ['SCTP', 'TCP', 'UDP'];
const subsetsOf = (object: AnyObject): Subset[] => object['subsets'] ?? [];

export const endpointsKind = declareKind({
  resource: resources.endpoints,
  createsOnUpdate: true,
  shortNames: ['ep'],
  defaults(object) {
    for (const { ports = [] } of subsetsOf(object)) for (const port of ports) port.protocol ??= 'TCP';
  },
  validate: (object) => subsetsOf(object).flatMap((subset, index) => validateSubset(subset, `subsets[${index}]`)),
  columns: [nameColumn, column('Endpoints', 'The first addresses and ports.', formatEndpoints), ageColumn],
});

function formatEndpoints(object: AnyObject): string {
  const list = subsetsOf(object).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0 ? addresses.map(({ ip }) => ip) : ports.flatMap(({ port }) => addresses.map(({ ip }) => joinHostPort(ip, port))),
  );
  return formatSome(list, '<none>');
}

function validateSubset({ addresses = [], notReadyAddresses = [], ports = [] }: Subset, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (addresses.length + notReadyAddresses.length === 0) causes.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
  for (const [list, items] of Object.entries({ addresses, notReadyAddresses })) {
    for (const [index, { ip = '', hostname, nodeName }] of items.entries()) {
      if (nodeName) causes.push(...invalids(`${at}.${list}[${index}].nodeName`, nodeName, dnsSubdomain(nodeName)));
      causes.push(...invalids(`${at}.${list}[${index}].ip`, ip, nonSpecialAddress(ip)));
      if (hostname) causes.push(...invalids(`${at}.${list}[${index}].hostname`, hostname, dnsLabel(hostname)));
    }
  }
  for (const [index, { name, port, protocol }] of ports.entries()) {
    const field = `${at}.ports[${index}]`;
    if (ports.length > 1 && !name) causes.push(required(`${field}.name`));
    else if (name) causes.push(...invalids(`${field}.name`, name, dnsLabel(name)));
    causes.push(...invalids(`${field}.port`, port ?? 0, portNumber(port)));
    if (!protocol) causes.push(required(`${field}.protocol`));
    else if (!protocols.includes(protocol)) causes.push(notSupported(`${field}.protocol`, protocol, protocols));
  }
  return causes;
}
