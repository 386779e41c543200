// Runs the policy daemon of a node on the objects given as JSON on standard input, as a process that can be killed.
import { createFakeCluster } from '../../../src/kube/fake-cluster.ts';
import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { startNetworkPolicies } from '../../../src/netpol/daemon.ts';
import { type NetworkPolicy, type Namespace, type Pod, resources } from '../../../src/objects/index.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createHealth } from '../../../src/runtime/health.ts';
import { silentLogger } from '../../../src/runtime/log.ts';
import { Registry } from '../../../src/runtime/metrics.ts';

let text = '';
for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
const { nodeName, pods, namespaces, policies } = JSON.parse(text) as {
  nodeName: string;
  pods: Pod[];
  namespaces: Namespace[];
  policies: NetworkPolicy[];
};
const cluster = createFakeCluster();
for (const each of pods) cluster.set(resources.pods, each);
for (const each of namespaces) cluster.set(resources.namespaces, each);
for (const each of policies) cluster.set(resources.networkPolicies, each);
const health = createHealth();
await startNetworkPolicies(
  { nodeName },
  { cluster, runner: systemRunner },
  { log: silentLogger(), clock: systemClock, metrics: new Registry(), health },
);
while (!health.ready().ok) await new Promise((resolve) => setTimeout(resolve, 10));
process.stdout.write('ready\n');
