// OpenAPI v2 as JSON: what curl and clients generated from it read. The same content as v2.ts writes as protobuf.
import { servedKinds } from '../kinds.ts';
import { type Operation, operationsOf, parameterTypes, patchTypes } from './operations.ts';
import { componentName, componentSchemas } from './schemas.ts';
import { gvksOf } from './v3.ts';

const refPrefix = '#/definitions/';

/** The whole API, to be written as JSON. Made anew by each call (tens of milliseconds): keep it. */
export function openApiV2Document(): object {
  const operations = servedKinds.flatMap(operationsOf);
  const messages = new Set(operations.flatMap(({ body, answer }) => (body ? [body, answer] : [answer])));
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {
      parameters: operation.pathParameters.map((name) => ({ name, in: 'path', required: true, type: 'string', uniqueItems: true })),
    };
    paths[operation.path]![operation.method] = renderOperation(operation);
  }
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: 'unversioned' },
    paths,
    definitions: componentSchemas(messages, refPrefix, gvksOf),
  };
}

function renderOperation({ id, body, answer, action, gvk, queryParameters }: Operation): object {
  const reference = (message: string): object => ({ $ref: refPrefix + componentName(message) });
  // A patch is of the formats that are listed; its schema is none of the API's.
  const schema = body === '' ? { type: 'object' } : body && reference(body);
  return {
    operationId: id,
    consumes: body === '' ? patchTypes : ['*/*'],
    produces: ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'],
    parameters: [
      ...queryParameters.map((name) => ({ name, in: 'query', type: parameterTypes[name] ?? 'string', uniqueItems: true })),
      ...(schema ? [{ name: 'body', in: 'body', required: action !== 'delete' && action !== 'deletecollection', schema }] : []),
    ],
    responses: { '200': { description: 'OK', schema: reference(answer) } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  };
}
