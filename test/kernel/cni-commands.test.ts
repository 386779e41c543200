import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { buildExecutable, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');

interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A node with an installation made by `podwire cni install`, and `podwire cni` in its namespace. */
function installedNode(t: Test, label: string) {
  const folder = mkdtempSync(`/tmp/pwcni-commands-${process.pid}-`);
  const binDir = join(folder, 'bin');
  const node = createCniNode(label, () => join(binDir, 'podwire-cni'));
  t.teardown(() => {
    node.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const folders = ['--conf-dir', join(folder, 'net.d'), '--bin-dir', binDir];
  const state = ['--state-dir', node.dataDir];
  const podwire = (words: readonly string[], input = ''): Promise<Answer> =>
    new Promise((done) => {
      const all = [`--net=${node.namespace}`, '--', process.execPath, main, 'cni', ...words];
      const child = execFile('nsenter', all, { timeout: 60_000 }, (error, stdout, stderr) =>
        done({ exitCode: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
      child.stdin!.on('error', () => undefined);
      child.stdin!.end(input);
    });
  return {
    node,
    folder,
    binDir,
    conflist: join(folder, 'net.d/10-podwire.conflist'),
    podwire,
    install: (...cidrs: string[]) => podwire(['install', ...folders, ...state, ...cidrs.flatMap((cidr) => ['--pod-cidr', cidr])]),
    check: async (...more: string[]) => {
      const { exitCode, stdout } = await podwire(['check', ...folders, '-o', 'json', ...more]);
      return { exitCode, findings: JSON.parse(stdout) as { subject: string; problem: string; repair: string }[] };
    },
    journal: (...words: string[]) => podwire(['journal', ...words, ...state]),
  };
}

/** What runs an interface plugin's IPAM plugin does: by its name, with the interface plugin's configuration. */
function runAsIpam(node: CniNode, binDir: string, command: string): Promise<Answer> {
  return new Promise((done) => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'other',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: node.podPath('a'),
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    };
    const child = spawn('nsenter', [`--net=${node.namespace}`, '--', join(binDir, 'podwire-ipam')], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.once('close', (exitCode) => done({ exitCode: exitCode ?? -1, stdout, stderr: '' }));
    child.stdin.end(JSON.stringify({ ...node.config, name: 'other', type: 'bridge' }));
  });
}

void t.test('install, check, explain, ADD, journal: each tells what the others do', async (t) => {
  const { node, binDir, conflist, podwire, install, check, journal } = installedNode(t, 'commands');
  node.addPod('a');
  const installed = await install('10.244.1.0/24', 'fd00:10:244:1::/64');
  t.equal(installed.exitCode, 0, installed.stderr);
  t.strictSame(readdirSync(binDir).sort(), ['podwire-cni', 'podwire-cni.standalone', 'podwire-ipam']);
  t.strictSame((await check()).findings, []);

  const asIpam = await runAsIpam(node, binDir, 'ADD');
  t.equal(asIpam.exitCode, 0, asIpam.stdout);
  t.match(JSON.parse(asIpam.stdout), { ips: [{ address: '10.244.1.2/24' }, { address: 'fd00:10:244:1::2/64' }] });
  t.equal((await runAsIpam(node, binDir, 'DEL')).exitCode, 0);

  const request = ['--container-id', 'container-a', '--netns', node.podPath('a'), '--args', 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=a'];
  const explained = await podwire(['explain', 'ADD', '--conf', conflist, ...request, '-o', 'json']);
  t.equal(explained.exitCode, 0, explained.stderr);
  const explanation = JSON.parse(explained.stdout);
  t.strictSame([node.links(), node.files().filter((file) => !file.includes('/other/'))], [[], []], 'nothing has been done');

  const added = await node.cni('ADD', 'a');
  t.equal(added.exitCode, 0, added.stdout);
  t.strictSame(added.json, explanation.answer, 'the answer that was told');
  const lines = explanation.steps.flatMap(({ input }: { input: string[] }) => input).join('\n');
  t.match(lines, /^link add name podwire0 .* type bridge$/m);
  t.match(lines, /^link set dev veth\w+ alias default\/a /m);
  const again = await podwire(['explain', 'ADD', ...request], JSON.stringify(node.config));
  t.equal(again.exitCode, 1, 'attached already');
  t.match(again.stdout, /^# ADD would fail with$[^]*"code": 101/m);
  const removal = await podwire(['explain', 'DEL', '--conf', conflist, ...request]);
  t.match(removal.stdout, /^ {4}link delete dev veth\w+$/m);
  t.match(removal.stdout, /^release 10\.244\.1\.2$/m);

  const held = await journal('default/a', '-o', 'json');
  t.match(JSON.parse(held.stdout), [
    { address: '10.244.1.2', pod: 'default/a', end: 'held' },
    { address: 'fd00:10:244:1::2', pod: 'default/a', end: 'held' },
  ]);
  t.equal((await node.cni('DEL', 'a')).exitCode, 0);
  const ended = await journal('10.244.1.2');
  t.match(ended.stdout, /^ADDRESS +POD +FROM +UNTIL +END\n10\.244\.1\.2 +default\/a +\S+Z +\S+Z +released\n$/);
  t.equal((await journal('10.244.1.99')).exitCode, 1, 'nobody');
});

void t.test('check finds what is wrong with the installation and with attachments, and says what mends it', async (t) => {
  const { node, binDir, folder, conflist, install, check } = installedNode(t, 'findings');
  node.addPod('a');
  t.match(await check(), {
    exitCode: 1,
    findings: [{ problem: /podwire-cni\.standalone is missing/ }, {}, {}, { problem: /holds no network configuration/ }],
  });
  await install('10.244.1.0/24', 'fd00:10:244:1::/64');
  await node.cni('ADD', 'a');
  node.exec('ip link set eth0 mtu 1300', 'a');
  writeFileSync(join(binDir, 'podwire-cni'), '#!/bin/sh\n# of another version\n', { mode: 0o755 });
  rmSync(join(binDir, 'podwire-ipam'));
  const { exitCode, findings } = await check();
  t.equal(exitCode, 1);
  const texts = findings.map(({ subject, problem, repair }) => `${subject}: ${problem} -> ${repair}`);
  t.match(texts[0], /installation: .*podwire-cni is not the one that belongs to this version -> podwire cni install/);
  t.match(texts[1], /podwire-ipam is not a symbolic link/);
  t.match(texts[2], /podwire-ipam is missing/);
  t.match(texts[3], /default\/a eth0: mtu of eth0 .*1300.* -> .*ip link set .*eth0 mtu 1500/);
  t.equal(texts.length, 4, texts.join('\n'));
  // The ranges of the next installation have no place for what is there, and a foreign file comes first.
  await install('10.9.0.0/24');
  t.match((await check()).findings.map(({ problem }) => problem).join('\n'), /reserved address 10\.244\.1\.2/);
  t.notMatch(readFileSync(conflist, 'utf8'), '10.244.1.0', 'former ranges are gone');
  renameSync(conflist, join(folder, 'net.d/00-other.conf'));
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'net.d/00-other.conf'), '{"name": "other", "type": "bridge"}');
  t.match((await check()).findings.at(-1), { problem: /00-other\.conf/, repair: /remove .*00-other\.conf/ });
});
