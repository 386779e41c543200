import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const namespace = `pw-test-dns-${process.pid}`;
const inside = (command: string, ...args: string[]) => run('nsenter', [`--net=/run/netns/${namespace}`, '--', command, ...args]);

t.before(async () => {
  await run('ip', ['netns', 'add', namespace]);
  await inside('ip', 'link', 'set', 'lo', 'up');
  await inside('ip', 'address', 'add', '192.0.2.53/32', 'dev', 'lo');
  await inside('ip', 'address', 'add', '2001:db8::53/128', 'dev', 'lo');
});
t.teardown(() => run('ip', ['netns', 'delete', namespace]));

/** A server on port 53 of the namespace, in a process of its own as on a node. */
const program = `
import { startDns } from '${new URL('../../src/dns/daemon.ts', import.meta.url)}';
import { createFakeCluster } from '${new URL('../../src/kube/fake-cluster.ts', import.meta.url)}';
import { resources } from '${new URL('../../src/objects/index.ts', import.meta.url)}';
import { systemClock } from '${new URL('../../src/runtime/clock.ts', import.meta.url)}';
import { createHealth } from '${new URL('../../src/runtime/health.ts', import.meta.url)}';
import { silentLogger } from '${new URL('../../src/runtime/log.ts', import.meta.url)}';
import { Registry } from '${new URL('../../src/runtime/metrics.ts', import.meta.url)}';
const cluster = createFakeCluster();
cluster.set(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
cluster.set(resources.services, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' }, spec: { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1', 'fd00:10:96::1'] } });
await startDns({ listenAddresses: ['192.0.2.53', '2001:db8::53'] }, { cluster }, { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() });
console.log('listening');
`;

t.test('the server answers on port 53 of its own addresses, from the address asked, over UDP and TCP', async (t) => {
  const server = execFile('nsenter', [
    `--net=/run/netns/${namespace}`,
    '--',
    process.execPath,
    '--input-type=module-typescript',
    '--eval',
    program,
  ]);
  const errors: string[] = [];
  server.stderr?.on('data', (text: string) => errors.push(text));
  t.teardown(() => server.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    server.stdout?.once('data', () => resolve());
    server.once('exit', () => reject(new Error(errors.join(''))));
  });
  for (const address of ['192.0.2.53', '2001:db8::53']) {
    for (const transport of ['+notcp', '+tcp']) {
      const { stdout } = await inside(
        'dig',
        `@${address}`,
        '+short',
        '+tries=1',
        '+time=2',
        transport,
        'web.default.svc.cluster.local',
        address.includes(':') ? 'AAAA' : 'A',
      );
      t.equal(stdout.trim(), address.includes(':') ? 'fd00:10:96::1' : '10.96.1.1', `${address} ${transport}`);
    }
  }
  const { stdout } = await inside('ss', '-Hlnut');
  t.equal(stdout.trim().split('\n').length, 4, 'two addresses, UDP and TCP');
});
