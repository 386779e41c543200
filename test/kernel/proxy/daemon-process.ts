// The service proxy of the node as a process of its own, which can be killed. Its objects come over IPC.
//
//     node daemon-process.ts '{"nodeName": "worker-1", ...}' [FOLDER]     proxy options; where forking is dear, a folder for a shell that does it
import { Registry } from 'prom-client';
import { createFakeCluster } from '../../../src/kube/fake-cluster.ts';
import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { startProxy } from '../../../src/kube-proxy/daemon.ts';
import type { ProxyOptionsInput } from '../../../src/kube-proxy/index.ts';
import { type EndpointSlice, type Node, resources, type Service } from '../../../src/objects/index.ts';
import { createShellRunner } from '../support/shell-runner.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createHealth } from '../../../src/runtime/health.ts';
import { silentLogger } from '../../../src/runtime/log.ts';

/** All that there is, from now on. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
}

const kinds = [
  ['services', resources.services],
  ['endpointSlices', resources.endpointSlices],
  ['nodes', resources.nodes],
] as const;
const cluster = createFakeCluster();
const kept = new Map<string, string>();
let lastNode: Node | undefined;

function replace(objects: ClusterObjects): void {
  for (const [kind, resource] of kinds) {
    const wanted = new Map(
      objects[kind].map((object) => [
        object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name,
        object,
      ]),
    );
    for (const id of [...kept.keys()].filter((each) => each.startsWith(`${kind} `))) {
      const key = id.slice(kind.length + 1);
      if (wanted.has(key)) continue;
      kept.delete(id);
      cluster.remove(resource as typeof resources.services, key);
    }
    for (const [key, object] of wanted) {
      const text = JSON.stringify(object);
      if (kept.get(`${kind} ${key}`) === text) continue;
      kept.set(`${kind} ${key}`, text);
      cluster.set(resource as typeof resources.services, object as Service);
    }
  }
}

const runner = process.argv[3] === undefined ? systemRunner : createShellRunner(process.argv[3]);
let daemon: Awaited<ReturnType<typeof startProxy>> | undefined;

/** Waits for a turn of each family that has begun after now. The first to end may have begun before; the one after it has not. */
async function synced(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    const since = Date.now();
    // Wakes the loops.
    cluster.set(resources.nodes, lastNode!);
    for (const end = since + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 5))) {
      const { lastSync, families } = daemon!.report();
      const problem = families.find((family) => family.problem)?.problem;
      if (lastSync > since && problem === undefined) break;
      if (Date.now() > end) throw new Error(`not synced in time: ${JSON.stringify(families)}`);
    }
  }
}

process.on('message', ({ id, objects }: { id: number; objects: ClusterObjects }) => {
  const work = async (): Promise<void> => {
    replace(objects);
    lastNode = objects.nodes[0];
    daemon ??= await startProxy(
      JSON.parse(process.argv[2]!) as ProxyOptionsInput,
      { cluster, runner },
      { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
    );
    await synced();
  };
  work().then(
    () => process.send!({ id }),
    (error: unknown) => process.send!({ id, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
