import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildExecutable, executable } from './support/cni-node.ts';
import { heldFiles, nodeOfTier } from './support/cni-state.ts';

t.before(buildExecutable);

interface Outcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the node on any bytes. One that does not end is killed, which its signal tells. */
async function run(namespace: string, program: string, environment: NodeJS.ProcessEnv, stdin: Buffer): Promise<Outcome> {
  const child = spawn('nsenter', [`--net=${namespace}`, '--', program], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...environment } });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const read = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream].on('data', (chunk: Buffer) => (read[stream] += chunk.toString()));
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  return { exitCode, signal, ...read };
}

for (const tier of ['alone', 'agent'] as const) {
  void t.test(`whatever it is given, it ends with a result or an error object, and leaves nothing: ${tier}`, async (t) => {
    const node = await nodeOfTier(t, 'fuzz', tier);
    const program = tier === 'alone' ? executable : join(`${node.dataDir}-bin`, 'podwire-cni');
    for (const pod of ['a', 'keep']) node.addPod(pod);
    const keep = await node.cni('ADD', 'keep');
    t.equal(keep.exitCode, 0, keep.stdout);
    const whole = JSON.stringify(node.config);
    const environment = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'container-a', CNI_NETNS: node.podPath('a'), CNI_IFNAME: 'eth0' };
    const ipam = (more: object): string => JSON.stringify({ ...node.config, ipam: { ...(node.config['ipam'] as object), ...more } });
    const withKey = (more: object): string => JSON.stringify({ ...node.config, ...more });
    const cases: [name: string, stdin: string | Buffer, environment?: Record<string, string>][] = [
      ['no input', ''],
      ['cut off', whole.slice(0, 100)],
      ['null bytes', Buffer.alloc(1_000)],
      ['no UTF-8', Buffer.from(whole.replace('podwire0', '\xff\xfe'), 'latin1')],
      ['three megabytes', `${whole.slice(0, -1)},"x":"${'y'.repeat(3_000_000)}"}`],
      ['deep', `${'['.repeat(100_000)}`],
      ['a data folder that cannot be', ipam({ dataDir: '/proc/none/x' })],
      ['a data folder that is a file', ipam({ dataDir: '/dev/null/x' })],
      ['a data folder with a long name', ipam({ dataDir: `/${'d'.repeat(300)}` })],
      ['a bridge that is no name', withKey({ bridge: '../..' })],
      ['a bridge that is loopback', withKey({ bridge: 'lo' })],
      ['a MAC that is a group', withKey({ mac: 'ff:ff:ff:ff:ff:ff' })],
      ['an MTU that no link takes', withKey({ mtu: 20 })],
      ['a resolv.conf that is a folder', ipam({ resolvConf: '/proc' })],
      ['a route to everywhere', ipam({ routes: [{ dst: '0.0.0.0/0', gw: '0.0.0.0', scope: 254, table: 4_294_967_295 }] })],
      ['a namespace that is a folder', whole, { CNI_NETNS: '/proc' }],
      ['a namespace that is a device', whole, { CNI_NETNS: '/dev/zero' }],
      ['a namespace that is a pipe of another kind', whole, { CNI_NETNS: '/proc/self/ns/mnt' }],
      ['an interface with signs', whole, { CNI_IFNAME: '$(x);"é' }],
      ['an interface called lo', whole, { CNI_IFNAME: 'lo' }],
      ['arguments', whole, { CNI_ARGS: `IP=::;${'K8S=x;'.repeat(5_000)}` }],
      ['a line break', whole, { CNI_ARGS: 'IgnoreUnknown=1;A=b\nCNI_COMMAND=DEL' }],
      ['a command', whole, { CNI_COMMAND: 'add' }],
      ['another IPAM plugin that is a folder', ipam({ type: 'net' }), { CNI_PATH: '/proc:/sys:relative' }],
    ];
    // And some where one byte is another; which, the name of the test tells.
    for (let round = 0; round < 8; round++) {
      const bytes = Buffer.from(whole);
      const at = Math.floor(Math.random() * bytes.length);
      bytes[at] = Math.floor(Math.random() * 256);
      cases.push([`byte ${at} is ${bytes[at]}`, bytes]);
    }
    // With the launcher half of them: what it hands over goes the same way.
    for (const [name, stdin, changes] of cases.filter((_, index) => tier === 'alone' || index % 2 === 0)) {
      const outcome = await run(node.namespace, program, { ...environment, ...changes }, Buffer.from(stdin));
      t.strictSame([outcome.signal, outcome.exitCode === 0 || outcome.exitCode === 1], [null, true], `${name}: ends by itself`);
      const answer = JSON.parse(outcome.stdout) as { cniVersion: string; code?: number; msg?: string };
      if (outcome.exitCode === 1) {
        t.match(answer, { cniVersion: /^\d\.\d\.\d$/, code: Number, msg: /./ }, `${name}: ${outcome.stdout}`);
        t.not(answer.code, 100, `${name} is expected`);
      } else t.match(answer, { ips: [] });
      t.notMatch(outcome.stderr, /\n\s+at /, `${name}: no stack trace`);
      // A request that is wrong in itself has begun nothing. Else it is deleted as it was added, as a runtime does.
      if ([1, 2, 4, 6, 7].includes(answer.code ?? 0)) continue;
      const deleted = await run(node.namespace, program, { ...environment, ...changes, CNI_COMMAND: 'DEL' }, Buffer.from(stdin));
      t.equal(deleted.signal, null);
    }
    t.equal((await node.cni('DEL', 'a')).exitCode, 0);
    const prevResult = keep.json as object;
    t.equal((await node.cni('CHECK', 'keep', { config: { prevResult } })).stdout, '', 'who was there before is whole');
    t.strictSame(
      heldFiles(node).filter((file) => !/10\.244\.1\.2$|::2$|container-keep@eth0$/.test(file)),
      [],
    );
    t.strictSame(
      node.links().filter((name) => name.startsWith('veth')),
      [keep.json.interfaces[1].name],
    );
  });
}

