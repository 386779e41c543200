// Pods as real namespaces and processes. The tests themselves run inside a network namespace that plays the node, so that nothing of the
// host's network is touched: this file makes the namespace and starts them in it.
import { join } from 'node:path';
import t from 'tap';

import { systemRunner } from '../../src/kernel/command-runner.ts';
import {
  addNetworkNamespaces,
  listNetworkNamespaces,
  networkNamespacePath,
  networkNamespaceProcesses,
  removeNetworkNamespaces,
} from '../../src/kernel/netns.ts';
import { endProcess, identify } from '../../src/kernel/processes.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const suites = ['life-cycle', 'adoption', 'static-pods', 'streaming'];

for (const suite of suites) {
  t.test(suite, async (t) => {
    const node = `pr${process.pid}${suite.slice(0, 2)}`;
    await addNetworkNamespaces(systemRunner, [node]);
    t.teardown(async () => {
      const ours = listNetworkNamespaces().filter((name) => name === node || name.startsWith(`${node}.`));
      const inside = networkNamespaceProcesses(ours).flatMap((pid) => identify(pid) ?? []);
      await Promise.all(inside.map((identity) => endProcess(identity, systemClock, 0)));
      await removeNetworkNamespaces(systemRunner, ours);
    });
    await systemRunner.run('ip', ['-n', node, 'link', 'set', 'dev', 'lo', 'up']);
    const file = join(import.meta.dirname, 'pod-runner', `${suite}.ts`);
    await t.spawn(
      'nsenter',
      [`--net=${networkNamespacePath(node)}`, '--', process.execPath, file],
      { env: { ...process.env, NODE_NAMESPACE: node } },
      suite,
    );
    const left = listNetworkNamespaces().filter((name) => name.startsWith(`${node}.`));
    t.same(left, [], 'no pod namespace is left');
    t.same(networkNamespaceProcesses([node]), [], 'no process is left in the node');
  });
}
