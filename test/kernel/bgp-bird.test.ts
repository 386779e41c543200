import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createTestbed, type TestNode, type Testbed, type TestProcess, until } from './bgp/testbed.ts';

const ours = 176;
/** RTPROT_BIRD. */
const birds = 12;
const same = (expected: readonly string[]) => (actual: readonly string[]) => JSON.stringify(actual) === JSON.stringify(expected);

/** A BIRD 2 that advertises the node's pod prefixes, puts what it learns into its kernel, and speaks with `peer`. */
const birdConfig = (index: number, asn: number, peer: number, extra = ''): string => `
router id 192.168.88.${index};
protocol device { scan time 1; }
protocol kernel { ipv4 { export where source = RTS_BGP; import none; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; import none; }; }
protocol static { ipv4; route 10.244.${index}.0/24 via "pods"; }
protocol static { ipv6; route fd00:10:244:${index}::/64 via "pods"; }
protocol bgp podwire {
  local 192.168.88.${index} as ${asn};
  neighbor 192.168.88.${peer} as 64512;
  direct;
  hold time 6;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
  graceful restart aware;
  ${extra}
  ipv4 { import all; export where source = RTS_STATIC; next hop self; };
  ipv6 { import all; export where source = RTS_STATIC; next hop address fd00:88::${index}; };
}
`;

interface Bird {
  readonly node: TestNode;
  readonly process: TestProcess;
  ask(...words: string[]): Promise<string>;
}

