import { configMap, deployment, service } from '../manifests.ts';
import type { Scenario } from '../scenario.ts';

const withLabel = (name: string, part: string) => {
  const object = configMap({ n: '1' }, name);
  return { ...object, metadata: { ...object.metadata, labels: { part } } };
};

const container = (name: string, image = 'registry.test/web:1') => ({ name, image });
const web = (...containers: object[]) => ({
  ...deployment,
  spec: { ...deployment.spec, template: { ...deployment.spec.template, spec: { containers } } },
});

export const applying: readonly Scenario[] = [
  {
    name: 'applies on the client side: creates, changes, takes away, and leaves alone',
    files: {
      '1.json': configMap({ a: '1', b: '2' }),
      '2.json': configMap({ a: '3' }),
      'web1.json': web(container('main')),
      'web2.json': web(container('main'), container('side')),
      'web3.json': web(container('side')),
      'service.json': service,
    },
    steps: [
      { run: 'apply -f 1.json --dry-run=client', stdout: 'configmap/settings created (dry run)\n' },
      { run: 'apply -f 1.json --dry-run=server', stdout: 'configmap/settings created (server dry run)\n' },
      { run: 'apply -f 1.json', stdout: 'configmap/settings created\n' },
      { run: 'apply -f 1.json', stdout: 'configmap/settings unchanged\n' },
      { run: 'apply view-last-applied -f 1.json -o json', stdout: /"a": "1",\n +"b": "2"/ },
      { run: 'patch configmap settings --type merge -p \'{"data":{"c":"kept"}}\'', stdout: 'configmap/settings patched\n' },
      { run: 'diff -f 1.json', stdout: '' },
      { run: 'diff -f 2.json', exit: 1, stdout: [/^-  a: "1"$/m, /^\+  a: "3"$/m, /^-  b: "2"$/m, /^ {3}c: kept$/m] },
      { run: 'apply -f 2.json --dry-run=server', stdout: 'configmap/settings configured (server dry run)\n' },
      { run: 'apply -f 2.json', stdout: 'configmap/settings configured\n' },
      { run: 'get configmap settings -o jsonpath={.data}', stdout: '{"a":"3","c":"kept"}' },
      { run: 'apply set-last-applied -f 1.json', stdout: 'configmap/settings configured\n' },
      { run: 'apply view-last-applied configmap/settings', stdout: /\n {2}b: "2"\n/ },
      { run: 'apply -f web1.json', stdout: 'deployment.apps/web created\n' },
      { run: 'apply -f web2.json', stdout: 'deployment.apps/web configured\n' },
      { run: 'apply -f web3.json', stdout: 'deployment.apps/web configured\n' },
      { run: "get deployment web -o jsonpath='{.spec.template.spec.containers[*].name}'", stdout: 'side' },
      { run: 'apply -f service.json', stdout: 'service/web created\n' },
      { run: 'apply -f service.json', stdout: 'service/web unchanged\n' },
      { run: 'create configmap plain --from-literal=a=1', stdout: /created/ },
      {
        run: 'apply -f -',
        stdin: configMap({ a: '2' }, 'plain'),
        stdout: 'configmap/plain configured\n',
        stderr: /^Warning: resource configmaps\/plain is missing the kubectl\.kubernetes\.io\/last-applied-configuration annotation/,
      },
      {
        run: 'apply -f -',
        stdin: { ...configMap({ a: '2' }), datta: {} },
        server: 25,
        exit: 1,
        stderr: /strict decoding error: unknown field "datta"/,
      },
      {
        run: 'diff -f -',
        stdin: { ...configMap({}), metadata: { name: 'A_B' } },
        exit: 'fails',
        stderr: /The ConfigMap "A_B" is invalid: metadata\.name: Invalid value: "A_B"/,
      },
    ],
  },
  {
    name: 'prunes what is no longer applied',
    ends: true,
    files: { 'two.json': [withLabel('one', 'p'), withLabel('two', 'p')], 'one.json': [withLabel('one', 'p')] },
    steps: [
      {
        run: 'apply -f two.json --prune -l part=p --prune-allowlist=core/v1/ConfigMap',
        stdout: 'configmap/one created\nconfigmap/two created\n',
      },
      { run: 'create -f -', stdin: [withLabel('made', 'p')], stdout: /created/ },
      {
        run: 'apply -f one.json --prune -l part=p --prune-allowlist=core/v1/ConfigMap',
        stdout: 'configmap/one unchanged\nconfigmap/two pruned\n',
      },
      { run: 'get configmaps -l part=p -o name', stdout: 'configmap/made\nconfigmap/one\n' },
    ],
  },
  {
    name: 'applies on the server side, tells conflicts, and yields to force',
    files: {
      'mine.json': configMap({ a: '1', b: '2' }),
      'changed.json': configMap({ a: '1' }),
      'yours.json': configMap({ a: 'yours' }),
      'web.json': web(container('main')),
      'side.json': {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: { template: { spec: { containers: [container('side')] } } },
      },
      'replicas.json': { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { replicas: 5 } },
      'client.json': configMap({ a: '1' }, 'client'),
    },
    steps: [
      {
        run: 'apply --server-side -f mine.json --field-manager=me --dry-run=server',
        stdout: 'configmap/settings serverside-applied (server dry run)\n',
      },
      { run: 'apply --server-side -f mine.json --field-manager=me', stdout: 'configmap/settings serverside-applied\n' },
      {
        run: 'get configmap settings -o json --show-managed-fields',
        stdout: /"fieldsV1": \{\n +"f:data": \{\n +"f:a": \{\},\n +"f:b": \{\}\n +\}\n +\},\n +"manager": "me",\n +"operation": "Apply",\n/,
      },
      {
        run: 'apply --server-side -f yours.json --field-manager=you',
        exit: 1,
        stderr: [/^error: Apply failed with 1 conflict: conflict with "me": \.data\.a\n/, /Please review the fields above/],
      },
      { run: 'diff --server-side -f yours.json --field-manager=you --force-conflicts', exit: 1, stdout: /^\+  a: yours$/m },
      { run: 'apply --server-side -f yours.json --field-manager=you --force-conflicts', stdout: 'configmap/settings serverside-applied\n' },
      { run: 'apply --server-side -f mine.json --field-manager=me', exit: 1, stderr: /conflict with "you": \.data\.a/ },
      { run: 'apply --server-side -f yours.json --field-manager=me', stdout: 'configmap/settings serverside-applied\n' },
      { run: 'get configmap settings -o jsonpath={.data}', stdout: '{"a":"yours"}' },
      { run: 'diff --server-side -f yours.json --field-manager=me', stdout: '' },
      { run: 'apply --server-side -f web.json --field-manager=me', stdout: 'deployment.apps/web serverside-applied\n' },
      { run: 'apply --server-side -f side.json --field-manager=you --validate=false', stdout: 'deployment.apps/web serverside-applied\n' },
      { run: "get deployment web -o jsonpath='{.spec.template.spec.containers[*].name}'", stdout: 'main side' },
      { run: 'scale deployment web --replicas=3', stdout: 'deployment.apps/web scaled\n' },
      {
        run: 'apply --server-side -f replicas.json --field-manager=you --validate=false',
        exit: 1,
        stderr: /Apply failed with 1 conflict: conflict with "[\w.]+"( with subresource "scale")?( using apps\/v1)?: \.spec\.replicas/,
      },
      { run: 'apply -f client.json', stdout: 'configmap/client created\n' },
      { run: 'apply --server-side -f client.json', stdout: 'configmap/client serverside-applied\n' },
      {
        run: 'get configmap client -o json --show-managed-fields',
        stdout: [/"manager": "kubectl",\n +"operation": "Apply"/, /^(?![^]*"manager": "kubectl-client-side-apply")/],
        server: 26,
      },
      {
        run: 'apply --server-side -f -',
        stdin: { ...configMap({ a: '1' }), datta: {} },
        exit: 1,
        stderr: /(unknown field "datta"|\.datta: field not declared in schema)/,
      },
    ],
  },
];