void t.test('garbage in the place of state files, slots and queued requests does not stop the agent', async (t) => {
  const node = await nodeOfTier(t, 'garbage', 'agent');
  for (const pod of ['a', 'b']) node.addPod(pod);
  t.equal((await node.cni('ADD', 'a')).exitCode, 0);
  const record = heldFiles(node).find((file) => file.endsWith('owners/container-a@eth0'))!;
  writeFileSync(record, 'garbage');
  const agent = join(node.dataDir, '.agent');
  const [, run = ''] = readFileSync(join(agent, 'current'), 'utf8').split(' ');
  mkdirSync(join(agent, 'queue', '0.0', 'folder'), { recursive: true });
  writeFileSync(join(agent, 'queue', '1.0'), 'garbage');
  for (const slot of ['1', '2', '3']) writeFileSync(join(agent, run, 'slots', `${slot}.request`), '\0'.repeat(100));
  mkdirSync(join(agent, run, 'slots', '4.request'));
  // Abandoned for long: the next look removes them.
  for (const slot of ['1', '2', '3', '4']) utimesSync(join(agent, run, 'slots', `${slot}.request`), 0, 0);
  // Unknown kinds, slots that are none, and requests of nobody; the first of a line that is too long.
  writeFileSync(join(agent, run, 'requests'), `R 1\nR 4\nR 999\nR x\nD 2 0\n\0\nX\n`);
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, index) =>
      node.cni('ADD', 'b', { containerId: `c${index}`, environment: { CNI_IFNAME: `e${index}` }, config: { isDefaultGateway: false } }),
    ),
  );
  t.strictSame(
    answers.filter(({ exitCode }) => exitCode !== 0).map(({ stdout }) => stdout),
    [],
    'others are served',
  );
  t.equal((await node.cni('DEL', 'a')).exitCode, 0, 'so is who has lost its record');
  for (let index = 0; index < 6; index++)
    t.equal((await node.cni('DEL', 'b', { containerId: `c${index}`, environment: { CNI_IFNAME: `e${index}` } })).exitCode, 0);
  t.strictSame([node.links(), heldFiles(node)], [['podwire0'], []]);
  t.match(
    node.files().filter((file) => file.includes('/_damaged/')),
    [/reservation-in-network-podwire-of-container-container-a-eth0/],
    'what was there is kept',
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  t.equal((await node.cni('STATUS', undefined)).exitCode, 0, 'the agent has looked for what is abandoned, and runs');
});
