// The whole path with the real kubectl: commands in, packets out. One lab for the file.
import { basename } from 'node:path';
import t from 'tap';
import { eventually, hostState, kubectls, processesNaming, run, testLab } from './support/lab.ts';

const lab = testLab();
const before = hostState(lab.name);
t.teardown(() => lab.destroy());

const readyPods = (selector: string): any[] =>
  lab
    .json<{ items: any[] }>('get', 'pods', '-l', selector)
    .items.filter(
      (pod) => pod.status?.conditions?.some((c: any) => c.type === 'Ready' && c.status === 'True') && !pod.metadata.deletionTimestamp,
    );

/** Asks until each of the pods has answered; gives who answered, in order. */
async function askEach(asker: string, url: string, pods: readonly string[], ...flags: string[]): Promise<string[]> {
  const answers: string[] = [];
  await eventually(`${url} answered by each of ${pods.join(', ')}`, 20, () => {
    const { code, stdout, stderr } = lab.inPod(asker, 'curl', '-sS', '--max-time', '2', '-H', 'accept: application/json', ...flags, url);
    if (code !== 0) throw new Error(stderr);
    answers.push((JSON.parse(stdout) as { pod: string }).pod);
    return pods.every((pod) => answers.includes(pod));
  });
  return answers;
}

t.test('lab up brings three nodes up and a second run says so', async (t) => {
  const first = lab.up();
  t.equal(first.code, 0, first.stderr);
  t.match(first.stdout, /worker-2\s+Ready/);
  const again = lab.up();
  t.equal(again.code, 0, again.stderr);
  t.match(again.stderr, /is up already/);
  t.same(
    lab.json('get', 'nodes').items.map((node: any) => node.metadata.name),
    lab.nodes,
  );
});

t.test('every node has its pod CIDRs, its peers and the routes to the others, in both families', async (t) => {
  await eventually('all sessions established and all routes in the kernels', 10, () =>
    lab
      .status()
      .nodes.every(
        ({ agent }) =>
          agent?.routing.peers.length === 2 &&
          agent.routing.peers.every(({ state }) => state === 'Established') &&
          agent.routing.routes.filter((r) => r.inKernel).length >= 4,
      ),
  );
  for (const node of lab.nodes) {
    t.equal(lab.onNode(node, 'ip', 'route', 'show', 'proto', '176').stdout.trim().split('\n').length, 2, `${node} IPv4`);
    t.equal(lab.onNode(node, 'ip', '-6', 'route', 'show', 'proto', '176').stdout.trim().split('\n').length, 2, `${node} IPv6`);
  }
});

for (const kubectl of kubectls()) {
  const version = basename(kubectl).replace('kubectl', '').replaceAll('.', '-');
  t.test(`${basename(kubectl)}: create, scale, expose end in packets`, async (t) => {
    const web = `web${version}`;
    for (const words of [
      ['create', 'deployment', web, '--image=nginx'],
      ['scale', 'deployment', web, '--replicas=3'],
      ['expose', 'deployment', web, '--port=80'],
      ['rollout', 'status', 'deployment', web, '--timeout=30s'],
    ]) {
      const { code, stderr } = lab.kubectlWith(kubectl, ...words);
      t.equal(code, 0, `kubectl ${words.join(' ')}: ${stderr}`);
    }
    const pods = await eventually('three ready pods', 20, () => {
      const ready = readyPods(`app=${web}`);
      return ready.length === 3 && ready;
    });
    t.equal(new Set(pods.map((pod) => pod.spec.nodeName)).size, 3, 'on three different nodes');
    for (const pod of pods) {
      const node = lab.json('get', 'node', pod.spec.nodeName);
      t.ok(pod.status.podIP.startsWith(node.spec.podCIDR.replace(/\d+\/\d+$/, '')), `${pod.status.podIP} is out of ${node.spec.podCIDR}`);
      t.equal(pod.status.podIPs.length, 2, 'an address of each family');
    }
    const names = pods.map((pod) => pod.metadata.name as string);
    for (const asker of names) await askEach(asker, `http://${web}`, names);
    for (const words of [
      ['get', 'nodes,pods,svc,endpointslices', '-o', 'wide'],
      ['get', 'deployment', web, '-o', 'yaml'],
      ['describe', 'deployment', web],
      ['describe', 'pod', names[0]!],
      ['describe', 'service', web],
      ['describe', 'node', 'worker-1'],
      ['delete', 'deployment,service', web, '--timeout=30s'],
    ]) {
      const { code, stdout, stderr } = lab.kubectlWith(kubectl, ...words);
      t.equal(code, 0, `kubectl ${words.join(' ')}: ${stderr}`);
      t.not(stdout.trim(), '', `kubectl ${words.join(' ')} says something`);
    }
    await eventually('its pods are gone', 20, () => lab.json('get', 'pods', '-l', `app=${web}`).items.length === 0);
  });
}

