// Who may do what in a lab: every daemon has a certificate of its own and no more rights than it needs, and pods speak to the API with theirs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually, hostState, run, testLab } from './support/lab.ts';

const lab = testLab();
const before = hostState(lab.name);
t.teardown(() => lab.destroy());

const pki = join(lab.root, 'pki');
const onWorker = (file: string): string => join(lab.root, 'nodes', 'worker-1', file);

/** What the API server answers somebody with this kubeconfig; asked on the worker, whence the file's address leads to it. */
const asked = (kubeconfig: string, ...words: string[]) => lab.onNode('worker-1', 'kubectl', '--kubeconfig', kubeconfig, ...words);

/** Who a kubeconfig is, by the API server's own word. */
function identity(kubeconfig: string): { username: string; groups: string[] } {
  const { stdout, stderr } = asked(kubeconfig, 'auth', 'whoami', '-o', 'json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout).status.userInfo;
}

type Question = readonly [verb: string, resource: string, group?: string, namespace?: string];

/** Of these, what somebody may do: `list secrets`. Asked all at once. */
function allowed({ username: user, groups }: { username: string; groups: string[] }, questions: readonly Question[]): string[] {
  const items = questions.map(([verb, what, group = '', namespace = '']) => {
    const [resource, subresource = ''] = what.split('/');
    const spec = { user, groups, resourceAttributes: { verb, resource, subresource, group, namespace } };
    return { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
  });
  const { stdout, stderr } = run('kubectl', ['create', '-o', 'jsonpath={.status.allowed}{"\\n"}', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    env: { ...process.env, KUBECONFIG: lab.kubeconfig },
  });
  if (stdout === '') throw new Error(stderr);
  const answers = stdout.trim().split('\n');
  if (answers.length !== questions.length) throw new Error(`${answers.length} answers to ${questions.length} questions: ${stderr}`);
  return questions.filter((_question, index) => answers[index] === 'true').map(([verb, resource]) => `${verb} ${resource}`);
}

t.test('a lab comes up, and its pod network works, without anybody being an administrator', async (t) => {
  const { code, stderr } = lab.up();
  t.equal(code, 0, stderr);
  for (const name of ['control.apiserver', 'control.controllers', 'worker-1.agent', 'worker-1.pod-runner']) {
    t.notMatch(readFileSync(join(lab.root, 'logs', `${name}.log`), 'utf8'), /is forbidden/, name);
  }
  t.end();
});

t.test('each daemon may do what it does, and no more', (t) => {
  const agent = identity(onWorker('agent.kubeconfig'));
  t.match(agent, { username: 'podwire:agent:worker-1', groups: ['podwire:agents', 'system:authenticated'] });
  const refused = asked(onWorker('agent.kubeconfig'), 'get', 'secrets', '-A');
  t.equal(refused.code, 1);
  t.match(
    refused.stderr,
    /secrets is forbidden: User "podwire:agent:worker-1" cannot list resource "secrets" in API group "" at the cluster scope/,
  );
  const ofAgent: readonly Question[] = [
    ['watch', 'pods'],
    ['watch', 'services'],
    ['list', 'nodes'],
    ['watch', 'endpointslices', 'discovery.k8s.io'],
    ['list', 'networkpolicies', 'networking.k8s.io'],
    ['list', 'namespaces'],
  ];
  const names = (questions: readonly Question[]): string[] => questions.map(([verb, resource]) => `${verb} ${resource}`);
  t.same(allowed(agent, ofAgent), names(ofAgent));
  const rights: readonly Question[] = [
    ['get', 'secrets'],
    ['list', 'secrets'],
    ['get', 'configmaps'],
    ['create', 'pods'],
    ['patch', 'pods/status'],
    ['create', 'serviceaccounts/token'],
    ['delete', 'nodes'],
    ['patch', 'services'],
    ['create', 'deployments', 'apps'],
    ['create', 'clusterrolebindings', 'rbac.authorization.k8s.io'],
    ['escalate', 'clusterroles', 'rbac.authorization.k8s.io'],
    ['impersonate', 'users'],
    ['update', 'leases', 'coordination.k8s.io', 'kube-system'],
    ['update', 'leases', 'coordination.k8s.io', 'kube-node-lease'],
  ];
  t.same(allowed(agent, rights), []);
  const runner = identity(onWorker('pod-runner.kubeconfig'));
  t.match(runner, { username: 'system:node:worker-1', groups: ['system:nodes', 'system:authenticated'] });
  t.same(allowed(runner, rights), [
    'get secrets',
    'get configmaps',
    'create pods',
    'patch pods/status',
    'create serviceaccounts/token',
    'update leases',
  ]);
  const controllers = identity(join(pki, 'controllers.kubeconfig'));
  t.same(allowed(controllers, rights), [
    'get secrets',
    'list secrets',
    'get configmaps',
    'create pods',
    'patch pods/status',
    'delete nodes',
    'patch services',
    'update leases',
    'update leases',
  ]);
  t.end();
});

t.test('a pod speaks to the API with the token of its service account, as long as it lives', async (t) => {
  lab.kubectl('create', 'configmap', 'settings', '--from-literal=colour=blue');
  lab.kubectl('create', 'secret', 'generic', 'keys', '--from-literal=password=hush');
  lab.kubectl('create', 'serviceaccount', 'robot');
  lab.kubectl('create', 'rolebinding', 'robot', '--clusterrole=view', '--serviceaccount=default:robot');
  lab.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'client' },
    spec: {
      serviceAccountName: 'robot',
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'main',
          image: 'busybox',
          command: ['sleep', '1000'],
          env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } }],
          volumeMounts: [
            { name: 'settings', mountPath: '/podwire-settings' },
            { name: 'work', mountPath: '/podwire-work' },
          ],
        },
      ],
      volumes: [
        { name: 'settings', configMap: { name: 'settings' } },
        { name: 'work', emptyDir: {} },
      ],
    },
  });
  lab.kubectl('wait', 'pod/client', '--for=condition=Ready', '--timeout=30s');
  const inside = (script: string): string => lab.inPod('client', 'sh', '-c', script).stdout;
  t.equal(inside('cat /podwire-settings/colour; printf " $PASSWORD"'), 'blue hush');
  t.equal(inside('touch /podwire-settings/x 2>/dev/null || echo fixed; touch /podwire-work/x && echo free'), 'fixed\nfree\n');
  const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
  t.equal(inside(`cat ${folder}/namespace`), 'default');
  const get = (path: string): string =>
    inside(
      `curl -sS --max-time 5 --cacert ${folder}/ca.crt -H "Authorization: Bearer $(cat ${folder}/token)" https://kubernetes.default.svc${path}`,
    );
  t.match(get('/api/v1/namespaces/default/pods/client'), /"kind":"Pod"/);
  t.match(get('/api/v1/namespaces/default/secrets'), /User \\"system:serviceaccount:default:robot\\" cannot list resource \\"secrets\\"/);

  await t.test('a ConfigMap that changes shows in its files', async () => {
    lab.kubectl('patch', 'configmap', 'settings', '--type=merge', '-p', '{"data":{"colour":"red"}}');
    await eventually('the new colour', 20, () => inside('cat /podwire-settings/colour') === 'red');
  });

  const token = inside(`cat ${folder}/token`);
  const { port } = new URL(readFileSync(lab.kubeconfig, 'utf8').match(/server: (\S+)/)![1]!);
  const withToken = (): number | null =>
    lab.kubectlWith(
      'kubectl',
      '--kubeconfig=/dev/null',
      `--server=https://127.0.0.1:${port}`,
      '--insecure-skip-tls-verify',
      `--token=${token}`,
      'get',
      'pods',
    ).code;
  t.equal(withToken(), 0, 'the token lets in from outside too');
  lab.kubectl('delete', 'pod', 'client', '--now');
  t.equal(withToken(), 1, 'the token of a pod that is gone lets nobody in');
  t.end();
});

t.test('nothing of it is left on the machine', (t) => {
  t.equal(lab.down().code, 0);
  t.same(hostState(lab.name), before);
  t.end();
});
