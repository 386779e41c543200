import { fetchStatus } from '../agent/control.ts';
import type { AgentStatus } from '../agent/status.ts';
import { isRunning } from '../kernel/processes.ts';
import { findCondition, type Node, resources } from '../objects/client.ts';
import { createAdminClient } from './admin-client.ts';
import { labComponents } from './components.ts';
import type { LabLayout } from './layout.ts';
import { readComponents, readSupervisor } from './records.ts';
import type { Topology } from './topology.ts';

/** What `lab status` shows. */
export interface LabStatus {
  readonly lab: string;
  readonly supervised: boolean;
  readonly apiServer: string;
  readonly nodes: readonly NodeStatus[];
}

export interface NodeStatus {
  readonly name: string;
  readonly ready: string;
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly namespace: string;
  readonly daemons: readonly {
    readonly name: string;
    readonly pid: number;
    readonly running: boolean;
    readonly restarts: number;
    readonly startedAt: string;
  }[];
  /** Undefined when the agent does not answer; `problem` says why. */
  readonly agent?: AgentStatus;
  readonly problem?: string;
}

/** Asks the API server, the process table and every agent's control API at once. What does not answer shows as such; nothing is thrown for it. */
export async function collectStatus(topology: Topology, layout: LabLayout): Promise<LabStatus> {
  const supervisor = readSupervisor(layout);
  const records = readComponents(layout);
  const [nodes, ...agents] = await Promise.all([
    listNodes(layout),
    ...topology.nodes.map(({ name }) =>
      fetchStatus(layout.node(name).agentSocket).then(
        (agent) => ({ agent }),
        (error: unknown) => ({ problem: `the agent does not answer on ${layout.node(name).agentSocket} (${reasonOf(error)})` }),
      ),
    ),
  ]);
  const components = labComponents(topology, layout);
  return {
    lab: topology.name,
    supervised: supervisor !== undefined && isRunning(supervisor),
    apiServer: `https://127.0.0.1:${supervisor?.apiServerPort ?? topology.apiServerPort}`,
    nodes: topology.nodes.map(({ name, addresses }, index) => ({
      name,
      ready: readiness(nodes, name),
      addresses,
      podCIDRs: nodes?.get(name)?.spec?.podCIDRs ?? [],
      namespace: layout.node(name).namespace,
      daemons: components
        .filter(({ node }) => node === name)
        .map((component) => {
          const record = records.get(component.name);
          const daemon = component.name.slice(name.length + 1);
          return {
            name: daemon,
            pid: record?.pid ?? 0,
            running: record !== undefined && isRunning(record),
            restarts: record?.restarts ?? 0,
            startedAt: record?.startedAt ?? '',
          };
        }),
      ...agents[index],
    })),
  };
}

async function listNodes(layout: LabLayout): Promise<ReadonlyMap<string, Node> | undefined> {
  const client = createAdminClient(layout);
  try {
    const { items } = await client.list(resources.nodes);
    return new Map(items.map((node) => [node.metadata.name, node]));
  } catch {
    return undefined;
  } finally {
    await client.close();
  }
}

function readiness(nodes: ReadonlyMap<string, Node> | undefined, name: string): string {
  if (!nodes) return 'unknown: the API server does not answer';
  const ready = findCondition(nodes.get(name)?.status?.conditions, 'Ready');
  if (!ready) return 'not registered';
  return ready.status === 'True' ? 'Ready' : `NotReady: ${ready.message ?? ready.reason ?? ready.status}`;
}

/** gRPC wraps the system's reason in advice for programmers; the last error code in it is what tells a person what is wrong. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /\b(ECONNREFUSED|ENOENT|EACCES)\b/.exec(text)?.[1] ?? text.split('. ')[0]!;
}
