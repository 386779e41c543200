import { tryParseAddress } from '../../net/index.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, orNone } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, notSupported, required, tooLong } from '../validation/causes.ts';
import { immutable } from '../validation/metadata.ts';
import { dns1035Label, dnsSubdomain, pathSegment, portName, portNumber, wildcardSubdomain } from '../validation/names.ts';
import { declareKind } from './declare.ts';

interface Backend {
  service?: { name?: string; port?: { name?: string; number?: number } };
  resource?: Reference;
}

interface Reference {
  apiGroup?: string;
  kind?: string;
  name?: string;
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];

export const ingressKind = declareKind({
  resource: resources.ingresses,
  shortNames: ['ing'],
  subresources: { status: true },
  generationOf: ['spec'],
  onCreate(ingress) {
    ingress.status = { loadBalancer: {} };
  },
  validate: ({ spec = {} }: AnyObject) => validateSpec(spec),
  columns: [
    nameColumn,
    column('Class', 'Ingress class.', ({ metadata, spec }) =>
      orNone(spec?.ingressClassName ?? metadata.annotations?.['kubernetes.io/ingress.class']),
    ),
    column('Hosts', 'Hosts of the rules.', ({ spec }) => formatHosts(spec?.rules ?? [])),
    column('Address', 'Addresses of the load balancer.', ({ status }) =>
      (status?.loadBalancer?.ingress ?? []).map((item: { ip?: string; hostname?: string }) => item.ip || item.hostname).join(','),
    ),
    column('Ports', 'Ports on which the hosts answer.', ({ spec }) => (spec?.tls?.length ? '80, 443' : '80')),
    ageColumn,
  ],
});

export const ingressClassKind = declareKind({
  resource: resources.ingressClasses,
  generationOf: ['spec'],
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
  },
  validate: validateClass,
  columns: [
    nameColumn,
    column('Controller', 'Who serves the class.', ({ spec }) => spec?.controller ?? ''),
    column('Parameters', 'Where its parameters are.', ({ spec }) => {
      const parameters = spec?.parameters;
      if (!parameters) return '<none>';
      return `${parameters.kind}${parameters.apiGroup ? `.${parameters.apiGroup}` : ''}/${parameters.name}`;
    }),
    ageColumn,
  ],
});

