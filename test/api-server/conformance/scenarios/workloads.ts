import { deployment, examples, node } from '../manifests.ts';
import type { Scenario } from '../scenario.ts';

const named = (name: string): object => examples.find((example) => example.name === name)!.object;
const tolerant = {
  ...deployment,
  spec: {
    ...deployment.spec,
    template: {
      ...deployment.spec.template,
      spec: {
        ...deployment.spec.template.spec,
        nodeSelector: { 'kubernetes.io/hostname': '@ns-node' },
        tolerations: [{ key: 'own', operator: 'Exists' }],
      },
    },
  },
};

export const workloads: readonly Scenario[] = [
  {
    name: 'rolls a deployment out, back, and holds it',
    files: { 'web.json': deployment },
    steps: [
      { run: 'create -f web.json', stdout: /created/ },
      { run: 'rollout status deployment/web --timeout=30s', stdout: /deployment "web" successfully rolled out\n$/ },
      { run: 'get deployment web', stdout: /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 +\S+\n$/ },
      { run: 'get deployment web -o wide', stdout: /CONTAINERS +IMAGES +SELECTOR\nweb .* main +registry\.test\/web:1 +app=web\n$/ },
      {
        run: 'get replicasets,pods',
        stdout: [/\nreplicaset\.apps\/web-\w+ +2 +2 +2 +\S+\n/, /\npod\/web-\w+-\w{5} +1\/1 +Running +0 +\S+\n/],
      },
      { run: 'get pods -o wide', stdout: /\nweb-\S+ +1\/1 +Running +0 +\S+ +\d+\.\d+\.\d+\.\d+ +\S+ +<none> +<none>\n/ },
      {
        run: 'describe deployment web',
        stdout: [
          /Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable\n/,
          /Available +True +MinimumReplicasAvailable\n/,
          /NewReplicaSet: +web-\w+ \(2\/2 replicas created\)\n/,
          /ScalingReplicaSet/,
        ],
      },
      { run: 'set image deployment/web main=registry.test/web:2', stdout: /updated/ },
      {
        run: 'rollout status deployment/web --timeout=30s',
        env: { KUBE_FEATURE_WatchListClient: 'true' },
        stdout: /successfully rolled out\n$/,
      },
      { run: 'annotate deployment web kubernetes.io/change-cause=second', stdout: /annotate/ },
      {
        run: 'rollout history deployment/web',
        stdout: /^deployment.apps\/web \nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +(second|<none>)\n\n$/,
      },
      {
        run: 'rollout history deployment/web --revision=2',
        stdout: /^deployment.apps\/web with revision #2\nPod Template:\n[^]*Image:\tregistry\.test\/web:2\n/,
      },
      { run: 'rollout undo deployment/web', stdout: 'deployment.apps/web rolled back\n' },
      // kubectl refuses until the controller has written the revision.
      { run: 'rollout status deployment web --timeout=30s --revision=3', stdout: /successfully rolled out\n$/, eventually: true },
      { run: "get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'", stdout: 'registry.test/web:1' },
      { run: 'rollout undo deployment/web --to-revision=2', stdout: 'deployment.apps/web rolled back\n' },
      { run: 'rollout undo deployment/web --to-revision=99', exit: 1, stderr: /unable to find specified revision 99 in history/ },
      { run: 'rollout pause deployment/web', stdout: 'deployment.apps/web paused\n' },
      { run: 'rollout pause deployment/web', exit: 1, stderr: /is already paused/ },
      { run: 'rollout restart deployment/web', exit: 1, stderr: /can't restart paused deployment/ },
      { run: 'rollout resume deployment/web', stdout: 'deployment.apps/web resumed\n' },
      { run: 'rollout restart deployment/web', stdout: 'deployment.apps/web restarted\n' },
      { run: 'rollout status deployment/web --timeout=30s', stdout: /successfully rolled out\n$/ },
      { run: 'set image deployment/web main=registry.test/web:3', stdout: /updated/ },
      { run: 'rollout status deployment/none', exit: 1, stderr: 'Error from server (NotFound): deployments.apps "none" not found\n' },
    ],
  },
  {
    name: 'scales, and only from the expected count',
    files: { 'web.json': deployment, 'database.json': named('statefulset.apps/database') },
    steps: [
      { run: 'create -f web.json -f database.json', stdout: /created/ },
      { run: 'scale deployment web --replicas=3', stdout: 'deployment.apps/web scaled\n' },
      { run: 'scale deployment web --current-replicas=3 --replicas=4', stdout: 'deployment.apps/web scaled\n' },
      { run: 'scale deployment web --current-replicas=3 --replicas=1', exit: 1, stderr: 'error: Expected replicas to be 3, was 4\n' },
      { run: 'scale --replicas=1 -f web.json', stdout: 'deployment.apps/web scaled\n' },
      { run: 'scale statefulset/database deployment/web --replicas=2 --timeout=20s', stdout: /statefulset.apps\/database scaled\n/ },
      { run: 'get statefulset database', eventually: true, stdout: /^NAME +READY +AGE\ndatabase +2\/2 +\S+\n$/ },
      { run: 'get pods -l app=s -o name', stdout: 'pod/database-0\npod/database-1\n' },
      {
        run: 'rollout status statefulset/database --timeout=20s',
        stdout: /(partitioned roll out complete|statefulset rolling update complete)/,
      },
      { run: 'scale configmap none --replicas=1', exit: 1, stderr: /./ },
      { run: 'scale deployment none --replicas=1', exit: 1, stderr: /(deployments.apps "none" not found|no objects passed to scale)/ },
      {
        run: 'scale deployment web --replicas=-1',
        exit: 1,
        stderr: /--replicas=COUNT (flag )?is required, and COUNT must be greater than or equal to 0/,
      },
      { run: 'wait deployment/web --for=jsonpath={.status.readyReplicas}=2 --timeout=20s', stdout: 'deployment.apps/web condition met\n' },
    ],
  },
  {
    name: 'runs a daemon set on every node it may run on, and shows its history',
    ends: true,
    files: { 'everywhere.json': named('daemonset.apps/everywhere') },
    steps: [
      { run: 'create -f everywhere.json', stdout: /created/ },
      { run: 'rollout status daemonset/everywhere --timeout=30s', stdout: /daemon set "everywhere" successfully rolled out\n$/ },
      {
        run: 'get daemonset everywhere',
        stdout: /^NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\neverywhere +2 +2 +2 +2 +2 +<none> +\S+\n$/,
      },
      { run: 'set image daemonset/everywhere main=registry.test/web:2', stdout: 'daemonset.apps/everywhere image updated\n' },
      { run: 'rollout status daemonset/everywhere --timeout=30s', stdout: /successfully rolled out\n$/ },
      {
        run: 'rollout history daemonset/everywhere',
        stdout: /^daemonset.apps\/everywhere \nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>\n\n$/,
      },
      { run: 'rollout undo daemonset/everywhere', stdout: 'daemonset.apps/everywhere rolled back\n' },
      { run: 'get controllerrevisions', stdout: /^NAME +CONTROLLER +REVISION +AGE\neverywhere-\w+ +daemonset.apps\/everywhere +\d +\S+\n/ },
      { run: 'delete daemonset everywhere', stdout: /^daemonset.apps "everywhere" deleted/ },
      { run: 'get pods -l app=d -o name', eventually: true, stdout: '' },
    ],
  },
  {
    name: 'taints, cordons and drains a node',
    ends: true,
    files: { 'node.json': node('@ns-node'), 'web.json': tolerant },
    steps: [
      { run: 'create -f node.json', stdout: /created/ },
      { run: 'create -f web.json', stdout: /created/ },
      { run: 'rollout status deployment/web --timeout=30s', stdout: /successfully rolled out\n$/ },
      { run: 'get node @ns-node', stdout: /^NAME +STATUS +ROLES +AGE +VERSION\n@ns-node +Ready +<none> / },
      { run: 'describe node @ns-node', stdout: [/Non-terminated Pods: +\(2 in total\)\n/, new RegExp(' +@ns +web-')] },
      { run: 'taint node @ns-node extra=1:NoSchedule', stdout: 'node/@ns-node tainted\n' },
      {
        run: 'taint node @ns-node extra=2:NoSchedule',
        exit: 1,
        stderr: /already has extra taint\(s\) with same effect\(s\) and --overwrite is false/,
      },
      { run: 'taint node @ns-node extra:NoSchedule-', stdout: 'node/@ns-node untainted\n' },
      { run: 'cordon @ns-node', stdout: 'node/@ns-node cordoned\n' },
      { run: 'cordon @ns-node', stdout: 'node/@ns-node already cordoned\n' },
      { run: 'get node @ns-node', stdout: /\n@ns-node +Ready,SchedulingDisabled / },
      {
        run: 'drain @ns-node --timeout=20s',
        stdout: [/^node\/@ns-node already cordoned\n/, /evicting pod @ns\/web-/, /pod\/web-\S+ evicted\n/, /node\/@ns-node drained\n$/],
      },
      { run: 'get pods -o wide', eventually: true, stdout: /\nweb-\S+ +0\/1 +Pending +0 +\S+ +<none> +<none> +<none> +<none>\n/ },
      {
        run: 'get events --field-selector reason=FailedScheduling',
        eventually: true,
        stdout: /Warning +FailedScheduling +pod\/web-\S+ +0\/\d+ nodes are available/,
      },
      { run: 'uncordon @ns-node', stdout: 'node/@ns-node uncordoned\n' },
      { run: 'rollout status deployment/web --timeout=30s', stdout: /successfully rolled out\n$/ },
      { run: 'drain @ns-node --disable-eviction --timeout=20s', stdout: /drained\n$/ },
      { run: 'drain none', exit: 1, stderr: /nodes "none" not found/ },
      { run: 'taint node @ns-node bad', exit: 1, stderr: /./ },
    ],
    leaves: ['node/@ns-node'],
  },
  {
    name: 'tells events',
    ends: true,
    files: { 'web.json': deployment },
    steps: [
      { run: 'events', stdout: '', stderr: 'No events found in @ns namespace.\n' },
      { run: 'create -f web.json', stdout: /created/ },
      {
        run: 'events --for deployment/web',
        eventually: true,
        stdout:
          /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Normal +ScalingReplicaSet +Deployment\/web +Scaled up replica set web-\w+ (from 0 )?to 2\n$/,
      },
      {
        run: 'get events --field-selector involvedObject.kind=Deployment,type=Normal',
        stdout: /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Normal +ScalingReplicaSet +deployment\/web +Scaled up/,
      },
      { run: 'get events.events.k8s.io -o wide', stdout: /ScalingReplicaSet/ },
      { run: 'events --types=Warning --for deployment/web', stdout: '', stderr: /No events found/ },
      { run: 'get events --sort-by=.lastTimestamp -o custom-columns=R:.reason', stdout: /^R\n/ },
    ],
  },
];
