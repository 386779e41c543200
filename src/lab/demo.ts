import { join } from 'node:path';
import { type CommandRunner, CommandError } from '../kernel/command-runner.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import { type Deployment, isPodReady, resources, type Service } from '../objects/client.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { createAdminClient } from './admin-client.ts';
import { LabError } from './errors.ts';
import type { LabLayout } from './layout.ts';
import { findPods, type LabPod } from './pods.ts';
import type { Steps } from './steps.ts';
import type { Topology } from './topology.ts';

export interface DemoResult {
  /** What was typed, and what it printed; empty when kubectl is not installed. */
  readonly commands: readonly { readonly command: string; readonly output: string }[];
  /** The pod that asked. */
  readonly from: string;
  /** The pods that answered, in the order of the requests. */
  readonly answers: readonly { readonly pod: string; readonly node: string }[];
  /** Why kubectl was not used. */
  readonly note?: string;
}

/** The three commands that this project is measured by. */
const commands = [
  ['create', 'deployment', 'web', '--image=nginx'],
  ['scale', 'deployment', 'web', '--replicas=3'],
  ['expose', 'deployment', 'web', '--port=80'],
] as const;

const patience = 30_000;
const requests = 6;

/** Runs the three commands against a lab that is up, and asks the service from one of its own pods until every pod has answered. */
export async function runDemo(
  topology: Topology,
  layout: LabLayout,
  { runner, clock, steps }: { runner: CommandRunner; clock: Clock; steps: Steps },
): Promise<DemoResult> {
  const typed: { command: string; output: string }[] = [];
  let note: string | undefined;
  for (const words of commands) {
    if (note) break;
    const command = `kubectl ${words.join(' ')}`;
    await steps.run(command, async () => {
      try {
        const { stdout } = await runner.run('kubectl', words, {
          // kubectl keeps what it discovers; of a lab that goes again nothing is to stay behind in the home folder.
          env: { KUBECONFIG: layout.adminKubeconfig, KUBECACHEDIR: join(layout.root, 'kubectl-cache') },
        });
        typed.push({ command, output: stdout.trim() });
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        if (error.reason === 'not-installed')
          note =
            'kubectl is not installed, so the same objects were created through the API; install kubectl 1.27 or newer from kubernetes.io to type the commands yourself';
        else if (/AlreadyExists|already exists/.test(error.stderr)) typed.push({ command, output: error.stderr.trim() });
        else throw error;
      }
    });
  }
  if (note) await steps.run('deployment and service created through the API', () => createObjects(layout));
  const pods = await steps.run('three pods running on their nodes', () => runningPods(topology, layout, clock));
  const from = pods[0]!;
  const answers = await steps.run(`curl http://web from pod ${from.name}, across nodes`, () => askUntilSpread(from, pods, runner, clock));
  return { commands: typed, from: from.name, answers, ...(note === undefined ? {} : { note }) };
}

async function createObjects(layout: LabLayout): Promise<void> {
  const client = createAdminClient(layout);
  const metadata = { name: 'web', namespace: 'default', labels: { app: 'web' } };
  const deployment: Deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'nginx', image: 'nginx' }] } },
    },
  };
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: { app: 'web' }, ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }] },
  };
  const unlessThere = (error: unknown): void => {
    if (!isAlreadyExists(error)) throw error;
  };
  try {
    await client.create(resources.deployments, deployment).catch(unlessThere);
    await client.create(resources.services, service).catch(unlessThere);
  } finally {
    await client.close();
  }
}

/** The demo's pods, once three are Ready and can be entered. */
async function runningPods(topology: Topology, layout: LabLayout, clock: Clock): Promise<readonly LabPod[]> {
  const client = createAdminClient(layout);
  let seen = 'none yet';
  try {
    for (const end = clock.monotonic() + patience; clock.monotonic() < end; await sleep(clock, 20)) {
      const { items } = await client.list(resources.pods, { namespace: 'default', labelSelector: 'app=web' });
      const ready = items.filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp).map((pod) => pod.metadata.name);
      seen = items
        .map(
          (pod) =>
            `${pod.metadata.name} ${pod.status?.phase ?? 'Pending'} ${pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? ''}`,
        )
        .join('; ');
      const pods = findPods(topology, layout).filter(({ namespace, name }) => namespace === 'default' && ready.includes(name));
      if (pods.length >= 3) return pods;
    }
  } finally {
    await client.close();
  }
  throw new LabError(
    `the pods of deployment web were not ready within ${patience / 1000} s: ${seen}; look at 'kubectl describe pods' and the logs in ${layout.logs}`,
  );
}

/** Six requests, and then as many more as it takes until each of the pods has answered once. */
async function askUntilSpread(from: LabPod, pods: readonly LabPod[], runner: CommandRunner, clock: Clock): Promise<DemoResult['answers']> {
  const answers: { pod: string; node: string }[] = [];
  let problem = '';
  for (const end = clock.monotonic() + patience; clock.monotonic() < end; ) {
    try {
      const [program, ...args] = from.command(['curl', '-sS', '--max-time', '2', '-H', 'accept: application/json', 'http://web']);
      const { stdout } = await runner.run(program!, args);
      answers.push(JSON.parse(stdout) as { pod: string; node: string });
    } catch (error) {
      // The first request may come before the rules are in the last kernel.
      problem = error instanceof Error ? error.message : String(error);
      await sleep(clock, 20);
    }
    if (answers.length >= requests && pods.every(({ name }) => answers.some(({ pod }) => pod === name))) return answers;
  }
  throw new LabError(
    `http://web was not answered by every pod within ${patience / 1000} s: ${answers.length} answers; last problem: ${problem || 'none'}`,
  );
}
