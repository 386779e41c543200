// Real containerd, asked over CRI as kubelet asks it, with our plugin as its network; and the pod runner's runtime on top of it.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { connectCri, CriError } from '../../src/pod-runner/runtime/cri/client.ts';
import { type CriRuntime, openCriRuntime } from '../../src/pod-runner/runtime/cri/cri.ts';
import type { ContainerConfig, SandboxConfig } from '../../src/pod-runner/runtime/cri/messages.ts';
import type { PodRef, SandboxRequest, StartRequest } from '../../src/pod-runner/runtime/runtime.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { busyboxImage, webCommand } from './support/busybox.ts';
import { buildExecutable } from './support/cni-node.ts';
import { type ContainerdNode, startContainerdNode } from './support/containerd.ts';
import { eventually } from './support/lab.ts';

let node: ContainerdNode;
t.before(async () => {
  buildExecutable();
  node = await startContainerdNode('cri');
});
t.teardown(() => node?.destroy());

const namespaceOptions = { network: 'POD', pid: 'CONTAINER', ipc: 'POD' } as const;

const sandboxOf = (name: string, more: Partial<SandboxConfig> = {}): SandboxConfig => ({
  metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 },
  hostname: name,
  logDirectory: join(node.folder, 'logs', name),
  portMappings: [],
  labels: {},
  annotations: {},
  linux: { securityContext: { namespaceOptions, privileged: false } },
  ...more,
});

const containerOf = (command: readonly string[]): ContainerConfig => ({
  metadata: { name: 'main', attempt: 0 },
  image: { image: busyboxImage },
  command,
  args: [],
  workingDir: '',
  envs: [],
  mounts: [],
  labels: {},
  annotations: {},
  logPath: 'main.log',
  stdin: false,
  stdinOnce: false,
  tty: false,
  linux: {
    securityContext: {
      capabilities: { addCapabilities: [], dropCapabilities: [] },
      privileged: false,
      namespaceOptions,
      supplementalGroups: [],
      readonlyRootfs: false,
      noNewPrivs: false,
    },
  },
});

async function startPod(sandboxConfig: SandboxConfig, command: readonly string[]) {
  const { client } = node;
  const { podSandboxId } = await client.call('RunPodSandbox', { config: sandboxConfig });
  const { containerId } = await client.call('CreateContainer', { podSandboxId, config: containerOf(command), sandboxConfig });
  await client.call('StartContainer', { containerId });
  const { status } = await client.call('PodSandboxStatus', { podSandboxId });
  const addresses = [status!.network!.ip, ...status!.network!.additionalIps.map(({ ip }) => ip)];
  return {
    podSandboxId,
    addresses,
    async run(...cmd: string[]): Promise<string> {
      const { stdout, stderr, exitCode } = await client.call('ExecSync', { containerId, cmd, timeout: 10 });
      if (exitCode !== 0) throw new Error(`${cmd.join(' ')}: ${exitCode} ${stdout.toString()}${stderr.toString()}`);
      return stdout.toString();
    },
    async remove(): Promise<void> {
      await client.call('StopPodSandbox', { podSandboxId });
      await client.call('RemovePodSandbox', { podSandboxId });
    },
  };
}

