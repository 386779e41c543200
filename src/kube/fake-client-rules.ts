import type { KubeObject, Resource, StatusCause } from '../objects/client.ts';
import { ApiError } from './errors.ts';

// biome-ignore lint: any is the truth here, as in objects/kind.ts
export type Json = KubeObject & { spec?: any; status?: any; [field: string]: any };

export function refuse(reason: string, code: number, message: string, causes?: StatusCause[]): ApiError {
  const details = causes ? { details: { causes } } : {};
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code, message, ...details }, 'fake');
}

const nameIn = (key: string): string => key.slice(key.indexOf('/') + 1);

export const notFound = (resource: Resource, key: string): ApiError =>
  refuse('NotFound', 404, `${resource.plural} "${nameIn(key)}" not found`);

export const conflict = (resource: Resource, key: string, why: string): ApiError =>
  refuse('Conflict', 409, `Operation cannot be fulfilled on ${resource.plural} "${nameIn(key)}": ${why}`);

export const forbidden = (resource: Resource, namespace: string): ApiError =>
  refuse(
    'Forbidden',
    403,
    `${resource.plural} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }],
  );

const invalid = (resource: Resource, name: string, problem: string): ApiError =>
  refuse('Invalid', 422, `${resource.kind} "${name}" is invalid: ${problem}`);

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** The object as the API server stores it on create. Throws what validation would. */
export function prepareCreate(resource: Resource, given: Json, uid: string, now: string, random: () => number): Json {
  if (given.metadata.resourceVersion) throw refuse('BadRequest', 400, 'resourceVersion should not be set on objects to be created');
  const { generateName } = given.metadata;
  const suffix = (): string => Array.from({ length: 5 }, () => suffixAlphabet[Math.floor(random() * suffixAlphabet.length)]).join('');
  const name = given.metadata.name || (generateName ? generateName.slice(0, 58) + suffix() : '');
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) || name.length > 253)
    throw invalid(resource, name, `metadata.name: Invalid value: ${JSON.stringify(name)}`);
  const { deletionTimestamp: _ignored, ...metadata } = given.metadata;
  const made: Json = structuredClone({
    ...given,
    metadata: { ...metadata, name, uid, creationTimestamp: now, ...('spec' in given ? { generation: 1 } : {}) },
  });
  if (resource.plural === 'namespaces') return { ...made, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } };
  if (resource.plural === 'pods') {
    if (!made.spec?.containers?.length) throw invalid(resource, name, 'spec.containers: Required value');
    made.status = { phase: 'Pending', qosClass: 'BestEffort' };
  }
  if (resource.plural === 'replicasets' || resource.plural === 'deployments') {
    checkSelector(resource, made);
    made.status = resource.plural === 'replicasets' ? { replicas: 0 } : {};
    made.spec.replicas ??= 1;
  }
  return made;
}

function checkSelector(resource: Resource, { metadata, spec }: Json): void {
  const wanted: Record<string, string> = spec?.selector?.matchLabels ?? {};
  const labels: Record<string, string> = spec?.template?.metadata?.labels ?? {};
  if (Object.entries(wanted).some(([key, value]) => labels[key] !== value)) {
    throw invalid(resource, metadata.name, 'spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`');
  }
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The object as the API server stores it on a PUT of the main resource or a subresource. Throws what validation would. */
export function prepareUpdate(resource: Resource, next: Json, before: Json, subresource: string | undefined): Json {
  const { name } = before.metadata;
  const kept = (({ uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion }) =>
    JSON.parse(JSON.stringify({ uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion })))(
    before.metadata,
  );
  if (subresource === 'status') return { ...before, status: next.status, metadata: { ...before.metadata } };
  if (subresource === 'finalize') return { ...before, spec: { ...before.spec, finalizers: next.spec?.finalizers ?? [] } };
  if (subresource !== undefined)
    throw refuse('NotFound', 404, `the server could not find the requested resource ${resource.plural}/${subresource}`);
  const updated: Json = { ...structuredClone(next), metadata: { ...structuredClone(next.metadata), ...kept } };
  if ('status' in before) updated.status = before.status;
  else delete updated.status;
  if (
    before.metadata.deletionTimestamp &&
    (updated.metadata.finalizers ?? []).some((finalizer) => !before.metadata.finalizers?.includes(finalizer))
  ) {
    throw invalid(resource, name, 'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted');
  }
  if (resource.plural === 'nodes' && before.spec?.podCIDR && !same(before.spec.podCIDRs, updated.spec?.podCIDRs)) {
    throw refuse('Forbidden', 403, `nodes "${name}" is forbidden: node updates may not change podCIDR except from "" to valid`);
  }
  if (
    resource.plural === 'pods' &&
    !same({ ...before.spec, tolerations: 0, containers: 0 }, { ...updated.spec, tolerations: 0, containers: 0 })
  ) {
    throw invalid(resource, name, 'spec: Forbidden: pod updates may not change fields other than images and tolerations');
  }
  if ((resource.plural === 'replicasets' || resource.plural === 'deployments') && !same(before.spec.selector, updated.spec?.selector)) {
    throw invalid(resource, name, 'spec.selector: Invalid value: field is immutable');
  }
  if (resource.plural === 'endpointslices' && before['addressType'] !== updated['addressType'])
    throw invalid(resource, name, 'addressType: field is immutable');
  if ('spec' in updated && !same(before.spec, updated.spec) && updated.metadata.generation !== undefined) updated.metadata.generation += 1;
  return updated;
}
