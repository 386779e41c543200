import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openEmbeddedStore } from '../../src/storage/index.ts';
import { openTestEtcd, startEtcd } from '../storage/etcd-server.ts';
import { cleanup, configMap, inDefault, startTestServer, temporaryFolder } from './harness.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const run = (...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, 'apiserver', ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    );
  });

const path = inDefault('configmaps');

it('backup of a running server, restore, fsck and compact', { timeout: 120_000 }, async () => {
  const folder = temporaryFolder();
  const [store, restored, file] = [join(folder, 'store'), join(folder, 'restored'), join(folder, 'backup')];
  const api = await startTestServer({}, await openEmbeddedStore({ folder: store }));
  await api.expect(201, 'POST', path, configMap('kept', { sky: 'blue' }));

  const backup = await run('backup', file, '--data-dir', store, '-o', 'json');
  expect([backup.code, backup.stderr]).toEqual([0, '']);
  expect(JSON.parse(backup.stdout)).toMatchObject({ file, source: 'embedded', revision: api.store.revision() });
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const busy = await run('compact', '--data-dir', store);
  expect([busy.code, busy.stderr]).toEqual([1, expect.stringContaining(`in use by process ${process.pid}`)]);
  await api.server.stop();

  const restore = await run('restore', file, '--data-dir', restored);
  expect([restore.code, restore.stdout]).toEqual([
    0,
    expect.stringMatching(/keys of revision \d+ restored; the store is at revision 10\d+/),
  ]);
  const again = await run('restore', file, '--data-dir', restored);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('give --force')]);

  const compact = await run('compact', '--data-dir', restored, '-o', 'json');
  expect([compact.code, JSON.parse(compact.stdout)]).toEqual([0, expect.objectContaining({ compactedRevision: expect.any(Number) })]);
  const clean = await run('fsck', '--data-dir', restored);
  expect([clean.code, clean.stdout]).toEqual([0, expect.stringMatching(/ 0 errors, 0 warnings\n$/)]);

  const second = await startTestServer({}, await openEmbeddedStore({ folder: restored }));
  expect((await second.expect(200, 'GET', `${path}/kept`)).data).toEqual({ sky: 'blue' });
  await second.store.commit({ conditions: [], writes: [{ put: { key: '/registry/configmaps/lost/x', value: '{}' } }] });
  const broken = await run('fsck', '--data-dir', restored, '-o', 'json');
  expect(broken.code).toBe(1);
  expect(JSON.parse(broken.stdout).findings).toContainEqual(
    expect.objectContaining({ key: '/registry/configmaps/lost/x', severity: 'error' }),
  );
});

it('backup and restore of an etcd', { timeout: 120_000 }, async () => {
  const etcd = await startEtcd();
  cleanup(() => etcd.remove());
  const file = join(temporaryFolder(), 'backup');
  const api = await startTestServer({}, await openTestEtcd(etcd, { prefix: '/one' }));
  await api.expect(201, 'POST', path, configMap('kept', { sky: 'blue' }));
  const one = ['--etcd-servers', etcd.url, '--etcd-prefix', '/one'];
  const two = ['--etcd-servers', etcd.url, '--etcd-prefix', '/two'];
  expect((await run('backup', file, ...one)).code).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!)).toMatchObject({ source: 'etcd' });
  const restore = await run('restore', file, ...two, '--bump-revision', '50');
  expect([restore.code, restore.stderr]).toEqual([0, '']);
  expect((await run('fsck', ...two)).code).toBe(0);
  expect((await run('compact', ...two, '--defragment')).stdout).toMatch(/history dropped up to revision \d+; .* before, .* now/);
  const second = await startTestServer({}, await openTestEtcd(etcd, { prefix: '/two' }));
  expect((await second.expect(200, 'GET', `${path}/kept`)).data).toEqual({ sky: 'blue' });
});

it('wrong usage ends with 2, and a file that is no backup with 1', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const cases: [string[], string][] = [
    [['backup', 'f'], "required option '--data-dir <folder>' not specified"],
    [['fsck', '--storage-backend', 'etcd3'], 'needs --etcd-servers'],
    [['fsck', '--etcd-servers', 'http://127.0.0.1:1', '--storage-backend', 'embedded'], 'exclude each other'],
    [['fsck', '--etcd-servers', 'https://h:1', '--etcd-certfile', 'c'], 'go together'],
    [['backup', '--data-dir', folder], "missing required argument 'file'"],
  ];
  for (const [args, text] of cases) {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  }
  const file = join(folder, 'file');
  writeFileSync(file, 'kind: List\n');
  const { code, stderr } = await run('restore', file, '--data-dir', join(folder, 'store'));
  expect([code, stderr]).toEqual([1, expect.stringContaining('is not a complete podwire backup')]);
});
