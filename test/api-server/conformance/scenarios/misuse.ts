import { configMap, deployment, pod, service } from '../manifests.ts';
import type { Scenario } from '../scenario.ts';

export const misuse: readonly Scenario[] = [
  {
    name: 'says what is wrong with an object',
    ends: true,
    steps: [
      {
        run: 'create -f -',
        stdin: configMap({ 'a b': 'x' }),
        exit: 1,
        stderr:
          /^The ConfigMap "settings" is invalid: data\[a b\]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '\.'/,
      },
      {
        run: 'create -f -',
        stdin: configMap({}, 'A_B'),
        exit: 1,
        stderr: /^The ConfigMap "A_B" is invalid: metadata\.name: Invalid value: "A_B": a lowercase RFC 1123 subdomain must consist of/,
      },
      {
        run: 'create -f -',
        stdin: { ...configMap({}), kind: 'Nonsense' },
        exit: 1,
        stderr: /no matches for kind "Nonsense" in version "v1"/,
      },
      {
        run: 'create -f -',
        stdin: { ...configMap({}), apiVersion: 'nonsense/v1' },
        exit: 1,
        stderr: /no matches for kind "ConfigMap" in version "nonsense\/v1"/,
      },
      { run: 'create -f -', stdin: 'not: [yaml', exit: 1, stderr: /error (parsing STDIN|converting YAML)/ },
      {
        run: 'create -f -',
        stdin: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} },
        exit: 1,
        stderr: /resource name may not be empty|name or generateName is required/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...configMap({}), data: { a: 1 } },
        exit: 1,
        stderr:
          /(ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap\.data of type string|Data: ReadString: expects " or n, but found 1)/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...deployment, spec: { ...deployment.spec, replicas: -1 } },
        exit: 1,
        stderr: /^The Deployment "web" is invalid: spec\.replicas: Invalid value: -1: must be greater than or equal to 0\n$/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...deployment, spec: { ...deployment.spec, selector: { matchLabels: { app: 'other' } } } },
        exit: 1,
        stderr:
          /^The Deployment "web" is invalid: spec\.template\.metadata\.labels: Invalid value: .*: `selector` does not match template `labels`\n$/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...pod, spec: { containers: [] } },
        exit: 1,
        stderr: /^The Pod "web" is invalid: spec\.containers: Required value\n$/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...pod, spec: { containers: [{ name: 'a' }, { name: 'a', image: 'i' }], restartPolicy: 'Sometimes' } },
        exit: 1,
        stderr: [
          /^The Pod "web" is invalid: \n/,
          /\n\* spec\.containers\[0\]\.image: Required value\n/,
          /\n\* spec\.containers\[1\]\.name: Duplicate value: "a"\n/,
          /\n\* spec\.restartPolicy: Unsupported value: "Sometimes": supported values: .*"Always".*\n/,
        ],
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...service, spec: { ports: [{ port: 99999 }] } },
        exit: 1,
        stderr:
          /^The Service "web" is invalid: (\n\* )?spec\.ports\[0\]\.port: Invalid value: 99999: must be between 1 and 65535, inclusive\n/,
      },
      {
        run: 'create -f - --validate=false',
        stdin: { ...service, spec: { ...service.spec, clusterIP: '192.0.2.1' } },
        exit: 1,
        stderr: /^The Service "web" is invalid: spec\.clusterIPs?(\[0\])?: Invalid value: .*: failed to allocated? (ip|IP)/,
      },
      {
        run: 'create -f -',
        stdin: { ...configMap({}), metadata: { name: 'x', labels: { 'bad key': 'v' } } },
        exit: 1,
        stderr: /metadata\.labels: Invalid value: "bad key": name part must consist of alphanumeric characters/,
      },
      {
        run: 'create service nodeport np --tcp=80 --node-port=1',
        exit: 1,
        stderr:
          /Service "np" is invalid: spec\.ports\[0\]\.nodePort: Invalid value: 1: provided port is not in the valid range\. The range of valid ports is 30000-32767\n$/,
      },
    ],
  },
  {
    name: 'says what is wrong with a request',
    ends: true,
    files: { 'cm.json': configMap({}), 'immutable.json': { ...configMap({ a: '1' }, 'immutable'), immutable: true } },
    steps: [
      { run: 'get nonsense', exit: 1, stderr: 'error: the server doesn\'t have a resource type "nonsense"\n' },
      { run: 'get pods.nonsense', exit: 1, stderr: 'error: the server doesn\'t have a resource type "pods"\n' },
      { run: 'get pod none', exit: 1, stderr: 'Error from server (NotFound): pods "none" not found\n' },
      { run: 'get deployment none', exit: 1, stderr: 'Error from server (NotFound): deployments.apps "none" not found\n' },
      { run: 'describe pod none', exit: 1, stderr: 'Error from server (NotFound): pods "none" not found\n' },
      { run: 'get pods -l a=b=c', exit: 1, stderr: /unable to parse requirement|found '=', expected: ',' or 'end of string'/ },
      {
        run: 'get configmaps --field-selector data.a=1',
        exit: 1,
        stderr:
          /Error from server \(BadRequest\): Unable to find "\/v1, Resource=configmaps" that match label selector "", field selector "data\.a=1": (field label not supported: data\.a|"data\.a" is not a known field selector: only "metadata\.name", "metadata\.namespace")\n/,
      },
      { run: 'get pods --field-selector nonsense=1', exit: 1, stderr: /field label not supported: nonsense/ },
      { run: 'get --raw /api/v1/namespaces/@ns/configmaps?labelSelector=%3D', exit: 1, stderr: /BadRequest/ },
      { run: 'get --raw /api/v1/namespaces/@ns/configmaps?continue=nonsense&limit=1', exit: 1, stderr: /BadRequest/ },
      { run: 'get --raw /api/v1/namespaces/@ns/configmaps?resourceVersion=nonsense', exit: 1, stderr: /Invalid value: "nonsense"/ },
      { run: 'create -f cm.json -n none', exit: 1, stderr: /namespaces "none" not found/ },
      { run: 'create -f cm.json', stdout: /created/ },
      { run: 'create configmap settings', exit: 1, stderr: /^error: failed to create configmap: configmaps "settings" already exists\n$/ },
      { run: 'create -f immutable.json', stdout: /created/ },
      {
        run: 'patch configmap immutable -p \'{"data":{"a":"2"}}\'',
        exit: 1,
        stderr: /^The ConfigMap "immutable" is invalid: data: Forbidden: field is immutable when `immutable` is set\n$/,
      },
      { run: 'create namespace @ns', exit: 1, stderr: 'Error from server (AlreadyExists): namespaces "@ns" already exists\n' },
      { run: 'delete namespace default', exit: 1, stderr: /namespaces "default" is forbidden: this namespace may not be deleted/ },
      { run: 'expose pod none --port=80', exit: 1, stderr: /pods "none" not found/ },
      {
        run: 'create namespace Upper',
        exit: 1,
        stderr: /^The Namespace "Upper" is invalid: metadata\.name: Invalid value: "Upper": a lowercase RFC 1123 label must consist of/,
      },
      { run: 'create deployment web', exit: 1, stderr: /required flag\(s\) "image" not set/ },
      { run: 'logs none', exit: 1, stderr: /pods "none" not found/ },
      { run: 'get secret none -o yaml', exit: 1, stdout: '', stderr: /secrets "none" not found/ },
    ],
  },
  {
    name: 'tells a namespace that is being deleted',
    ends: true,
    files: {
      'held.json': { ...configMap({}, 'held'), metadata: { name: 'held', namespace: '@ns-end', finalizers: ['podwire.test/hold'] } },
    },
    steps: [
      { run: 'create namespace @ns-end', stdout: /created/ },
      { run: 'create -f held.json', stdout: /created/ },
      { run: 'delete namespace @ns-end --wait=false', stdout: /deleted/ },
      { run: 'get namespace @ns-end', stdout: /\n@ns-end +Terminating +\S+\n$/ },
      {
        run: 'create configmap new -n @ns-end',
        exit: 1,
        stderr:
          /^error: failed to create configmap: configmaps "new" is forbidden: unable to create new content in namespace @ns-end because it is being terminated\n$/,
      },
      {
        run: 'get namespace @ns-end -o jsonpath=\'{.status.conditions[?(@.type=="NamespaceFinalizersRemaining")].message}\'',
        eventually: true,
        stdout: /podwire\.test\/hold in 1 resource instances/,
      },
      { run: 'patch configmap held -n @ns-end --type=merge -p \'{"metadata":{"finalizers":null}}\'', stdout: /patched/ },
      { run: 'wait --for=delete namespace/@ns-end --timeout=20s', stdout: /^(namespace\/@ns-end condition met\n)?$/ },
    ],
    leaves: ['namespace/@ns-end'],
  },
];
