import { StatusError } from './status-errors.ts';

/** What clients of Kubernetes ask for and this server does not have, by group and plural ('*' for all of a group), with what that means. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['/resourcequotas', 'resource quotas are not supported by this server: nothing limits what a namespace holds'],
  ['/limitranges', 'limit ranges are not supported by this server: containers get no default requests and limits'],
  ['admissionregistration.k8s.io/*', 'admission webhooks and admission policies are not supported by this server: nothing would call them'],
  ['apiregistration.k8s.io/*', 'aggregated API servers are not supported by this server'],
  ['apiextensions.k8s.io/*', 'custom resource definitions are not supported by this server'],
  ['policy/poddisruptionbudgets', 'disruption budgets are not supported by this server: evictions are never held up'],
]);

/** The answer to a request for it: 404, as for any resource that is not served, in words that say why. Undefined for what nobody knows. */
export function unsupportedResource(group: string, plural: string): StatusError | undefined {
  const message = reasons.get(`${group}/${plural}`) ?? reasons.get(`${group}/*`);
  return message === undefined ? undefined : new StatusError({ code: 404, reason: 'NotFound', message, details: {} });
}