void t.test('containerd gives its pods our network: they reach each other, a host port is answered, and nothing is left', async (t) => {
  node.exec(`ip link add name up0 type veth peer name up0 netns ${node.addPod('outside')}`);
  for (const [where, address] of [
    [undefined, '192.0.2.10/24'],
    ['outside', '192.0.2.99/24'],
  ] as const) {
    node.exec(`ip addr add ${address} dev up0`, where);
    node.exec('ip link set up0 up', where);
  }
  const portMappings = [{ protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' }] as const;
  const annotations = { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' };
  const a = await startPod(sandboxOf('a', { portMappings, annotations }), webCommand('served', 80));
  const b = await startPod(sandboxOf('b'), ['sleep', '1000']);
  t.match(a.addresses, [/^10\.244\.1\.\d+$/, /^fd00:10:244:1::\w+$/], 'an address of each family');
  t.notSame(a.addresses, b.addresses);
  for (const address of a.addresses) t.match(await b.run('ping', '-c', '1', '-w', '10', address), / 0% packet loss/, `ping ${address}`);
  t.match(await a.run('ping', '-c', '1', '-w', '10', b.addresses[0]!), / 0% packet loss/, 'and back');
  t.equal(await b.run('hostname'), 'b\n');
  t.match(await b.run('ip', 'addr', 'show', 'lo'), /inet 127\.0\.0\.1/);

  const get = 'curl -sS --max-time 5';
  await eventually('the web server answers', 10, () => node.exec(`${get} http://${a.addresses[0]}/`) === 'served\n');
  t.equal(node.exec(`${get} http://192.0.2.10:8080/`, 'outside'), 'served\n', 'a host port, from outside');
  t.equal(node.exec(`${get} http://127.0.0.1:8080/`), 'served\n', 'a host port, from the node');
  t.equal(await b.run('wget', '-q', '-O', '-', 'http://192.0.2.10:8080/'), 'served\n', 'a host port, from a pod');
  t.match(node.exec('tc qdisc show'), /qdisc tbf .* rate 10Mbit/, 'the bandwidth that the annotation asks for');

  await a.remove();
  t.throws(() => node.exec(`${get} http://192.0.2.10:8080/`, 'outside'), 'the host port is closed');
  t.match(await b.run('ping', '-c', '1', '-w', '10', '10.244.1.1'), / 0% packet loss/, 'the other pod is not touched');
  await b.remove();
  t.strictSame(node.links().sort(), ['podwire0', 'up0'], 'no link is left');
  t.strictSame(claims(), [], 'no address is left');
  t.notMatch(node.exec('nft list table inet podwire-net-podwire'), 'elements', 'no rule is left');
  t.strictSame((await node.client.call('ListPodSandbox', {})).items, []);
});

/** The files that hold an address or name a container. */
const claims = (): string[] => node.files().filter((file) => /\/(claims|owners)\//.test(file));

const sharing = { hostNetwork: false, hostPID: false, hostIPC: false, sharedProcesses: false };
const podRef = (name: string): PodRef => ({ namespace: 'default', name, uid: `0000-${name}` });

const sandboxRequest = (name: string, more: Partial<SandboxRequest> = {}): SandboxRequest => ({
  pod: podRef(name),
  hostname: name,
  hostPorts: [],
  annotations: {},
  sharing,
  ...more,
});

const startRequest = (sandbox: SandboxRequest, command: readonly string[], launch: Partial<StartRequest['launch']> = {}): StartRequest => ({
  sandbox,
  attempt: 0,
  last: undefined,
  files: { hosts: '127.0.0.1\tlocalhost\n10.9.8.7\tfriend\n', 'resolv.conf': 'nameserver 10.96.0.10\n' },
  launch: {
    container: 'main',
    image: busyboxImage,
    program: undefined,
    argv: [],
    command,
    args: [],
    environment: new Map([['GREETING', 'hello']]),
    workingDir: '/',
    ownWorkingDir: '/tmp',
    hostname: sandbox.hostname,
    stdin: 'none',
    tty: false,
    mounts: [],
    security: {
      privileged: false,
      addCapabilities: [],
      dropCapabilities: [],
      runAsUser: undefined,
      runAsGroup: undefined,
      supplementalGroups: [],
      readOnlyRootFilesystem: false,
      allowPrivilegeEscalation: true,
    },
    ...launch,
  },
});

void t.test("the pod runner's runtime: a pod runs in containerd, is found again, and ends", async (t) => {
  const root = join(node.folder, 'runner');
  const open = (): Promise<CriRuntime> =>
    openCriRuntime({ client: connectCri(node.endpoint), clock: systemClock, log: silentLogger(), root, onProblem: () => undefined });
  let runtime = await open();
  t.teardown(() => runtime.close());
  t.match(runtime.version, /^containerd:\/\/1\./);
  t.strictSame(await runtime.listPods(), []);

  const pod = podRef('one');
  const request = sandboxRequest('one');
  const addresses = await runtime.createSandbox(request);
  t.equal(addresses.length, 2);
  const volume = join(node.folder, 'volume');
  mkdirSync(volume);
  await runtime.startContainer(
    startRequest(request, ['sh', '-c', 'echo $GREETING from $PWD; echo oops >&2; touch /data/made; exec sleep 1000'], {
      mounts: [{ source: volume, target: '/data', readOnly: false }],
    }),
  );
  const running = runtime.runs(pod.uid).get('main')!;
  t.match(running, { attempt: 0, phase: 'running', startedAt: Number, id: /^containerd:\/\/[0-9a-f]{64}$/, imageID: /^sha256:/ });

  const log = runtime.log(pod, 'main', 0);
  await eventually('the output is in the log', 10, () => /stdout F hello from \/tmp\n/.test(readFileSync(log.file, 'utf8')));
  await eventually('the errors are in the log', 10, () => /stderr F oops\n/.test(readFileSync(log.file, 'utf8')));
  t.ok(existsSync(join(volume, 'made')), 'a volume is mounted');

  t.strictSame(await runtime.exec(pod, 'main', ['cat', '/etc/resolv.conf'], 5_000), { exitCode: 0, output: 'nameserver 10.96.0.10\n' });
  t.match(await runtime.exec(pod, 'main', ['ping', '-c', '1', '-w', '10', '10.244.1.1'], 15_000), { exitCode: 0 });
  t.match(await runtime.exec(pod, 'main', ['sh', '-c', 'echo no; exit 3'], 5_000), { exitCode: 3, output: 'no\n' });
  t.match(await runtime.exec(pod, 'main', ['sleep', '20'], 1_000), { exitCode: 124 }, 'a probe that takes too long');

  // Somebody else takes over what runs.
  runtime.close();
  runtime = await open();
  const [found] = await runtime.listPods();
  t.strictSame(found?.ref, pod);
  t.strictSame(found?.addresses, addresses);
  t.strictSame(found?.runs.get('main'), running, 'it is the same run');

  // As does containerd after a crash.
  await node.restart();
  await eventually('containerd answers again', 20, async () => (await runtime.exec(pod, 'main', ['hostname'], 2_000)).output === 'one\n');
  t.equal(runtime.runs(pod.uid).get('main')?.phase, 'running');

  runtime.stopContainer(pod, 'main', 0);
  const ended = await eventually('the container ends', 20, () => {
    const run = runtime.runs(pod.uid).get('main');
    return run?.phase === 'exited' ? run : undefined;
  });
  t.match(ended, { exitCode: 137, startedAt: running.startedAt!, finishedAt: Number });
  await runtime.startContainer({ ...startRequest(request, ['echo', 'again']), attempt: 1, last: ended });
  await eventually('the second run ends', 20, () => runtime.runs(pod.uid).get('main')?.exitCode === 0);
  t.match(runtime.runs(pod.uid).get('main'), { attempt: 1, phase: 'exited' });
  t.match(readFileSync(runtime.log(pod, 'main', 1).file, 'utf8'), / stdout F again\n/);
  t.ok(existsSync(log.file), 'the log of the run before is kept');

  await runtime.removeSandbox(pod);
  t.strictSame(claims(), [], 'the network is gone');
  t.match(runtime.runs(pod.uid).get('main'), { exitCode: 0 }, 'what is known of its containers is not');
  await runtime.removePod(pod);
  await runtime.removePod(pod);
  t.strictSame((await node.client.call('ListContainers', {})).containers, []);
  t.notOk(existsSync(join(root, 'pods', pod.uid)));
});

void t.test('what cannot be done is told with the cause', async (t) => {
  const root = join(node.folder, 'runner');
  const client = connectCri(node.endpoint);
  const runtime = await openCriRuntime({ client, clock: systemClock, log: silentLogger(), root, onProblem: () => undefined });
  t.teardown(() => runtime.close());
  const request = sandboxRequest('two', { sharing: { ...sharing, hostNetwork: true } });
  await runtime.startContainer(startRequest(request, ['nosuchprogram']));
  t.match(runtime.runs(request.pod.uid).get('main'), { phase: 'exited', exitCode: 128, reason: 'StartError', message: /nosuchprogram/ });
  await runtime.startContainer({ ...startRequest(request, ['ip', 'addr']), attempt: 1 });
  await eventually('a pod with the network of the node ends', 20, () => runtime.runs(request.pod.uid).get('main')?.exitCode === 0);
  t.match(readFileSync(runtime.log(request.pod, 'main', 1).file, 'utf8'), /192\.0\.2\.10/, 'and has seen it');
  await runtime.startContainer({ ...startRequest(request, ['true'], { image: 'localhost/missing:1' }), attempt: 2 });
  t.match(runtime.runs(request.pod.uid).get('main'), { exitCode: 128, message: /localhost\/missing:1/ });
  await runtime.startContainer(startRequest(sandboxRequest('three'), ['true']));
  t.match(runtime.runs('0000-three').get('main'), { exitCode: 128, message: 'pod default/three: has no sandbox that is ready' });
  for (const name of ['two', 'three']) await runtime.removePod(podRef(name));

  const { images } = runtime;
  const problem = (image: string, policy?: string) =>
    eventually(`the image ${image} is looked for`, 20, () => {
      const found = images!.problem('u', 'c', image, policy);
      return found?.kind === 'pending' ? undefined : { found };
    });
  t.strictSame(await problem(busyboxImage), { found: undefined });
  t.match(await problem('localhost/missing:1', 'Never'), { found: { kind: 'never', message: /not present with pull policy of Never/ } });
  t.match(await problem('localhost:1/missing:1'), { found: { kind: 'image', message: /connection refused/ } });

  const folder = mkdtempSync(join(tmpdir(), 'pwcri-none-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const nobody = connectCri(join(folder, 'sock'));
  await t.rejects(nobody.call('Version', {}), { message: `the container runtime is down: there is no socket ${folder}/sock` });
  nobody.close();
  t.throws(() => connectCri('tcp://127.0.0.1:1'), /--container-runtime-endpoint: "tcp:\/\/127\.0\.0\.1:1" is not a unix socket/);
  await t.rejects(node.client.call('StartContainer', { containerId: 'missing' }), CriError);
});
