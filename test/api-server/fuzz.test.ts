// Whatever comes in, an answer goes out, and none says that the server failed.
import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnyObject, encodeKubernetesProtobuf, kinds, resourcePath } from '../../src/objects/index.ts';
import { objectOf } from '../objects/arbitrary-object.ts';
import { configMap, inDefault, startTestServer, type TestServer } from './harness.ts';

const garbage = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 20 }));
const anyText = fc.oneof(
  garbage,
  fc.constantFrom('../..', '%', '%zz', '%2e%2e', '\0', '__proto__', 'constructor', '=', ',,', 'a in (', '!', '9'.repeat(40)),
);
const parameter = fc.constantFrom(
  ...['labelSelector', 'fieldSelector', 'continue', 'limit', 'resourceVersion', 'resourceVersionMatch', 'timeoutSeconds', 'timeout'],
  ...['dryRun', 'fieldManager', 'fieldValidation', 'includeObject', 'propagationPolicy', 'gracePeriodSeconds', 'orphanDependents', 'force'],
);
const query = fc
  .array(fc.tuple(parameter, anyText), { maxLength: 3 })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&'));
const path = fc.oneof(
  fc.constantFrom(...kinds).chain(({ resource }) => {
    const base = resourcePath(resource, resource.namespaced ? 'default' : undefined);
    return fc.constantFrom(base, `${base}/a`, `${base}/a/status`, `${base}/a/scale`, `${base}/none`);
  }),
  fc.array(anyText, { maxLength: 5 }).map((parts) => `/${parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/')}`),
  fc
    .array(anyText, { maxLength: 3 })
    .map((parts) => `/api/v1/namespaces/${parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/')}`),
);
const mediaType = fc.oneof(
  fc.constantFrom(
    ...['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf', 'application/json-patch+json'],
    ...['application/merge-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml', '*/*', 'text/html'],
    ...['application/json;as=Table;v=v1;g=meta.k8s.io', 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', ';;;=,,q'],
  ),
  fc.string({ maxLength: 20 }).filter((text) => /^[\x21-\x7e]*$/.test(text)),
);
/** An object of some kind with odd values, so that it gets past the schema as well. */
const object = fc.constantFrom(...kinds).chain((kind) =>
  objectOf(kind.schema).map((fields): AnyObject => {
    const { group, version, kind: name } = kind.resource;
    const metadata = { ...(fields['metadata'] as object), name: 'a' };
    return { ...fields, apiVersion: group ? `${group}/${version}` : version, kind: name, metadata } as AnyObject;
  }),
);
const mangled = (bytes: Uint8Array, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at % copy.length] = value;
  return copy;
};
const body: fc.Arbitrary<string | Buffer> = fc.oneof(
  fc.json(),
  object.map((value) => JSON.stringify(value)),
  fc
    .record({ value: object, at: fc.nat(), byte: fc.nat(255) })
    .map(({ value, at, byte }) => mangled(encodeKubernetesProtobuf(value), at, byte)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(
    '',
    'null',
    '[]',
    '{"metadata":{"name":"a"}}',
    '- a\n- *b',
    `${'['.repeat(5_000)}`,
    '{"__proto__":{"a":1}}',
    '[{"op":"add","path":"/__proto__/x","value":1}]',
  ),
);

async function answerTo(api: TestServer, method: string, target: string, headers: Record<string, string>, content?: string | Buffer) {
  const response = await fetch(api.url + target, { method, headers, ...(content === undefined ? {} : { body: content as string }) });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { code: response.status, type: response.headers.get('content-type') ?? '', bytes };
}

/** 501 is said in so many words; 504 is a revision that has not come. */
function check({ code, type, bytes }: { code: number; type: string; bytes: Buffer }, what: string): void {
  const told = `${what}: ${code} ${bytes.subarray(0, 300).toString()}`;
  expect(code < 500 || code === 501 || code === 504, told).toBe(true);
  if (code >= 400 && type.startsWith('application/json'))
    expect(JSON.parse(bytes.toString()), told).toMatchObject({ kind: 'Status', code });
}

describe('nonsense', () => {
  it('in paths, parameters, headers and bodies is answered with 4xx and a Status', { timeout: 60_000 }, async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', inDefault('configmaps'), configMap('a'));
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE');
    await fc.assert(
      fc.asyncProperty(method, path, query, mediaType, mediaType, body, async (verb, target, parameters, type, accept, content) => {
        // A watch goes on; a revision to come is waited for.
        const url = `${target}?${parameters.replace(/resourceVersion=\d+/g, 'resourceVersion=1')}`;
        const answer = await answerTo(api, verb, url, { accept, 'content-type': type }, verb === 'GET' ? undefined : content);
        check(answer, `${verb} ${url} ${type} ${String(content).slice(0, 200)}`);
      }),
      { numRuns: 700, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    );
    // Still there.
    await api.expect(200, 'GET', '/readyz');
  });

  it('that fits the schema of its kind is stored or refused', { timeout: 60_000 }, async () => {
    const api = await startTestServer();
    await fc.assert(
      fc.asyncProperty(object, fc.boolean(), async (value, binary) => {
        const { resource } = kinds.find(
          ({ resource: { kind, group, version } }) => kind === value.kind && (group ? `${group}/${version}` : version) === value.apiVersion,
        )!;
        const target = `${resourcePath(resource, resource.namespaced ? 'default' : undefined)}?dryRun=All`;
        const { namespace: _namespace, resourceVersion: _version, ...metadata } = value.metadata;
        const whole = { ...value, metadata };
        const content = binary ? Buffer.from(encodeKubernetesProtobuf(whole)) : JSON.stringify(whole);
        const type = binary ? 'application/vnd.kubernetes.protobuf' : 'application/json';
        check(await answerTo(api, 'POST', target, { 'content-type': type }, content), JSON.stringify(whole));
      }),
      { numRuns: 400, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
    );
  });

  it('instead of HTTP is answered with a Status, too', async () => {
    const api = await startTestServer();
    const { port } = new URL(api.url);
    const say = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let heard = '';
        const socket = connect(Number(port), '127.0.0.1', () => socket.end(text));
        socket.on('data', (bytes) => (heard += bytes.toString()));
        socket.on('error', reject);
        socket.on('close', () => resolve(heard));
      });
    expect(await say('FOO / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 405 .*"kind":"Status".*"code":405/s);
    expect(await say('\x16\x03\x01 not http\r\n\r\n')).toMatch(/^HTTP\/1\.1 4\d\d .*"kind":"Status"/s);
    const huge = `GET /version HTTP/1.1\r\nhost: a\r\nx-large: ${'x'.repeat(300_000)}\r\n\r\n`;
    expect(await say(huge)).toMatch(/^HTTP\/1\.1 431 .*"code":431/s);
    await api.expect(200, 'GET', '/version');
  });
});
