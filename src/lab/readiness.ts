import { fetchStatus } from '../agent/control.ts';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import { startInformer } from '../kube/reflector.ts';
import { parsePrefix } from '../net/index.ts';
import { findCondition, type KubeObject, type Node, type Pod, type Resource, resources } from '../objects/client.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/log.ts';
import { createAdminClient } from './admin-client.ts';
import { dnsService } from './cluster-objects.ts';
import { LabError } from './errors.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** Longest wait for one step (ms). */
const patience = 30_000;

/** Waits until the API server answers on the host's loopback port. The caller closes the client. */
export async function waitForControlPlane(layout: LabLayout, clock: Clock): Promise<KubeClient> {
  const client = createAdminClient(layout);
  let last: unknown;
  for (const end = clock.monotonic() + patience; clock.monotonic() < end; await sleep(clock, 20)) {
    try {
      await client.get(resources.namespaces, 'kube-system');
      return client;
    } catch (error) {
      last = error;
    }
  }
  await client.close();
  throw new LabError(`the API server did not answer within ${patience / 1000} s: ${last instanceof Error ? last.message : String(last)}`);
}

/** Waits until every node of the topology is Ready and has its pod CIDRs. */
export async function waitForNodes(client: KubeClient, topology: Topology, clock: Clock): Promise<void> {
  // One of each family, out of however many ranges.
  const families = new Set(topology.podCIDRs.map((text) => parsePrefix(text).family)).size;
  const lacking = (nodes: ReadonlyMap<string, Node>): string[] =>
    topology.nodes.flatMap(({ name }) => {
      const node = nodes.get(name);
      if (!node) return [`node ${name} has not registered`];
      if (node.spec?.podCIDRs?.length !== families) return [`node ${name} has no pod CIDRs yet`];
      const ready = findCondition(node.status?.conditions, 'Ready');
      return ready?.status === 'True' ? [] : [`node ${name} is not ready: ${ready?.message ?? 'no status yet'}`];
    });
  await waitFor(client, resources.nodes, clock, lacking);
}

/** Creates the DNS service, and waits until the agents of all nodes are ready behind it. */
export async function waitForPodNetwork(client: KubeClient, topology: Topology, clock: Clock): Promise<void> {
  const service = dnsService(topology);
  // Asked for first: a second Service with its address would be refused for the address, not for the name.
  await client.get(resources.services, service.metadata.name, service.metadata.namespace).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    return client.create(resources.services, service);
  });
  const lacking = (pods: ReadonlyMap<string, Pod>): string[] =>
    topology.nodes.flatMap(({ name }) => {
      const pod = pods.get(`kube-system/podwire-agent-${name}`);
      if (!pod) return [`the agent of ${name} has not shown up`];
      const ready = findCondition(pod.status?.conditions, 'Ready');
      return ready?.status === 'True' ? [] : [`the agent of ${name} is not ready${ready?.message ? `: ${ready.message}` : ''}`];
    });
  await waitFor(client, resources.pods, clock, lacking);
}

/**
 * Waits until the agents of all nodes answer on their sockets, with no problem: right after the daemons were started again, the API still
 * shows those that were. `ask` gives what is wrong with the agent behind a socket, and rejects when nobody answers. @throws LabError
 */
export async function waitForAgents(
  layout: LabLayout,
  topology: Topology,
  clock: Clock,
  ask: (socket: string) => Promise<readonly string[]> = async (socket) => (await fetchStatus(socket)).problems,
): Promise<void> {
  const end = clock.monotonic() + patience;
  const waitForOne = async (name: string): Promise<readonly string[]> => {
    for (;;) {
      const problems = await ask(layout.node(name).agentSocket).catch((error: unknown) => [
        `it does not answer: ${error instanceof Error ? error.message : String(error)}`,
      ]);
      if (problems.length === 0 || clock.monotonic() >= end) return problems.map((problem) => `the agent of ${name}: ${problem}`);
      await sleep(clock, 50);
    }
  };
  const problems = (await Promise.all(topology.nodes.map(({ name }) => waitForOne(name)))).flat();
  if (problems.length > 0) throw new LabError([...problems, `gave up after ${patience / 1000} s`]);
}

/** Follows a resource until nothing is lacking any more. @throws LabError with what is, when time runs out. */
async function waitFor<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  clock: Clock,
  lacking: (store: ReadonlyMap<string, T>) => readonly string[],
): Promise<void> {
  const informer = startInformer({ client, clock, log: silentLogger() }, resource);
  try {
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (informer.synced && lacking(informer.store).length === 0) {
          cancel();
          resolve();
        }
      };
      const cancel = clock.setTimer(patience, () =>
        reject(new LabError([...lacking(informer.store), `gave up after ${patience / 1000} s`])),
      );
      informer.onChange(check);
      void informer.whenSynced().then(check);
    });
  } finally {
    informer.stop();
  }
}
