// What a Kubernetes API server answers to requests that are wrong or odd, as data. The answers are those of a real one.

export interface ProtocolCase {
  /** `GET /path`; {cm} is the collection of config maps in `default`. */
  readonly request: string;
  readonly body?: unknown;
  readonly type?: string;
  readonly accept?: string;
  readonly code: number;
  /** A part of the answer's message. */
  readonly says?: string;
  readonly reason?: string;
}

const mergePatch = 'application/merge-patch+json';
const unreadable = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ";
const noSuchPath = 'the server could not find the requested resource';
const refused = { code: 405, reason: 'MethodNotAllowed', says: 'the server does not allow this method on the requested resource' };
const token = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const cannot = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: ';

export const protocolCases: readonly ProtocolCase[] = [
  // Paths and methods.
  { request: 'GET /nowhere', code: 404, reason: 'NotFound', says: noSuchPath },
  { request: 'GET /api/v2/pods', code: 404, reason: 'NotFound', says: noSuchPath },
  { request: 'GET /apis/none.example.com', code: 404, reason: 'NotFound', says: noSuchPath },
  { request: 'GET /apis/apps/v9/deployments', code: 404, reason: 'NotFound' },
  { request: 'GET /api/v1//configmaps', code: 404, reason: 'NotFound' },
  { request: 'GET /api/v1/configmaps/a', code: 404, reason: 'NotFound' },
  { request: 'GET {cm}/a/status', code: 404, reason: 'NotFound', says: noSuchPath },
  { request: 'GET /apis/apps/v1/', code: 200 },
  { request: 'GET {cm}/', code: 200 },
  { request: 'GET {cm}/none', code: 404, reason: 'NotFound', says: 'configmaps "none" not found' },
  { request: 'POST {cm}/a', body: {}, ...refused },
  { request: 'PUT {cm}', body: {}, ...refused },
  { request: 'POST /api/v1/configmaps', body: {}, ...refused },
  { request: 'DELETE /api/v1/configmaps', ...refused },
  { request: 'DELETE /api/v1/namespaces', ...refused },
  { request: 'POST /api', body: {}, ...refused },
  { request: 'DELETE /version', ...refused },
  { request: 'OPTIONS {cm}', ...refused },
  { request: 'GET {cm}?timeout=soon', code: 400, says: 'invalid timeout specified in the request URL - time: invalid duration "soon"' },
  { request: 'GET {cm}?timeout=32s', code: 200 },
  // What this server does not have says so.
  { request: 'POST /api/v1/namespaces/default/resourcequotas', body: {}, code: 404, reason: 'NotFound', says: 'quotas are not supported' },
  { request: 'GET /api/v1/namespaces/default/limitranges', code: 404, reason: 'NotFound', says: 'limit ranges are not supported' },
  {
    request: 'GET /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
    code: 404,
    reason: 'NotFound',
    says: 'webhooks and admission policies are not supported',
  },
  // Options of lists.
  { request: 'GET {cm}?resourceVersion=abc', code: 400, says: 'strconv.ParseUint: parsing "abc": invalid syntax' },
  { request: 'GET {cm}?limit=x', code: 400, says: 'strconv.ParseInt: parsing "x": invalid syntax' },
  { request: 'GET {cm}?limit=-1', code: 200 },
  {
    request: 'GET {cm}?resourceVersionMatch=Exact',
    code: 422,
    reason: 'Invalid',
    says: 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
  },
  {
    request: 'GET {cm}?resourceVersion=0&resourceVersionMatch=Exact',
    code: 422,
    says: 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
  },
  {
    request: 'GET {cm}?resourceVersion=1&resourceVersionMatch=Some',
    code: 422,
    says: 'Unsupported value: "Some": supported values: "Exact", "NotOlderThan", ""',
  },
  { request: 'GET {cm}?sendInitialEvents=true', code: 422, says: 'sendInitialEvents is forbidden for list' },
  {
    request: 'GET {cm}?watch=true&resourceVersionMatch=NotOlderThan',
    code: 422,
    says: 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
  },
  {
    request: 'GET {cm}?watch=true&sendInitialEvents=true',
    code: 422,
    says: 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
  },
  { request: 'GET {cm}?continue=%20', code: 400, says: 'continue key is not valid' },
  { request: 'GET {cm}?continue=e30', code: 400, says: 'server does not recognize this encoded version ""' },
  {
    request: `GET {cm}?continue=${token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' })}`,
    code: 400,
    says: 'incorrect encoded start resourceVersion (version meta.k8s.io/v1)',
  },
  { request: `GET {cm}?continue=${token({ v: 'meta.k8s.io/v1', rv: 1, start: '../../x' })}`, code: 400, says: '../../x' },
  {
    request: `GET {cm}?resourceVersion=5&continue=${token({ v: 'meta.k8s.io/v1', rv: 1, start: 'a' })}`,
    code: 400,
    says: 'specifying resource version is not allowed when using continue',
  },
  // Selectors.
  { request: 'GET {cm}?labelSelector=a%3Db%3Dc', code: 400, says: "found '=', expected: ',' or 'end of string'" },
  { request: 'GET {cm}?labelSelector=a,,b', code: 400, says: "found ',', expected: identifier after ','" },
  {
    request: 'GET {cm}?labelSelector=a%20in%20(',
    code: 400,
    says: "unable to parse requirement: found '', expected: ',', ')' or identifier",
  },
  {
    request: 'GET {cm}?fieldSelector=spec.x%3D1',
    code: 400,
    says: '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
  },
  { request: 'GET /api/v1/pods?fieldSelector=spec.x%3D1', code: 400, says: 'field label not supported: spec.x' },
  { request: 'GET {cm}?fieldSelector=metadata.name%3Da%3Db', code: 400, says: 'invalid field selector: unescaped character in value: 61' },
  // Accept.
  { request: 'GET {cm}', accept: 'text/html', code: 406, reason: 'NotAcceptable', says: 'only the following media types are accepted' },
  { request: 'GET {cm}', accept: 'application/json;as=Table;v=v9;g=meta.k8s.io', code: 406, reason: 'NotAcceptable' },
  { request: 'GET {cm}', accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', code: 406, reason: 'NotAcceptable' },
  { request: 'GET {cm}', accept: 'text/html;q=0.9,application/json;q=0.1', code: 200 },
  { request: 'GET {cm}?watch=1', accept: 'application/yaml', code: 406, says: 'application/json;stream=watch' },
  {
    request: 'GET {cm}?includeObject=Some',
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    code: 400,
    says: "must be 'Metadata', 'Object', 'None', or empty",
  },
  // Bodies.
  { request: 'POST {cm}', body: '', code: 400, says: `${unreadable}unexpected end of JSON input (<empty>)` },
  { request: 'POST {cm}', body: '{', code: 400, says: `${unreadable}unexpected end of JSON input ({)` },
  { request: 'POST {cm}', body: 'a: b', code: 400, says: `${unreadable}invalid character 'a' looking for beginning of value (613a2062)` },
  { request: 'POST {cm}', body: '[]', code: 400, says: 'cannot unmarshal array into Go value of type struct { APIVersion string' },
  {
    request: 'POST {cm}',
    body: 'null',
    code: 422,
    reason: 'Invalid',
    says: 'metadata.name: Required value: name or generateName is required',
  },
  {
    request: 'POST {cm}',
    body: { kind: 5 },
    code: 400,
    says: 'cannot unmarshal number into Go struct field .kind of type string ({"kind":5})',
  },
  {
    request: 'POST {cm}',
    body: {},
    type: 'text/plain',
    code: 415,
    reason: 'UnsupportedMediaType',
    says: 'accepted media types include: application/json',
  },
  { request: 'POST {cm}', body: {}, type: 'nonsense', code: 415, reason: 'UnsupportedMediaType' },
  { request: 'POST {cm}', body: '{}', type: 'application/vnd.kubernetes.protobuf', code: 400, says: 'expected prefix [107 56 115 0] ({})' },
  {
    request: 'POST {cm}',
    body: { metadata: { name: 'a' }, data: { a: 1 } },
    code: 400,
    says: `${cannot}json: cannot unmarshal number into Go struct field ConfigMap.data of type string`,
  },
  {
    request: 'POST {cm}',
    body: { metadata: [] },
    code: 400,
    says: `${cannot}json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta`,
  },
  {
    request: 'POST {cm}',
    body: { kind: 'Wrong', apiVersion: 'x/v9' },
    code: 400,
    says: 'Wrong in version "v9" cannot be handled as a ConfigMap: no kind "Wrong" is registered for version "x/v9"',
  },
  {
    request: 'POST {cm}',
    body: { kind: 'Pod', apiVersion: 'v1' },
    code: 400,
    says: 'Pod in version "v1" cannot be handled as a ConfigMap',
  },
  {
    request: 'POST {cm}',
    body: { metadata: { name: 'a', namespace: 'other' } },
    code: 400,
    says: 'the namespace of the provided object does not match the namespace sent on the request',
  },
  {
    request: 'POST {cm}',
    body: { metadata: { name: 'Bad_Name' } },
    code: 422,
    reason: 'Invalid',
    says: 'ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain',
  },
  {
    request: 'POST {cm}?dryRun=Some',
    body: {},
    code: 422,
    says: 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
  },
  {
    request: `POST {cm}?fieldManager=${'x'.repeat(129)}`,
    body: {},
    code: 422,
    says: 'fieldManager: Too long: may not be more than 128 bytes',
  },
  { request: 'POST /api/v1/namespaces/none/configmaps', body: { metadata: { name: 'a' } }, code: 404, says: 'namespaces "none" not found' },
  // Changes.
  {
    request: 'PUT {cm}/a',
    body: { metadata: {} },
    code: 400,
    says: 'the name of the object (a based on URL) was undeterminable: name must be provided',
  },
  {
    request: 'PUT {cm}/a',
    body: { metadata: { name: 'b' } },
    code: 400,
    says: 'the name of the object (b) does not match the name on the URL (a)',
  },
  { request: 'PUT {cm}/none', body: { metadata: { name: 'none' } }, code: 404, says: 'configmaps "none" not found' },
  { request: 'PATCH {cm}/none', body: {}, type: mergePatch, code: 404, says: 'configmaps "none" not found' },
  { request: 'PATCH {cm}/a', body: {}, type: 'application/json', code: 415, reason: 'UnsupportedMediaType' },
  { request: 'DELETE {cm}/a', body: '{bad', code: 400, says: "invalid character 'b' looking for beginning of object key string" },
  { request: 'DELETE {cm}/a?gracePeriodSeconds=x', code: 400, says: 'strconv.ParseInt: parsing "x": invalid syntax' },
  {
    request: 'DELETE {cm}/a?propagationPolicy=Some',
    code: 422,
    says: 'propagationPolicy: Unsupported value: "Some": supported values: "Foreground", "Background", "Orphan", "nil"',
  },
  {
    request: 'DELETE {cm}/a',
    body: { propagationPolicy: 'Background', orphanDependents: true },
    code: 422,
    says: 'orphanDependents and deletionPropagation cannot be both set',
  },
  {
    request: 'DELETE {cm}/a',
    body: { preconditions: { uid: 'other' } },
    code: 409,
    reason: 'Conflict',
    says: 'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other)',
  },
  {
    request: 'DELETE /api/v1/namespaces/default',
    code: 403,
    reason: 'Forbidden',
    says: 'namespaces "default" is forbidden: this namespace may not be deleted',
  },
];
