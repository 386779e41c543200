// A lab in which one node has a containerd: kubectl's commands reach its pods as they reach those of the other nodes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { busyboxImage, webCommand, writeBusyboxArchive } from './support/busybox.ts';
import { daemonPid, eventually, hostState, processesNaming, run, testLab } from './support/lab.ts';

const lab = testLab();
const folder = mkdtempSync(join(tmpdir(), 'pwcri-lab-'));
const before = hostState(lab.name);
t.teardown(() => {
  lab.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const containerPod = (name: string, command: readonly string[], container: object = {}, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    nodeName: 'worker-1',
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: busyboxImage, command, ...container }],
    ...spec,
  },
});

const podOf = (name: string): any => lab.json('get', 'pod', name);

const whenReady = (name: string): Promise<any> =>
  eventually(`pod ${name} is ready`, 40, () => {
    const pod = podOf(name);
    return pod.status?.conditions?.some((c: any) => c.type === 'Ready' && c.status === 'True') ? pod : undefined;
  });

void t.test('a node of the lab has a containerd of its own', (t) => {
  const [archive, file] = [join(folder, 'busybox.tar'), join(folder, 'lab.yaml')];
  writeBusyboxArchive(archive);
  writeFileSync(file, JSON.stringify({ nodes: [{ name: 'control' }, { name: 'worker-1', runtime: 'cri', images: [archive] }] }));
  const up = lab.up('--file', file);
  t.equal(up.code, 0, up.code === 0 ? 'lab up' : up.stderr);
  const versions = lab.json('get', 'nodes').items.map((node: any) => node.status.nodeInfo.containerRuntimeVersion);
  t.match(versions, [/^podwire:/, /^containerd:\/\/1\./]);
  t.end();
});

void t.test('its pods run, and are reached from other nodes, by name and by host port', async (t) => {
  lab.apply(
    containerPod('web', webCommand('served', 80), {
      ports: [{ containerPort: 80, hostPort: 8080 }],
      readinessProbe: { exec: { command: ['cat', '/www/index.html'] }, periodSeconds: 1 },
    }),
  );
  lab.apply(containerPod('shell', ['sh', '-c', 'echo started; while read -r line; do echo "got $line"; done'], { stdin: true }));
  lab.apply(containerPod('refused', ['true'], { image: 'localhost/missing:1', imagePullPolicy: 'Never' }));
  lab.kubectl('run', 'elsewhere', '--image=busybox', '--overrides={"spec":{"nodeName":"control"}}', '--command', '--', 'sleep', '1000');
  const web = await whenReady('web');
  t.match(web.status, {
    phase: 'Running',
    podIP: /^10\.244\.1\./,
    containerStatuses: [{ containerID: /^containerd:\/\//, image: busyboxImage, imageID: /^sha256:/ }],
  });
  await whenReady('elsewhere');
  await whenReady('shell');
  const get = (...words: string[]) => lab.inPod('elsewhere', 'curl', '-sS', '--max-time', '5', ...words);
  await eventually('the pod answers another node', 20, () => get(`http://${web.status.podIP}/`).stdout === 'served\n');
  t.equal(get(`http://${web.status.hostIP}:8080/`).stdout, 'served\n', 'its host port');
  lab.kubectl('expose', 'pod', 'web', '--port=80');
  await eventually(
    'its service, by its name, from a pod of containerd',
    20,
    () => lab.kubectl('exec', 'shell', '--', 'wget', '-q', '-O', '-', 'http://web/') === 'served\n',
  );
  const refused = await eventually('the missing image is told', 20, () => podOf('refused').status.containerStatuses?.[0]?.state.waiting);
  t.match(refused, { reason: 'ErrImageNeverPull', message: /localhost\/missing:1/ });
});

void t.test('kubectl logs, exec, attach and port-forward work as on other nodes', async (t) => {
  await eventually('the output is in the log', 20, () => lab.kubectl('logs', 'shell').startsWith('started\n'));
  t.equal(lab.kubectl('exec', 'shell', '--', 'hostname'), 'shell\n');
  const env = { ...process.env, KUBECONFIG: lab.kubeconfig };
  const held = run('kubectl', ['exec', '-i', 'shell', '--', 'sh', '-c', 'cat; echo bad >&2; exit 5'], {
    env,
    input: 'through the streams',
  });
  t.match(held, { code: 5, stdout: 'through the streams', stderr: /^bad\n/ });
  const terminal = run('script', ['-qec', 'kubectl exec -it shell -- sh -c "id -u; exit 3"', '/dev/null'], { env });
  t.match(terminal, { code: 3, stdout: /0\r\n/ });
  run('timeout', ['3', 'kubectl', 'attach', '-i', 'shell'], { env, input: 'typed\n' });
  await eventually('attach reaches the process itself', 20, () => lab.kubectl('logs', 'shell').includes('got typed\n'));
  const forwarded = run('sh', ['-c', portForward, 'sh', 'web'], { env });
  t.equal(forwarded.stdout, 'served\n', forwarded.stderr);
});

/** Forwards a free port to port 80 of the pod, asks once, and ends. */
const portForward = `
kubectl port-forward "pod/$1" :80 >"/tmp/podwire-forward-$$" &
pid=$!
until port=$(grep -o '127[.]0[.]0[.]1:[0-9]*' "/tmp/podwire-forward-$$"); do kill -0 $pid || exit 1; sleep 0.1; done
curl -sS --max-time 10 --noproxy '*' "http://$port/"
kill $pid
rm "/tmp/podwire-forward-$$"
`;

void t.test('the pods outlive the pod runner and containerd', async (t) => {
  const id = podOf('web').status.containerStatuses[0].containerID as string;
  for (const daemon of ['worker-1.pod-runner', 'worker-1.containerd']) {
    process.kill(daemonPid(lab, daemon), 'SIGKILL');
    await eventually(
      `${daemon} is there again`,
      40,
      () => lab.kubectlWith('kubectl', 'exec', 'shell', '--', 'echo', 'here').stdout === 'here\n',
    );
    t.match(podOf('web').status.containerStatuses[0], { containerID: id, restartCount: 0 }, `after the end of ${daemon}`);
  }
  lab.kubectl('delete', 'pod', 'web', 'refused', '--wait=true', '--timeout=40s');
  await eventually(
    'nothing of a deleted pod is left on the node',
    20,
    () => lab.onNode('worker-1', 'sh', '-c', 'ip -o link | grep -c veth').stdout === '1\n',
  );
});

void t.test('lab down leaves nothing, with a pod of containerd still running', (t) => {
  const down = lab.down();
  t.equal(down.code, 0, down.stderr);
  t.strictSame(processesNaming(lab.root), []);
  t.strictSame(hostState(lab.name), before);
  t.end();
});