t.test('with a deployment of three pods behind a service', async (t) => {
  lab.kubectl('create', 'deployment', 'web', '--image=nginx', '--replicas=3');
  lab.kubectl('expose', 'deployment', 'web', '--port=80', '--type=NodePort');
  const pods = await eventually('three ready pods', 20, () => {
    const ready = readyPods('app=web');
    return ready.length === 3 && ready;
  });
  const names = pods.map((pod) => pod.metadata.name as string);
  const asker = names[0]!;

  t.test('pod-exec takes its options on either side of the pod, and gives the exit code of the command', (t) => {
    t.equal(lab.podwire('pod-exec', '-n', 'default', asker, '--', 'sh', '-c', 'exit 7').code, 7);
    t.equal(lab.podwire('pod-exec', asker, '-n', 'default', '--', 'sh', '-c', 'exit 7').code, 7);
    t.equal(lab.podwire('exec', 'worker-1', '--', 'sh', '-c', 'exit 8').code, 8);
    t.end();
  });

  t.test('the service answers by every name the search path allows, and by an address of each family', async (t) => {
    for (const url of ['http://web', 'http://web.default', 'http://web.default.svc', 'http://web.default.svc.cluster.local'])
      await askEach(asker, url, names);
    t.equal(lab.inPod(asker, 'curl', '-sS', '--max-time', '2', 'http://nowhere').code, 6, 'a name that does not exist is not resolved');
    for (const pod of pods) {
      for (const { ip } of pod.status.podIPs) {
        const { stdout } = lab.inPod(asker, 'curl', '-sS', '-g', '--max-time', '2', `http://${ip.includes(':') ? `[${ip}]` : ip}`);
        t.match(stdout, pod.metadata.name, `${ip} answers directly`);
      }
    }
  });

  t.test('the node port answers on every node, from every node', async () => {
    const [{ nodePort }] = lab.json('get', 'service', 'web').spec.ports;
    for (const { addresses } of lab.status().nodes) {
      const answers = new Set<string>();
      await eventually(`each pod by ${addresses[0]}:${nodePort}`, 15, () => {
        const { code, stdout, stderr } = lab.onNode(
          'worker-2',
          'curl',
          '-sS',
          '--max-time',
          '2',
          '-H',
          'accept: application/json',
          `http://${addresses[0]}:${nodePort}`,
        );
        if (code !== 0) throw new Error(stderr);
        answers.add((JSON.parse(stdout) as { pod: string }).pod);
        return names.every((name) => answers.has(name));
      });
    }
  });

  t.test('a pod that is deleted is replaced, and its address and rules go with it', async (t) => {
    const victim = pods[1];
    lab.kubectl('delete', 'pod', victim.metadata.name, '--timeout=30s');
    const after = await eventually('three ready pods again', 20, () => {
      const ready = readyPods('app=web');
      return ready.length === 3 && ready;
    });
    t.notOk(after.some((pod) => pod.metadata.uid === victim.metadata.uid));
    await eventually('its address is in no rule, slice or reservation', 10, () => {
      const rules = lab.nodes.map((node) => lab.onNode(node, 'iptables-save', '-t', 'nat').stdout).join('\n');
      const slices = JSON.stringify(lab.json('get', 'endpointslices', '-l', 'kubernetes.io/service-name=web').items);
      const attachments = JSON.stringify(lab.status().nodes.map(({ agent }) => agent?.attachments));
      return ![rules, slices, attachments].some(
        (text) =>
          text.includes(`${victim.status.podIP}/32`) || text.includes(`"${victim.status.podIP}"`) || text.includes(victim.metadata.name),
      );
    });
    await askEach(
      after[0]!.metadata.name,
      'http://web',
      after.map((pod) => pod.metadata.name),
    );
  });

  t.test('a service without endpoints refuses at once', async (t) => {
    lab.kubectl('create', 'service', 'clusterip', 'empty', '--tcp=80:80');
    const pod = readyPods('app=web')[0].metadata.name;
    await eventually('connection refused', 10, () => {
      const start = Date.now();
      const { code } = lab.inPod(pod, 'curl', '-sS', '--max-time', '3', 'http://empty');
      return code === 7 && Date.now() - start < 1_500;
    });
    lab.kubectl('delete', 'service', 'empty');
    t.pass();
  });

  t.test('a network policy closes and opens the way between pods', async (t) => {
    const [from, to] = readyPods('app=web');
    const reach = (): number | null => lab.inPod(from.metadata.name, 'curl', '-sS', '--max-time', '1', `http://${to.status.podIP}`).code;
    t.equal(reach(), 0, 'open before');
    const apply = (spec: object): void =>
      lab.apply({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'default' }, spec });
    apply({ podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] });
    await eventually('closed', 10, () => reach() !== 0);
    apply({
      podSelector: { matchLabels: { app: 'web' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ protocol: 'TCP', port: 80 }] }],
    });
    await eventually('open to its like', 10, () => reach() === 0);
    lab.kubectl('delete', 'networkpolicy', 'p');
    await eventually('open after', 10, () => reach() === 0);
  });
});

