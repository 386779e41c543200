import { configMap, deployment, pod } from '../manifests.ts';
import type { Scenario } from '../scenario.ts';

export const creating: readonly Scenario[] = [
  {
    name: 'creates what the generators of configuration and identity make',
    files: { 'note.txt': 'first line\nsecond line\n', 'settings.env': 'A=1\nB=2\n', 'binary.dat': '\u0000\u0001' },
    steps: [
      { run: 'create namespace @ns-two', stdout: 'namespace/@ns-two created\n' },
      { run: 'create configmap a --from-literal=k=v --from-file=note.txt', stdout: 'configmap/a created\n' },
      { run: 'create configmap b --from-env-file=settings.env --append-hash', stdout: /^configmap\/b-\w{10} created\n$/ },
      { run: "get configmap a -o jsonpath='{.data.k} {.data.note\\.txt}'", stdout: 'v first line\nsecond line\n' },
      { run: 'create secret generic s --from-literal=word=sesame --type=example.com/own', stdout: 'secret/s created\n' },
      { run: "get secret s -o jsonpath='{.data.word} {.type}'", stdout: 'c2VzYW1l example.com/own' },
      { run: 'get secret s', stdout: /^NAME +TYPE +DATA +AGE\ns +example.com\/own +1 +\S+\n$/ },
      {
        run: 'create secret docker-registry r --docker-server=registry.test --docker-username=u --docker-password=p',
        stdout: 'secret/r created\n',
      },
      { run: 'get secret r -o jsonpath={.type}', stdout: 'kubernetes.io/dockerconfigjson' },
      { run: 'create serviceaccount robot', stdout: 'serviceaccount/robot created\n' },
      {
        run: 'create role reader --verb=get,list --resource=pods,deployments.apps',
        stdout: 'role.rbac.authorization.k8s.io/reader created\n',
      },
      {
        run: 'create rolebinding readers --role=reader --serviceaccount=@ns:robot --user=jane',
        stdout: 'rolebinding.rbac.authorization.k8s.io/readers created\n',
      },
      {
        run: 'get rolebinding readers -o wide',
        stdout: /^NAME +ROLE +AGE +USERS +GROUPS +SERVICEACCOUNTS\nreaders +Role\/reader +\S+ +jane +@ns\/robot\n$/,
      },
      {
        run: 'create clusterrole @ns-role --verb=get --non-resource-url=/metrics',
        stdout: 'clusterrole.rbac.authorization.k8s.io/@ns-role created\n',
      },
      { run: 'create clusterrole @ns-sum --aggregation-rule=part=@ns', stdout: 'clusterrole.rbac.authorization.k8s.io/@ns-sum created\n' },
      {
        run: 'create clusterrolebinding @ns-binding --clusterrole=@ns-role --group=devs',
        stdout: 'clusterrolebinding.rbac.authorization.k8s.io/@ns-binding created\n',
      },
      { run: 'get clusterrolebinding @ns-binding', stdout: /^NAME +ROLE +AGE\n@ns-binding +ClusterRole\/@ns-role +\S+\n$/ },
      { run: 'create token robot --duration=10m', stdout: /^[\w-]+\.[\w-]+\.[\w-]+\n?$/ },
      { run: 'create token nobody', exit: 1, stderr: /serviceaccounts "nobody" not found/ },
    ],
    leaves: [
      'namespace/@ns-two',
      'clusterrole.rbac.authorization.k8s.io/@ns-role',
      'clusterrole.rbac.authorization.k8s.io/@ns-sum',
      'clusterrolebinding.rbac.authorization.k8s.io/@ns-binding',
    ],
  },
  {
    name: 'creates what the generators of workloads and services make',
    steps: [
      { run: 'create deployment web --image=registry.test/web:1 --replicas=2 --port=8080', stdout: 'deployment.apps/web created\n' },
      { run: 'create service clusterip plain --tcp=80:8080', stdout: 'service/plain created\n' },
      { run: 'create service clusterip headless --clusterip=None', stdout: 'service/headless created\n' },
      { run: 'create service nodeport np --tcp=80:8080', stdout: 'service/np created\n' },
      { run: 'create service loadbalancer lb --tcp=443:8443', stdout: 'service/lb created\n' },
      { run: 'create service externalname en --external-name=example.test', stdout: 'service/en created\n' },
      {
        run: 'get services -o wide',
        stdout: [
          /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\n/,
          /\nen +ExternalName +<none> +example.test +<none> +\S+ +app=en\n/,
          /\nheadless +ClusterIP +None +<none> +<none> +\S+ +app=headless\n/,
          /\nlb +LoadBalancer +10\.\S+ +\S+ +443:3\d{4}\/TCP +\S+ +app=lb\n/,
          /\nnp +NodePort +10\.\S+ +<none> +80:3\d{4}\/TCP +\S+ +app=np\n/,
          /\nplain +ClusterIP +10\.\S+ +<none> +80\/TCP +\S+ +app=plain\n/,
        ],
      },
      { run: 'create ingress door --class=c --rule=door.test/path=plain:80,tls=cert', stdout: 'ingress.networking.k8s.io/door created\n' },
      { run: 'get ingress door', stdout: /^NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\ndoor +c +door.test +80, 443 +\S+\n$/ },
      { run: 'run alone --image=registry.test/web:1 --labels=app=alone --env=A=b --port=80', stdout: 'pod/alone created\n' },
      {
        run: 'run exposed --image=registry.test/web:1 --port=80 --expose',
        stdout: ['service/exposed created', 'pod/exposed created'].map((text) => new RegExp(text)),
      },
      { run: 'run done --image=registry.test/web:1 --restart=Never --command -- sleep 1', stdout: 'pod/done created\n' },
      { run: "get pod done -o jsonpath='{.spec.restartPolicy} {.spec.containers[0].command}'", stdout: 'Never ["sleep","1"]' },
      { run: 'expose deployment web --port=80 --target-port=8080 --name=front --type=NodePort', stdout: 'service/front exposed\n' },
      { run: "get service front -o jsonpath='{.spec.selector.app} {.spec.ports[0].targetPort} {.spec.type}'", stdout: 'web 8080 NodePort' },
      {
        run: 'autoscale deployment web --max=3',
        own: true,
        exit: 1,
        stderr: /(no matches for kind "HorizontalPodAutoscaler"|the server could not find the requested resource)/,
      },
      {
        run: 'create job j --image=registry.test/web:1',
        own: true,
        exit: 1,
        stderr: /(no matches for kind "Job" in version "batch\/v1"|the server could not find the requested resource)/,
      },
      {
        run: 'create quota q --hard=pods=1',
        own: true,
        exit: 1,
        stderr: /resource quotas are not supported by this server/,
      },
    ],
  },
  {
    name: 'creates from files, in a dry run and with the wanted strictness',
    files: {
      'cm.json': configMap({ a: '1' }),
      'both.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: two\n',
      'unknown.json': { ...configMap({ a: '1' }, 'unknown'), datta: { b: '2' } },
      'generated.json': { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'made-' } },
      'deployment.json': deployment,
      'pod.json': pod,
    },
    steps: [
      { run: 'create -f cm.json --dry-run=client', stdout: 'configmap/settings created (dry run)\n' },
      { run: 'create -f cm.json --dry-run=server', stdout: 'configmap/settings created (server dry run)\n' },
      { run: 'get configmap settings', exit: 1, stderr: 'Error from server (NotFound): configmaps "settings" not found\n' },
      {
        run: 'create -f pod.json --dry-run=server -o yaml',
        stdout: [
          /^apiVersion: v1\nkind: Pod\n/,
          /\n  uid: \S+\n/,
          /\n  dnsPolicy: ClusterFirst\n/,
          /\nstatus:\n  phase: Pending\n  qosClass: BestEffort\n$/,
        ],
      },
      { run: 'create -f cm.json --save-config', stdout: 'configmap/settings created\n' },
      {
        run: "get configmap settings -o jsonpath='{.metadata.annotations}'",
        stdout: /"kubectl\.kubernetes\.io\/last-applied-configuration":/,
      },
      {
        run: 'create -f cm.json',
        exit: 1,
        stderr: 'Error from server (AlreadyExists): error when creating "cm.json": configmaps "settings" already exists\n',
      },
      { run: 'create -f both.yaml', stdout: 'configmap/one created\nsecret/two created\n' },
      { run: 'create -f generated.json -o name', stdout: /^configmap\/made-[bcdfghjklmnpqrstvwxz2456789]{5}\n$/ },
      {
        run: 'create -f -',
        stdin: [configMap({}, 'three'), configMap({}, 'four')],
        stdout: 'configmap/three created\nconfigmap/four created\n',
      },
      {
        run: 'create -f unknown.json',
        server: 25,
        exit: 1,
        stderr:
          /Error from server \(BadRequest\): error when creating "unknown.json": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "datta"\n/,
      },
      {
        run: 'create -f unknown.json --validate=warn',
        server: 25,
        stdout: 'configmap/unknown created\n',
        stderr: 'Warning: unknown field "datta"\n',
      },
      { run: 'delete configmap unknown', server: 25, stdout: /deleted/ },
      { run: 'create -f unknown.json --validate=ignore', stdout: 'configmap/unknown created\n', stderr: '' },
      { run: 'create -f .', exit: 1, stdout: /deployment.apps\/web created\n/, stderr: /already exists/ },
    ],
  },
];
