import type { Scenario } from '../scenario.ts';

export const access: readonly Scenario[] = [
  {
    name: 'answers who may do what',
    files: {
      'role.json': {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'reader', namespace: '@ns' },
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }],
      },
    },
    steps: [
      { run: 'auth can-i create pods', stdout: 'yes\n' },
      { run: 'auth can-i delete nodes', stdout: 'yes\n' },
      { run: 'auth can-i get /healthz', stdout: 'yes\n' },
      { run: 'auth can-i --list', stdout: [/^Resources +Non-Resource URLs +Resource Names +Verbs\n/, /\n\*\.\* +\[\] +\[\] +\[\*\]\n/] },
      { run: 'auth can-i get pods --as=jane', exit: 1, stdout: /^no/ },
      {
        run: 'get pods --as=jane',
        exit: 1,
        stderr:
          /^Error from server \(Forbidden\): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "@ns"\n$/,
      },
      { run: 'auth reconcile -f role.json', stdout: /^role.rbac.authorization.k8s.io\/reader reconciled\n/ },
      { run: 'auth reconcile -f role.json', stdout: /reader/ },
      { run: 'create rolebinding readers --role=reader --user=jane --serviceaccount=@ns:default', stdout: /created/ },
      { run: 'auth can-i get pods --as=jane', eventually: true, stdout: 'yes\n' },
      { run: 'auth can-i watch pods --as=system:serviceaccount:@ns:default', stdout: 'yes\n' },
      { run: 'auth can-i delete pods --as=jane', exit: 1, stdout: /^no/ },
      { run: 'auth can-i list pods --as=jane -A', exit: 1, stdout: /^no/ },
      { run: 'auth can-i --list --as=jane', stdout: /\npods +\[\] +\[\] +\[get list watch\]\n/ },
      { run: 'get pods --as=jane', stdout: '', stderr: /No resources found/ },
      {
        run: 'delete pod none --as=jane',
        exit: 1,
        stderr:
          /^Error from server \(Forbidden\): pods "none" is forbidden: User "jane" cannot delete resource "pods" in API group "" in the namespace "@ns"\n$/,
      },
      {
        run: 'create configmap x --as=jane',
        exit: 1,
        stderr: /configmaps is forbidden: User "jane" cannot create resource "configmaps" in API group "" in the namespace "@ns"/,
      },
      {
        run: 'get nodes --as=jane',
        exit: 1,
        stderr: /nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope/,
      },
      { run: 'get --raw /metrics --as=jane', exit: 1, stderr: /forbidden: User "jane" cannot get path "\/metrics"/ },
      {
        run: 'create rolebinding more --clusterrole=cluster-admin --user=jane --as=jane',
        exit: 1,
        stderr: /rolebindings.rbac.authorization.k8s.io is forbidden: User "jane" cannot create resource "rolebindings"/,
      },
      { run: 'auth whoami', server: 28, stdout: [/^ATTRIBUTE +VALUE\n/, /\nGroups +\[.*system:masters.*system:authenticated.*\]\n/] },
      { run: 'auth whoami -o jsonpath={.status.userInfo.username} --as=jane --as-group=devs', server: 28, stdout: 'jane' },
      { run: 'get clusterroles cluster-admin admin edit view -o name', stdout: /^clusterrole.rbac.authorization.k8s.io\/cluster-admin\n/ },
    ],
  },
  {
    name: 'takes a service account token for what its account may do',
    ends: true,
    steps: [
      { run: 'create serviceaccount robot', stdout: /created/ },
      { run: 'create rolebinding viewers --clusterrole=view --serviceaccount=@ns:robot', stdout: /created/ },
      {
        run: 'auth can-i list services --as=system:serviceaccount:@ns:robot --as-group=system:serviceaccounts',
        eventually: true,
        stdout: 'yes\n',
      },
      { run: 'auth can-i get secrets --as=system:serviceaccount:@ns:robot', exit: 1, stdout: /^no/ },
      { run: 'create token robot -o json', stdout: [/"kind": "TokenRequest"/, /"expirationTimestamp": "\d{4}-/] },
      { run: 'create token robot --bound-object-kind=Pod --bound-object-name=none', exit: 1, stderr: /pods "none" not found/ },
    ],
  },
  {
    name: 'knows its kubeconfig',
    ends: true,
    steps: [
      { run: 'config view --minify -o jsonpath={..namespace}', stdout: '@ns' },
      { run: 'config current-context', stdout: /\S+\n/ },
      { run: 'config set-context --current --namespace=kube-system', stdout: /modified/ },
      { run: 'get configmaps kube-root-ca.crt', eventually: true, stdout: /kube-root-ca.crt +1 / },
      { run: 'config get-contexts', stdout: /^CURRENT +NAME +CLUSTER +AUTHINFO +NAMESPACE\n\* / },
      {
        run: 'get pods --server=https://127.0.0.1:1',
        exit: 1,
        stderr: /The connection to the server 127\.0\.0\.1:1 was refused - did you specify the right host or port\?/,
      },
    ],
  },
];
