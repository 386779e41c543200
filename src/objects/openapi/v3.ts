import { createHash } from 'node:crypto';
import { servedKinds } from '../kinds.ts';
import { atomicMaps, atomicMessages, listTypes } from '../schema/list-types.ts';
import { metaV1 } from '../schema/table.ts';
import tables from '../schema/kubernetes.json' with { type: 'json' };
import { deleteOptions, gvkOf, type Operation, operationsOf, parameterTypes, patchTypes, status } from './operations.ts';
import { componentName, componentSchemas, type GroupVersionKind } from './schemas.ts';

const refPrefix = '#/components/schemas/';
const patchComponent = `${metaV1}.Patch`;

/** Group and version of each document: `api/v1`, `apis/apps/v1`. */
const documentName = (group: string, version: string): string => (group ? `apis/${group}/${version}` : `api/${version}`);

/** What `/openapi/v3` answers: each group-version's document and its hash. */
export function openApiV3Paths(): { paths: Record<string, { serverRelativeURL: string }> } {
  // The hash stands for the content: the tables, what is served, and how. Hashing the documents would mean to make them all at start-up.
  const served = servedKinds.map(({ resource, subresources }) => [resource, subresources]);
  const content = JSON.stringify([tables, listTypes, [...atomicMessages], [...atomicMaps], patchTypes, served]);
  const hash = createHash('sha256').update(content).digest('hex').toUpperCase();
  const names = new Set(servedKinds.map(({ resource }) => documentName(resource.group, resource.version)));
  return {
    paths: Object.fromEntries([...names].toSorted().map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }])),
  };
}

/**
 * The OpenAPI v3 document of a group-version, as a value to be written as JSON; undefined when nothing of it is served. Made anew by each call
 * (some 10 ms for core/v1): keep it.
 */
export function openApiV3Document(group: string, version: string): object | undefined {
  const served = servedKinds.filter(({ resource }) => resource.group === group && resource.version === version);
  if (served.length === 0) return undefined;
  const operations = served.flatMap(operationsOf);
  const messages = new Set([deleteOptions, status]);
  for (const { body, answer } of operations) {
    if (body) messages.add(body);
    messages.add(answer);
  }
  const schemas = componentSchemas(messages, refPrefix, gvksOf);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {
      parameters: operation.pathParameters.map((name) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string', uniqueItems: true },
      })),
    };
    paths[operation.path]![operation.method] = renderOperation(operation);
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'unversioned' },
    paths,
    components: {
      schemas: {
        ...schemas,
        [componentName(patchComponent)]: { type: 'object', description: 'A patch of one of the formats that the request lists.' },
      },
    },
  };
}

function renderOperation(operation: Operation): object {
  const content = (message: string, types: readonly string[]) =>
    Object.fromEntries(types.map((type) => [type, { schema: { $ref: refPrefix + componentName(message) } }]));
  const body = operation.body === '' ? content(patchComponent, patchTypes) : operation.body ? content(operation.body, ['*/*']) : undefined;
  return {
    operationId: operation.id,
    parameters: operation.queryParameters.map((name) => ({
      name,
      in: 'query',
      schema: { type: parameterTypes[name] ?? 'string', uniqueItems: true },
    })),
    ...(body && {
      requestBody: { content: body, ...(operation.action !== 'delete' && operation.action !== 'deletecollection' && { required: true }) },
    }),
    responses: {
      '200': {
        description: 'OK',
        content: content(operation.answer, ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']),
      },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.gvk,
  };
}

const scaleKind: GroupVersionKind = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

const byMessage = new Map<string, GroupVersionKind[]>([
  ['k8s.io.api.autoscaling.v1.Scale', [scaleKind]],
  [status, [{ group: '', version: 'v1', kind: 'Status' }]],
]);
for (const kind of servedKinds) {
  const gvk = gvkOf(kind);
  byMessage.set(kind.schema, [...(byMessage.get(kind.schema) ?? []), gvk]);
  byMessage.set(`${kind.schema}List`, [{ ...gvk, kind: `${gvk.kind}List` }]);
}

/** The kinds whose schema a message is. */
export const gvksOf = (message: string): readonly GroupVersionKind[] => byMessage.get(message) ?? [];