t.test('kubectl get -w tells of each change', async (t) => {
  const { spawn } = await import('node:child_process');
  const watch = spawn('kubectl', ['get', 'pods', '-w', '--no-headers'], { env: { ...process.env, KUBECONFIG: lab.kubeconfig } });
  let text = '';
  watch.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  t.teardown(() => watch.kill());
  lab.kubectl('run', 'watched', '--image=nginx');
  await eventually('Pending, then Running', 15, () => /watched .*(Pending|ContainerCreating)[\s\S]*watched .*1\/1 +Running/.test(text));
  lab.kubectl('delete', 'pod', 'watched', '--timeout=30s');
  await eventually('Terminating', 10, () => /watched .*Terminating/.test(text));
});

t.test('a broken manifest is refused by its field and changes nothing', async (t) => {
  const bad = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'bad' },
    spec: { containers: [{ name: 'c', image: 'nginx', prots: [] }] },
  };
  const { code, stderr } = run('kubectl', ['create', '-f', '-'], {
    input: JSON.stringify(bad),
    env: { ...process.env, KUBECONFIG: lab.kubeconfig },
  });
  t.equal(code, 1);
  t.match(stderr, /strict decoding error: unknown field "spec.containers\[0\].prots"/);
  t.equal(lab.kubectlWith('kubectl', 'get', 'pod', 'bad').code, 1);
});

t.test('after down nothing is left on the host', async (t) => {
  const { code, stdout, stderr } = lab.down();
  t.equal(code, 0, stderr);
  t.match(stdout, /is down: \d+ processes ended, \d+ namespaces removed/);
  t.same(hostState(lab.name), before);
  t.same(processesNaming(lab.root), []);
  t.equal(lab.down().stdout, `lab ${lab.name} was not up\n`);
});