async function startBird(t: Test, bed: Testbed, index: number, config: string): Promise<Bird> {
  const node = await bed.node(index, [`10.244.${index}.1/24`, `fd00:10:244:${index}::1/64`]);
  const folder = await mkdtemp(join(tmpdir(), 'podwire-bird-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'bird.conf'), config);
  const process = node.start('bird', '-f', '-c', join(folder, 'bird.conf'), '-s', join(folder, 'ctl'));
  return { node, process, ask: (...words) => node.run('birdc', '-s', join(folder, 'ctl'), ...words) };
}

const flags = [
  '--hold-time',
  '6',
  '--restart-time',
  '8',
  '--resync-interval',
  '300',
  '--advertise',
  '10.244.1.0/24',
  '--advertise',
  'fd00:10:244:1::/64',
];

t.test('a session inside the AS with BIRD 2', async (t) => {
  const bed = await createTestbed('bird');
  t.teardown(() => bed.teardown());
  const one = await bed.node(1, ['10.244.1.1/24', 'fd00:10:244:1::1/64']);
  const bird = await startBird(t, bed, 9, birdConfig(9, 64_512, 1));
  const start = (): TestProcess => one.podwire(...flags, '--peer', '192.168.88.9,64512');
  let daemon = start();
  const learned = ['10.244.9.0/24 via 192.168.88.9', 'fd00:10:244:9::/64 via fd00:88::9'];
  const told = ['10.244.1.0/24 via 192.168.88.1', 'fd00:10:244:1::/64 via fd00:88::1'];

  await t.test('brings the routes of both families into both kernels', async (t) => {
    t.same((await until(() => one.routes(ours), same(learned), 30_000)).answer, learned);
    t.same((await until(() => bird.node.routes(birds), same(told), 5_000)).answer, told);
    const details = await bird.ask('show', 'route', 'all', '10.244.1.0/24');
    t.match(details, /BGP\.origin: IGP/);
    t.match(details, /BGP\.local_pref: 100/);
    t.match(await bird.ask('show', 'protocols', 'all', 'podwire'), /Graceful restart[\s\S]*4-octet AS numbers/);
  });

  await t.test('carries packets of both families', async (t) => {
    t.match(await one.run('ping', '-c1', '-W2', '-I', '10.244.1.1', '10.244.9.1'), /1 received/);
    t.match(await one.run('ping', '-6', '-c1', '-W2', '-I', 'fd00:10:244:1::1', 'fd00:10:244:9::1'), /1 received/);
  });

  await t.test('answers a route refresh with all routes again', async (t) => {
    // Two UPDATEs with routes and two End-of-RIB markers at the start; the refresh brings the two with routes again.
    const counters = async (): Promise<string[]> => {
      const metrics = await one.run(
        process.execPath,
        '-e',
        'fetch("http://127.0.0.1:10179/metrics").then((answer) => answer.text()).then((text) => process.stdout.write(text))',
      );
      return metrics
        .split('\n')
        .filter((line) => /direction="sent",type="update"|direction="received",type="route-refresh"/.test(line))
        .map((line) => line.replace(/.*direction="(\w+)".* (\d+)$/, '$1 $2'))
        .sort();
    };
    t.same(await counters(), ['received 0', 'sent 4']);
    await bird.ask('reload', 'in', 'podwire');
    const { answer } = await until(counters, same(['received 2', 'sent 6']), 2_000);
    t.same(answer, ['received 2', 'sent 6']);
    t.same(await bird.node.routes(birds), told);
  });

  await t.test('follows a prefix that BIRD withdraws, and one it adds', async (t) => {
    await bird.ask('disable', 'static1');
    t.ok((await until(() => one.routes(ours), same(learned.slice(1)), 3_000)).ok, 'withdrawn');
    await bird.ask('enable', 'static1');
    t.ok((await until(() => one.routes(ours), same(learned), 3_000)).ok, 'announced again');
  });

  await t.test('outlives kill -9 of our daemon in BIRD for the restart time, and is taken up again', async (t) => {
    await daemon.kill('SIGKILL');
    await delay(1_500);
    t.same(await bird.node.routes(birds), told, 'BIRD keeps the routes');
    t.same(await one.routes(ours), learned, 'our kernel does too');
    daemon = start();
    t.ok(
      (
        await until(
          async () => daemon.output(),
          (text) => /done waiting for the peers/.test(text),
          20_000,
        )
      ).ok,
      'the routes are exchanged again',
    );
    await delay(200);
    t.same(await bird.node.routes(birds), told, 'BIRD has the routes, and no stale ones');
    t.notMatch(await bird.ask('show', 'route', 'all'), /stale/i);
    await daemon.kill('SIGKILL');
    const gone = await until(() => bird.node.routes(birds), same([]), 12_000);
    t.ok(gone.ok && gone.took > 6_000, `without our daemon they go after the restart time (${Math.round(gone.took)} ms)`);
    daemon = start();
    t.ok((await until(() => bird.node.routes(birds), same(told), 20_000)).ok);
    t.ok(
      (
        await until(
          async () => daemon.output(),
          (text) => /done waiting for the peers/.test(text),
          10_000,
        )
      ).ok,
    );
  });

  await t.test('ends in withdrawal at once when BIRD shuts down with a NOTIFICATION', async (t) => {
    await bird.ask('disable', 'podwire');
    const { ok, took } = await until(() => one.routes(ours), same([]), 2_000);
    t.ok(ok, `gone after ${Math.round(took)} ms`);
    await bird.ask('enable', 'podwire');
    t.ok((await until(() => one.routes(ours), same(learned), 15_000)).ok, 'and back');
  });

  await t.test('ends in withdrawal in BIRD when we are asked to cease on stop', async (t) => {
    await daemon.kill('SIGTERM');
    await delay(500);
    t.same(await bird.node.routes(birds), told, 'a plain stop leaves the routes');
    daemon = one.podwire(...flags, '--peer', '192.168.88.9,64512', '--cease-on-stop');
    await until(
      () => bird.ask('show', 'protocols', 'podwire'),
      (text) => /Established/.test(text),
      20_000,
    );
    await daemon.kill('SIGTERM');
    t.ok((await until(() => bird.node.routes(birds), same([]), 2_000)).ok);
  });
});

t.test('a session with BIRD 2 in another AS', async (t) => {
  const bed = await createTestbed('ebgp');
  t.teardown(() => bed.teardown());
  const one = await bed.node(1, ['10.244.1.1/24', 'fd00:10:244:1::1/64']);
  const bird = await startBird(t, bed, 9, birdConfig(9, 4_200_000_009, 1));
  const established = (): Promise<{ ok: boolean }> =>
    until(
      () => bird.ask('show', 'protocols', 'podwire'),
      (text) => /Established/.test(text),
      30_000,
    );

  await t.test('exchanges nothing as long as no policy says so (RFC 8212)', async (t) => {
    const daemon = one.podwire(...flags, '--peer', '192.168.88.9,4200000009');
    t.ok((await established()).ok);
    await delay(500);
    t.same(await one.routes(ours), []);
    t.same(await bird.node.routes(birds), []);
    await daemon.kill('SIGTERM');
  });

  await t.test('exchanges routes with our AS in the path where the policy allows it', async (t) => {
    one.podwire(...flags, '--peer', '192.168.88.9,4200000009,import=all,export=all');
    t.ok(
      (
        await until(
          () => one.routes(ours),
          (routes) => routes.length === 2,
          30_000,
        )
      ).ok,
    );
    t.ok(
      (
        await until(
          () => bird.node.routes(birds),
          (routes) => routes.length === 2,
          5_000,
        )
      ).ok,
    );
    t.match(await bird.ask('show', 'route', 'all', '10.244.1.0/24'), /BGP\.as_path: 64512\n/);
  });
});

t.test('a peer with a password is refused with the reason', async (t) => {
  const bed = await createTestbed('md5');
  t.teardown(() => bed.teardown());
  const one = await bed.node(1);
  const daemon = one.podwire('--peer', '192.168.88.9,64512,password=secret');
  t.equal(await daemon.ended(), 1);
  t.match(daemon.output(), /peer 192\.168\.88\.9 has a password, but TCP-MD5 \(RFC 2385\) needs a socket option that Node\.js cannot set/);
  t.notMatch(daemon.output(), /secret/);
});
