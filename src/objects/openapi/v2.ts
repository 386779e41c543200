// OpenAPI v2 as gnostic's protobuf (openapi_v2/OpenAPIv2.proto): what kubectl up to 1.28 needs for create, apply and explain.
import { Writer } from 'protobufjs/minimal.js';
import { servedKinds } from '../kinds.ts';
import { type Operation, operationsOf, parameterTypes, patchTypes } from './operations.ts';
import { componentName, componentSchemas, type OpenApiSchema } from './schemas.ts';
import { gvksOf } from './v3.ts';

const refPrefix = '#/definitions/';

type Write = (writer: Writer) => void;

/** The whole API as `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`. Made anew by each call (tens of milliseconds): keep it. */
export function openApiV2Protobuf(): Uint8Array {
  const operations = servedKinds.flatMap(operationsOf);
  const messages = new Set(operations.flatMap(({ body, answer }) => (body ? [body, answer] : [answer])));
  const schemas = componentSchemas(messages, refPrefix, gvksOf);
  const writer = Writer.create();
  text(writer, 1, '2.0');
  message(writer, 2, (info) => {
    text(info, 1, 'Kubernetes');
    text(info, 2, 'unversioned');
  });
  message(writer, 8, (paths) => {
    for (const [path, items] of Map.groupBy(operations, ({ path }) => path)) named(paths, 2, path, (item) => writePathItem(item, items));
  });
  message(writer, 9, (definitions) => {
    for (const [name, schema] of Object.entries(schemas)) named(definitions, 1, name, (value) => writeSchema(value, schema));
  });
  return writer.finish();
}

function text(writer: Writer, field: number, value: string): void {
  writer.uint32((field << 3) | 2).string(value);
}

function message(writer: Writer, field: number, write: Write): void {
  writer.uint32((field << 3) | 2).fork();
  write(writer);
  writer.ldelim();
}

/** One of gnostic's Named... pairs: name 1, value 2. */
function named(writer: Writer, field: number, name: string, write: Write): void {
  message(writer, field, (pair) => {
    text(pair, 1, name);
    message(pair, 2, write);
  });
}

/** A vendor extension; its value is YAML, of which JSON is a part. */
const extension = (writer: Writer, field: number, name: string, value: unknown): void =>
  named(writer, field, name, (any) => text(any, 2, JSON.stringify(value)));

const methodFields = { get: 2, put: 3, post: 4, delete: 5, patch: 8 } as const;

function writePathItem(writer: Writer, operations: readonly Operation[]): void {
  for (const operation of operations) message(writer, methodFields[operation.method], (item) => writeOperation(item, operation));
  for (const name of operations[0]!.pathParameters) {
    message(writer, 9, (item) =>
      message(item, 1, (parameter) => message(parameter, 2, (nonBody) => message(nonBody, 4, (path) => writePathParameter(path, name)))),
    );
  }
}

function writePathParameter(writer: Writer, name: string): void {
  writer.uint32(1 << 3).bool(true);
  text(writer, 2, 'path');
  text(writer, 4, name);
  text(writer, 5, 'string');
}

function writeOperation(writer: Writer, { id, queryParameters, body, answer, action, gvk }: Operation): void {
  text(writer, 5, id);
  text(writer, 6, 'application/json');
  for (const type of body === '' ? patchTypes : ['*/*']) text(writer, 7, type);
  for (const name of queryParameters) {
    message(writer, 8, (item) =>
      message(item, 1, (parameter) =>
        message(parameter, 2, (nonBody) =>
          message(nonBody, 3, (query) => {
            text(query, 2, 'query');
            text(query, 4, name);
            text(query, 6, parameterTypes[name] ?? 'string');
          }),
        ),
      ),
    );
  }
  message(writer, 9, (responses) =>
    named(responses, 1, '200', (value) =>
      message(value, 1, (response) => {
        text(response, 1, 'OK');
        message(response, 2, (item) => message(item, 1, (schema) => text(schema, 1, refPrefix + componentName(answer))));
      }),
    ),
  );
  extension(writer, 13, 'x-kubernetes-action', action);
  extension(writer, 13, 'x-kubernetes-group-version-kind', gvk);
}

function writeSchema(writer: Writer, schema: OpenApiSchema): void {
  if (schema.$ref) text(writer, 1, schema.$ref);
  if (schema.format) text(writer, 2, schema.format);
  if (schema.description) text(writer, 4, schema.description);
  for (const name of schema.required ?? []) text(writer, 19, name);
  const { additionalProperties, items, properties, type } = schema;
  if (additionalProperties) message(writer, 21, (item) => message(item, 1, (inner) => writeSchema(inner, additionalProperties)));
  if (type) message(writer, 22, (item) => text(item, 1, type));
  if (items) message(writer, 23, (item) => message(item, 1, (inner) => writeSchema(inner, items)));
  if (properties) {
    message(writer, 25, (list) => {
      for (const [name, inner] of Object.entries(properties)) named(list, 1, name, (value) => writeSchema(value, inner));
    });
  }
  for (const [name, value] of Object.entries(schema)) if (name.startsWith('x-')) extension(writer, 31, name, value);
}
