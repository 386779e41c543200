import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, orNone } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, notSupported, required } from '../validation/causes.ts';
import { dns1035Label, dnsSubdomain, portName, portNumber } from '../validation/names.ts';
import { declareKind } from './declare.ts';

interface Backend {
  service?: { name?: string; port?: { name?: string; number?: number } };
  resource?: object;
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];

export const ingressKind = declareKind({
  resource: resources.ingresses,
  shortNames: ['ing'],
  subresources: { status: true },
  generationOf: ['spec'],
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
  validate: ({ spec }: AnyObject) => (spec?.controller ? [] : [required('spec.controller')]),
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
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    const at = `spec.rules[${index}]`;
    if (rule.host) causes.push(...invalids(`${at}.host`, rule.host, dnsSubdomain(rule.host.replace(/^\*\./, ''))));
    if (rule.http && !rule.http.paths?.length) causes.push(required(`${at}.http.paths`));
    for (const [position, path] of (rule.http?.paths ?? []).entries()) {
      const field = `${at}.http.paths[${position}]`;
      if (!path.pathType) causes.push(required(`${field}.pathType`, 'pathType must be specified'));
      else if (!pathTypes.includes(path.pathType)) causes.push(notSupported(`${field}.pathType`, path.pathType, pathTypes));
      else if ((path.pathType !== 'ImplementationSpecific' || path.path) && !path.path?.startsWith('/')) {
        causes.push(invalid(`${field}.path`, path.path ?? '', 'must be an absolute path'));
      }
      causes.push(...validateBackend(path.backend ?? {}, `${field}.backend`));
    }
  }
  return causes;
}

function validateBackend({ service, resource }: Backend, at: string): StatusCause[] {
  if (service && resource) return [invalid(at, '', 'cannot set both resource and service backends')];
  if (!service) return resource ? [] : [required(at, 'either service or resource must be specified')];
  const causes: StatusCause[] = [];
  if (!service.name) causes.push(required(`${at}.service.name`));
  else causes.push(...invalids(`${at}.service.name`, service.name, dns1035Label(service.name)));
  const { name, number } = service.port ?? {};
  if (name && number) causes.push(forbidden(`${at}.service.port`, 'cannot set both port name & port number'));
  else if (name) causes.push(...invalids(`${at}.service.port.name`, name, portName(name)));
  else if (number) causes.push(...invalids(`${at}.service.port.number`, number, portNumber(number)));
  else causes.push(required(`${at}.service.port`, 'port name or number is required'));
  return causes;
}
