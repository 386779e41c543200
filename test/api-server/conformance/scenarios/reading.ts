import { configMap } from '../manifests.ts';
import type { Scenario } from '../scenario.ts';

const labelled = (name: string, labels: Readonly<Record<string, string>>, data: Readonly<Record<string, string>> = {}) => {
  const object = configMap(data, name);
  return { ...object, metadata: { ...object.metadata, labels } };
};

const three = [
  labelled('a', { tier: 'front', colour: 'blue' }, { rank: '3' }),
  labelled('b', { tier: 'back' }, { rank: '1' }),
  labelled('c', {}, { rank: '2' }),
];

export const reading: readonly Scenario[] = [
  {
    name: 'gets in every form',
    ends: true,
    steps: [
      { run: 'get configmaps -l no=such', stdout: '', stderr: 'No resources found in @ns namespace.\n' },
      { run: 'create -f -', stdin: three, stdout: /a created/ },
      { run: 'get configmaps a b', stdout: /^NAME +DATA +AGE\na +1 +\S+\nb +1 +\S+\n$/ },
      {
        run: 'get cm,sa -o name',
        eventually: true,
        stdout: 'configmap/a\nconfigmap/b\nconfigmap/c\nconfigmap/kube-root-ca.crt\nserviceaccount/default\n',
      },
      { run: 'get cm --no-headers -l tier', stdout: /^a +1 +\S+\nb +1 +\S+\n$/ },
      { run: 'get cm -l tier=front', stdout: /^NAME.*\na .*\n$/ },
      { run: "get cm -l 'tier in (front,back),colour!=blue' -o name", stdout: 'configmap/b\n' },
      { run: "get cm -l '!tier' --field-selector=metadata.name!=kube-root-ca.crt -o name", stdout: 'configmap/c\n' },
      { run: 'get cm --field-selector metadata.name=b -o name', stdout: 'configmap/b\n' },
      {
        run: 'get cm a -o yaml',
        stdout: [
          /^apiVersion: v1\ndata:\n  rank: "3"\nkind: ConfigMap\nmetadata:\n  creationTimestamp: "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"\n/,
          /^(?!.*managedFields)/s,
        ],
      },
      {
        run: 'get cm a -o yaml --show-managed-fields',
        stdout: [
          /\n  managedFields:\n  - apiVersion: v1\n    fieldsType: FieldsV1\n    fieldsV1:\n/,
          /\n    manager: kubectl-create\n    operation: Update\n/,
        ],
      },
      { run: 'get cm a -o json', stdout: /"kind": "ConfigMap"/ },
      { run: "get cm -l tier -o jsonpath='{.items[*].metadata.name}'", stdout: 'a b' },
      { run: 'get cm -o jsonpath-as-json=\'{.items[?(@.data.rank=="1")].metadata.name}\'', stdout: '[\n    "b"\n]\n' },
      { run: "get cm a -o go-template='{{.data.rank}}'", stdout: '3' },
      {
        run: 'get cm -l tier -o custom-columns=NAME:.metadata.name,RANK:.data.rank,NONE:.data.x',
        stdout: /^NAME +RANK +NONE\na +3 +<none>\nb +1 +<none>\n$/,
      },
      { run: 'get cm a b c --sort-by=.data.rank -o name', stdout: 'configmap/b\nconfigmap/c\nconfigmap/a\n' },
      { run: 'get cm -l tier --sort-by={.data.rank}', stdout: /^NAME +DATA +AGE\nb .*\na .*\n$/ },
      {
        run: 'get cm -l tier --show-labels',
        stdout: /^NAME +DATA +AGE +LABELS\na +1 +\S+ +colour=blue,tier=front\nb +1 +\S+ +tier=back\n$/,
      },
      { run: 'get cm -l tier -L colour,tier', stdout: /^NAME +DATA +AGE +COLOUR +TIER\na +1 +\S+ +blue +front\nb +1 +\S+ +back\n$/ },
      { run: 'get cm -l tier --show-kind', stdout: /\nconfigmap\/a +1 / },
      { run: 'get cm a b c --chunk-size=1 -o name', stdout: 'configmap/a\nconfigmap/b\nconfigmap/c\n' },
      { run: 'get cm --chunk-size=1 -l tier -o name', stdout: 'configmap/a\nconfigmap/b\n' },
      {
        run: 'get cm -A --field-selector metadata.namespace=@ns,metadata.name=a',
        stdout: /^NAMESPACE +NAME +DATA +AGE\n@ns +a +1 +\S+\n$/,
      },
      { run: 'get cm none --ignore-not-found', stdout: '' },
      {
        run: 'get cm a none -o name',
        exit: 1,
        stdout: 'configmap/a\n',
        stderr: 'Error from server (NotFound): configmaps "none" not found\n',
      },
      { run: 'get cm/a secret/none --ignore-not-found -o name', stdout: 'configmap/a\n' },
      { run: 'get configmaps.v1. a -o name', stdout: 'configmap/a\n' },
      {
        run: 'get --raw /api/v1/namespaces/@ns/configmaps?limit=1',
        stdout: [/"kind":"ConfigMapList"/, /"continue":"\S+"/, /"remainingItemCount":3/],
      },
      { run: 'get cm a --subresource=status', until: 30, exit: 1, stderr: /the server could not find the requested resource/ },
      { run: 'describe configmaps a b', stdout: [/Name: +a\nNamespace: +@ns\nLabels: +colour=blue\n +tier=front\n/, /Name: +b\n/] },
      { run: 'describe cm -l tier=back', stdout: /^Name: +b\n/ },
    ],
  },
  {
    name: 'follows changes with -w',
    steps: [
      { run: 'create configmap a --from-literal=n=1', stdout: /created/ },
      { start: 'get cm -w -l !no --field-selector=metadata.name!=kube-root-ca.crt', as: 'list' },
      { start: 'get cm a -w -o name', as: 'one' },
      { start: 'get cm -w --watch-only --output-watch-events --field-selector metadata.name=b', as: 'only' },
      { see: 'list', stdout: /^NAME +DATA +AGE\na +1 / },
      { see: 'one', stdout: /^configmap\/a\n/ },
      { run: 'patch cm a -p \'{"data":{"m":"2"}}\'', stdout: 'configmap/a patched\n' },
      { see: 'list', stdout: /\na +2 +\S+\n/ },
      { see: 'one', stdout: /^configmap\/a\nconfigmap\/a\n/ },
      { run: 'create configmap b', stdout: /created/ },
      { see: 'list', stdout: /\nb +0 +\S+\n/ },
      { see: 'only', stdout: /^EVENT +NAME +DATA +AGE\nADDED +b +0 / },
      { run: 'delete configmap b', stdout: /deleted/ },
      { see: 'only', stdout: /\nDELETED +b +0 / },
      { end: 'list', stop: true, exit: 'fails', stdout: /^NAME[^]*(?!NAME)/ },
      { end: 'one', stop: true, exit: 'fails' },
      { end: 'only', stop: true, exit: 'fails' },
    ],
  },
  {
    name: 'serves kubectl proxy',
    ends: true,
    steps: [
      { start: 'proxy --port=0', as: 'proxy' },
      { see: 'proxy', stdout: /^Starting to serve on 127\.0\.0\.1:\d+\n/ },
      { fetch: '/api/v1/namespaces/@ns', through: 'proxy', body: /"kind": ?"Namespace"/ },
      { fetch: '/version', through: 'proxy', body: /"gitVersion": ?"v1\./ },
      { fetch: '/api/v1/namespaces/@ns/pods/none', through: 'proxy', body: /"reason": ?"NotFound"/ },
      { end: 'proxy', stop: true },
    ],
  },
];