function formatHosts(rules: readonly { host?: string }[]): string {
  const hosts = [...new Set(rules.map(({ host }) => host).filter((host) => host !== undefined && host !== ''))] as string[];
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${hosts.length - 3} more...` : hosts.join(',');
}

function validateSpec(spec: AnyObject['spec']): StatusCause[] {
  const causes: StatusCause[] = [];
  if (!spec.rules?.length && !spec.defaultBackend)
    causes.push(invalid('spec', spec.rules ?? null, 'either `defaultBackend` or `rules` must be specified'));
  if (spec.defaultBackend) causes.push(...validateBackend(spec.defaultBackend, 'spec.defaultBackend'));
  if (spec.ingressClassName) causes.push(...invalids('spec.ingressClassName', spec.ingressClassName, dnsSubdomain(spec.ingressClassName)));
  for (const [index, rule] of (spec.rules ?? []).entries()) causes.push(...validateRule(rule, `spec.rules[${index}]`));
  for (const [index, { hosts = [], secretName }] of (spec.tls ?? []).entries()) {
    const at = `spec.tls[${index}]`;
    for (const [position, host] of hosts.entries()) causes.push(...invalids(`${at}.hosts[${position}]`, host, hostName(host)));
    if (secretName) causes.push(...invalids(`${at}.secretName`, secretName, dnsSubdomain(secretName)));
  }
  return causes;
}

const hostName = (host: string): string[] => (host.includes('*') ? wildcardSubdomain(host) : dnsSubdomain(host));

function validateRule({ host, http }: AnyObject['spec'], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (host && tryParseAddress(host)) causes.push(invalid(`${at}.host`, host, 'must be a DNS name, not an IP address'));
  if (host) causes.push(...invalids(`${at}.host`, host, hostName(host)));
  if (http && !http.paths?.length) causes.push(required(`${at}.http.paths`));
  for (const [index, path] of (http?.paths ?? []).entries()) causes.push(...validatePath(path, `${at}.http.paths[${index}]`));
  return causes;
}

function validatePath({ path = '', pathType, backend = {} }: AnyObject['spec'], at: string): StatusCause[] {
  if (!pathType) return [required(`${at}.pathType`, 'pathType must be specified')];
  const causes: StatusCause[] = [];
  const field = `${at}.path`;
  if (!pathTypes.includes(pathType)) causes.push(notSupported(`${at}.pathType`, pathType, pathTypes));
  else if ((pathType !== 'ImplementationSpecific' || path) && !path.startsWith('/')) {
    causes.push(invalid(field, path, 'must be an absolute path'));
  }
  if (pathType === 'Exact' || pathType === 'Prefix') {
    for (const part of ['//', '/./', '/../', '%2f', '%2F']) {
      if (path.includes(part)) causes.push(invalid(field, path, `must not contain '${part}'`));
    }
    for (const end of ['/..', '/.']) if (path.endsWith(end)) causes.push(invalid(field, path, `cannot end with '${end}'`));
  }
  return [...causes, ...validateBackend(backend, `${at}.backend`)];
}

function validateBackend({ service, resource }: Backend, at: string): StatusCause[] {
  if (service && resource) return [invalid(at, '', 'cannot set both resource and service backends')];
  if (resource) return validateReference(resource, `${at}.resource`);
  if (!service) return [invalid(at, '', 'resource or service backend is required')];
  const causes: StatusCause[] = [];
  if (!service.name) causes.push(required(`${at}.service.name`));
  else causes.push(...invalids(`${at}.service.name`, service.name, dns1035Label(service.name)));
  const { name, number } = service.port ?? {};
  if (name && number) causes.push(invalid(at, '', 'cannot set both port name & port number'));
  else if (name) causes.push(...invalids(`${at}.service.port.name`, name, portName(name)));
  else if (number) causes.push(...invalids(`${at}.service.port.number`, number, portNumber(number)));
  else causes.push(required(at, 'port name or number is required'));
  return causes;
}

/** An object of any kind, by its name. */
function validateReference({ apiGroup, kind, name }: Reference, at: string): StatusCause[] {
  const causes = apiGroup === undefined ? [] : invalids(`${at}.apiGroup`, apiGroup, dnsSubdomain(apiGroup));
  for (const [field, value] of Object.entries({ kind, name })) {
    if (!value) causes.push(required(`${at}.${field}`, `${field} is required`));
    else causes.push(...invalids(`${at}.${field}`, value, pathSegment(value)));
  }
  return causes;
}

const maxController = 250;

function validateClass({ spec = {} }: AnyObject, old: AnyObject | undefined): StatusCause[] {
  const { controller = '', parameters } = spec;
  const at = 'spec.controller';
  const causes = controller.length > maxController ? [tooLong(at, maxController)] : [];
  if (controller === '') causes.push(required(at));
  else {
    const [domain = '', ...path] = controller.split('/');
    if (domain === '' || path.join('/') === '') {
      causes.push(invalid(at, controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
    } else causes.push(...invalids(at, domain, dnsSubdomain(domain)));
  }
  if (parameters) causes.push(...validateReference(parameters, 'spec.parameters'), ...validateScope(parameters, 'spec.parameters'));
  return [...causes, ...(old ? immutable(at, spec.controller, old.spec?.controller) : [])];
}

/** Where the parameters of a class are: in a namespace, or in none. */
function validateScope({ scope, namespace }: { scope?: string; namespace?: string }, at: string): StatusCause[] {
  if (scope === 'Namespace') return namespace ? [] : [required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'")];
  if (scope !== 'Cluster') return [notSupported(`${at}.scope`, scope ?? '', ['Cluster', 'Namespace'])];
  return namespace === undefined ? [] : [forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'")];
}
