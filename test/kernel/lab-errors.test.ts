// Misuse of `podwire lab`: each a clear error that says what to do, and nothing half-made left behind.
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hostState, podwire, processesNaming, run, testLab } from './support/lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'podwire-errors-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const before = hostState('t' + process.pid);
const nothingLeft = (t: Test, root: string): void => {
  t.same(hostState('t' + process.pid), before, 'the host is as it was');
  t.same(processesNaming(root), [], 'no process is left');
};

t.test('without root the error says how to get it', async (t) => {
  const lab = testLab();
  const podwireFile = join(import.meta.dirname, '../../bin/podwire');
  const { code, stderr } = run('setpriv', [
    '--reuid=65534',
    '--clear-groups',
    podwireFile,
    'lab',
    'up',
    '--name',
    lab.name,
    '--state-dir',
    folder,
  ]);
  t.equal(code, 1);
  t.match(stderr, /a lab needs root, to make network namespaces: run the command again with sudo/);
  nothingLeft(t, lab.root);
});

t.test('a missing tool is named with its package', async (t) => {
  const lab = testLab();
  const bin = join(folder, 'bin');
  run('mkdir', ['-p', bin]);
  for (const program of ['sh', 'readlink', 'dirname', 'ip'])
    symlinkSync(run('sh', ['-c', `command -v ${program}`]).stdout.trim(), join(bin, program));
  const { checkMachine } = await import('../../src/lab/preflight.ts');
  t.throws(
    () => checkMachine(bin, 0, []),
    /not installed: nsenter, unshare, nft, iptables-restore.*apt-get install util-linux nftables iptables/,
  );
  nothingLeft(t, lab.root);
});

t.test('a port in use is named, with the flag that chooses another', async (t) => {
  const lab = testLab();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const { code, stderr } = lab.podwire('up', '--api-port', String(port));
  t.equal(code, 1);
  t.match(stderr, `port ${port} of 127.0.0.1 is in use; choose another with --api-port`);
  nothingLeft(t, lab.root);
});

t.test('a lab file with mistakes is refused line by line', async (t) => {
  const lab = testLab();
  const file = join(folder, 'lab.yaml');
  writeFileSync(file, 'nodes: [{ name: a, colour: red }]\n');
  const unknown = lab.podwire('up', '--file', file);
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, `${file}: unknown field nodes.0.colour`);
  writeFileSync(file, 'network: { podCIDRs: [192.168.88.0/22, "fd00:10:244::/56"] }\n');
  const overlap = lab.podwire('up', '--file', file);
  t.equal(overlap.code, 1);
  t.match(overlap.stderr, /overlaps network.podCIDRs\[0\]|network.podCIDRs\[0\].*overlaps|overlaps/);
  t.equal(lab.podwire('up', '--file', join(folder, 'none.yaml')).code, 1);
  nothingLeft(t, lab.root);
});

t.test('commands for a lab that is not up say how to bring it up', async (t) => {
  const lab = testLab();
  for (const words of [
    ['status'],
    ['env'],
    ['exec', 'control', '--', 'true'],
    ['pod-exec', 'web', '--', 'true'],
    ['link', 'control', 'down'],
  ]) {
    const { code, stderr } = lab.podwire(...words);
    t.equal(code, 1);
    t.match(stderr, `lab ${lab.name} is not up; bring it up with: podwire lab up --name ${lab.name}`);
  }
});

t.test('wrong usage is exit code 2, help is 0', async (t) => {
  t.equal(podwire('lab', 'up', '--nonsense').code, 2);
  t.equal(podwire('lab', 'up', '--name', 'Bad.Name').code, 2);
  t.equal(podwire('nonsense').code, 2);
  t.equal(podwire('lab', '--help').code, 0);
  for (const command of ['lab', 'apiserver', 'controllers', 'agent', 'bgp', 'proxy', 'netpol', 'dns', 'cni', 'pod-runner']) {
    const { code, stdout } = podwire(command, '--help');
    t.equal(code, 0, command);
    t.match(stdout, `Usage: podwire ${command}`);
  }
});

t.test('a failure midway takes down what was made', async (t) => {
  const lab = testLab();
  // A namespace of the lab's name that is not the lab's: making the nodes fails after the first of them.
  const broken = join(folder, 'broken');
  run('mkdir', ['-p', join(broken, 'labs', lab.name)]);
  chmodSync(join(broken, 'labs'), 0o755);
  const preload = join(folder, 'kill-supervisor.cjs');
  writeFileSync(preload, 'if (process.argv.includes("supervise")) process.exit(3);\n');
  const { code, stderr } = run(
    join(import.meta.dirname, '../../bin/podwire'),
    ['lab', 'up', '--name', lab.name, '--state-dir', broken, '--api-port', '0'],
    {
      env: { ...process.env, NODE_OPTIONS: `--require ${preload}` },
    },
  );
  t.equal(code, 1);
  t.match(stderr, /the supervisor ended at once \(exit 3\)/);
  nothingLeft(t, join(broken, 'labs', lab.name));
});

t.test('nodes that cannot be set up leave neither namespaces nor files', async (t) => {
  const lab = testLab();
  const bin = join(folder, 'failing');
  run('mkdir', ['-p', bin]);
  writeFileSync(join(bin, 'nsenter'), '#!/bin/sh\necho "no such luck" >&2\nexit 1\n', { mode: 0o755 });
  const state = join(folder, 'state');
  const { code, stderr } = run(
    join(import.meta.dirname, '../../bin/podwire'),
    ['lab', 'up', '--name', lab.name, '--state-dir', state, '--api-port', '0'],
    { env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` } },
  );
  t.equal(code, 1);
  t.match(stderr, 'no such luck');
  t.notOk(existsSync(join(state, 'labs', lab.name)), 'its state is gone');
  nothingLeft(t, join(state, 'labs', lab.name));
});
