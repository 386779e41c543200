import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startApiServer } from '../../src/api-server/server.ts';
import { systemRunner } from '../../src/kernel/command-runner.ts';
import { parsePrefix } from '../../src/net/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { checkEmbedded } from '../../src/storage/embedded-check.ts';

const context = () => ({ log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() });

const startServer = (dataDir: string) =>
  startApiServer(
    {
      dataDir,
      bindAddress: '127.0.0.1',
      securePort: 0,
      advertiseAddress: '192.168.88.11',
      serviceClusterIPRanges: [parsePrefix('10.96.0.0/16')],
      serviceNodePortRange: { first: 30_000, last: 32_767 },
      tls: undefined,
      listenFd: undefined,
      eventTtlSeconds: 3_600,
      historyRevisions: 10_000,
    },
    context(),
  );

t.test('a full disk is a clear error, nothing acknowledged is lost, and writing goes on once there is room', async (t) => {
  const mountPoint = mkdtempSync(join(tmpdir(), `podwire-full-${process.pid}-`));
  const mount = (...args: string[]) => systemRunner.run('mount', args);
  await mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mountPoint);
  t.teardown(async () => {
    await systemRunner.run('umount', [mountPoint]);
    rmSync(mountPoint, { recursive: true, force: true });
  });
  const dataDir = join(mountPoint, 'store');

  let server = await startServer(dataDir);
  // Stopped before the file system goes; teardowns run last in, first out.
  t.teardown(() => server.stop());
  const call = async (method: string, path: string, body?: object) => {
    const url = `http://127.0.0.1:${server.addresses[0]!.port}/api/v1/namespaces/default/configmaps${path}`;
    const init = body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {};
    const response = await fetch(url, { method, ...init });
    return { code: response.status, body: (await response.json()) as { message: string; items: { metadata: { name: string } }[] } };
  };
  const configMap = (name: string) => ({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name }, data: { large: 'x'.repeat(100_000) } });

  const acknowledged: string[] = [];
  let refusal = '';
  for (let i = 0; refusal === '' && i < 200; i++) {
    const names = Array.from({ length: 4 }, (_, k) => `c${i}-${k}`);
    const answers = await Promise.all(names.map((name) => call('POST', '', configMap(name))));
    answers.forEach(({ code, body }, k) => {
      if (code === 201) acknowledged.push(names[k]!);
      else {
        t.equal(code, 500);
        refusal = body.message;
      }
    });
  }
  t.match(refusal, /the store's disk is full \(.*\)\. Free space on the file system/);
  t.match(refusal, dataDir);
  const names = async () => (await call('GET', '')).body.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('c'));
  t.same((await names()).sort(), [...acknowledged].sort(), 'reads go on, and show what was acknowledged');

  // What was too much together may find room alone, until that is gone too.
  let still = 201;
  for (let i = 0; still === 201 && i < 50; i++) {
    still = (await call('POST', '', configMap(`c-last-${i}`))).code;
    if (still === 201) acknowledged.push(`c-last-${i}`);
  }
  t.equal(still, 500);

  await mount('-o', 'remount,size=64m', mountPoint);
  t.equal((await call('POST', '', configMap('c-later'))).code, 201);
  acknowledged.push('c-later');
  await server.stop();
  t.same((await checkEmbedded(dataDir)).faults, []);
  server = await startServer(dataDir);
  t.same((await names()).sort(), [...acknowledged].sort(), 'all of it is there after a restart');
});
