import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';

import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import {
  addNetworkNamespaces,
  listNetworkNamespaces,
  networkNamespacePath,
  networkNamespaceProcesses,
  removeNetworkNamespaces,
} from '../../src/kernel/netns.ts';
import { endProcess, identify, isRunning, killProcessGroup, signalProcess, startDetached } from '../../src/kernel/processes.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const [a, b] = [`nt${process.pid}a`, `nt${process.pid}b`];
const dir = mkdtempSync(join(tmpdir(), 'podwire-netns-'));
const log = join(dir, 'log');
t.teardown(async () => {
  const inside = networkNamespaceProcesses([a, b]).flatMap((pid) => identify(pid) ?? []);
  await Promise.all(inside.map((identity) => endProcess(identity, systemClock, 0)));
  await removeNetworkNamespaces(systemRunner, [a, b]);
  rmSync(dir, { recursive: true, force: true });
});
const ended = async (look: () => boolean): Promise<boolean> => {
  for (let round = 0; round < 200 && !look(); round++) await new Promise((resolve) => setTimeout(resolve, 10));
  return look();
};

t.test('namespaces are made, listed, entered and removed, and removing one that is gone is no error', async (t) => {
  await addNetworkNamespaces(systemRunner, [a, b]);
  t.ok([a, b].every((name) => listNetworkNamespaces().includes(name)));
  await t.rejects(addNetworkNamespaces(systemRunner, [a]), { message: /File exists/ });
  const { stdout } = await inNetworkNamespace(systemRunner, networkNamespacePath(a)).run('ip', ['-json', 'link']);
  t.match(JSON.parse(stdout), [{ ifname: 'lo' }]);
  await removeNetworkNamespaces(systemRunner, [b, `${b}-never-was`]);
  t.notOk(listNetworkNamespaces().includes(b));
  t.same(networkNamespaceProcesses([b]), []);
});

t.test('a detached process is found in its namespace, has its output in the file, and ends when it is told to', async (t) => {
  const script = 'echo hello; echo oops >&2; exec sleep 600';
  const identity = await startDetached('nsenter', [`--net=${networkNamespacePath(a)}`, '--', 'sh', '-c', script], log);
  t.ok(await ended(() => networkNamespaceProcesses([a]).includes(identity.pid)));
  t.ok(await ended(() => readFileSync(log, 'utf8') === 'hello\noops\n'));
  const fields = readFileSync(`/proc/${identity.pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  t.equal(Number(fields[3]), identity.pid, 'it leads a session of its own');
  t.notOk(signalProcess({ ...identity, startTime: identity.startTime + 1 }, 'SIGKILL'), 'another process of the same id is left alone');
  t.ok(isRunning(identity));
  t.equal(await endProcess(identity, systemClock, 2_000), true);
  t.notOk(isRunning(identity));
  t.equal(await endProcess(identity, systemClock, 2_000), false);
  t.same(networkNamespaceProcesses([a]), []);
});

t.test('a process that does not listen is killed when patience ends', async (t) => {
  const identity = await startDetached('sh', ['-c', 'trap "" TERM; while :; do sleep 0.05; done'], log);
  const begin = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(await endProcess(identity, systemClock, 200), true);
  t.ok(performance.now() - begin > 200);
});

t.test('a process group goes as a whole', async (t) => {
  const identity = await startDetached(
    'nsenter',
    [`--net=${networkNamespacePath(a)}`, '--', 'sh', '-c', 'sleep 600 & sleep 600 & wait'],
    log,
  );
  t.ok(await ended(() => networkNamespaceProcesses([a]).length === 3));
  t.equal(killProcessGroup(identity), true);
  t.ok(await ended(() => networkNamespaceProcesses([a]).length === 0));
  t.equal(killProcessGroup(identity), false);
});

t.test('a program that is not there is an error', async (t) => {
  await t.rejects(startDetached('/no/such/program', [], log), { code: 'ENOENT' });
});
