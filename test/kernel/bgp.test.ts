import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { createTestbed, type TestNode, until } from './bgp/testbed.ts';

const protocol = 176;
const podAddresses = (index: number): string[] => [`10.244.${index}.1/24`, `fd00:10:244:${index}::1/64`];
const routesTo = (...indices: number[]): string[] =>
  indices.flatMap((index) => [`10.244.${index}.0/24 via 192.168.88.${index}`, `fd00:10:244:${index}::/64 via fd00:88::${index}`]).sort();
const same = (expected: readonly string[]) => (actual: readonly string[]) => JSON.stringify(actual) === JSON.stringify(expected);

/** Flags of node `index` in a mesh with the others: hold time and restart time short enough for a test. */
const meshFlags = (index: number, others: readonly number[]): string[] => [
  ...['--hold-time', '3', '--restart-time', '8', '--resync-interval', '300'],
  ...['--advertise', `10.244.${index}.0/24`, '--advertise', `fd00:10:244:${index}::/64`],
  ...others.flatMap((other) => ['--peer', `192.168.88.${other},64512`]),
];

t.test('three route daemons in a mesh', async (t) => {
  const bed = await createTestbed('mesh');
  t.teardown(() => bed.teardown());
  const nodes: TestNode[] = [];
  for (const index of [1, 2, 3]) nodes.push(await bed.node(index, podAddresses(index)));
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const foreign = '10.99.0.0/16';
  await one.run('ip', 'route', 'add', foreign, 'via', '192.168.88.2', 'proto', 'static');
  const others = (index: number): number[] => [1, 2, 3].filter((other) => other !== index);
  const daemons = nodes.map((node, at) => node.podwire(...meshFlags(at + 1, others(at + 1))));

  await t.test('bring the pod routes of both families into every kernel', async (t) => {
    for (const [at, node] of nodes.entries()) {
      const expected = routesTo(...others(at + 1));
      const { answer, took } = await until(() => node.routes(protocol), same(expected), 30_000);
      t.same(answer, expected, `node ${at + 1} after ${Math.round(took)} ms`);
    }
  });

  await t.test('so that packets of both families cross', async (t) => {
    t.match(await one.run('ping', '-c1', '-W2', '-I', '10.244.1.1', '10.244.2.1'), /1 received/);
    t.match(await one.run('ping', '-6', '-c1', '-W2', '-I', 'fd00:10:244:1::1', 'fd00:10:244:3::1'), /1 received/);
  });

  await t.test('repair a deleted route and a tampered one, and leave foreign routes alone', async (t) => {
    await one.run('ip', 'route', 'del', '10.244.2.0/24', 'proto', String(protocol));
    await one.run('ip', '-6', 'route', 'replace', 'fd00:10:244:2::/64', 'via', 'fd00:88::3', 'proto', String(protocol));
    await one.run('ip', 'route', 'add', '10.50.0.0/16', 'via', '192.168.88.3', 'proto', String(protocol));
    const { answer } = await until(() => one.routes(protocol), same(routesTo(2, 3)), 3_000);
    t.same(answer, routesTo(2, 3));
    t.match(await one.run('ip', 'route', 'show', foreign), /via 192\.168\.88\.2 dev eth0 proto static/);
  });

  await t.test('never put their route over a foreign one to the same prefix', async (t) => {
    await one.run('ip', 'route', 'replace', '10.244.3.0/24', 'via', '192.168.88.2', 'proto', 'static');
    await delay(800);
    t.match(await one.run('ip', 'route', 'show', '10.244.3.0/24'), /^10\.244\.3\.0\/24 via 192\.168\.88\.2 dev eth0 proto static \n$/);
    t.match(daemons[0]!.output(), /the kernel refused a route/);
    await one.run('ip', 'route', 'del', '10.244.3.0/24', 'proto', 'static');
    t.ok((await until(() => one.routes(protocol), same(routesTo(2, 3)), 4_000)).ok, 'takes the place once it is free');
  });

  await t.test('keep forwarding while a daemon is killed and comes back', async (t) => {
    const ping = one.start('ping', '-i0.05', '-c60', '-W1', '-I', '10.244.1.1', '10.244.2.1');
    await daemons[1]!.kill('SIGKILL');
    await delay(500);
    t.same(await one.routes(protocol), routesTo(2, 3), 'the peers keep its routes');
    t.same(await two.routes(protocol), routesTo(1, 3), 'its own kernel keeps them too');
    daemons[1] = two.podwire(...meshFlags(2, [1, 3]));
    await ping.ended();
    t.match(ping.output(), /60 packets transmitted, 60 received, 0% packet loss/);
    t.ok(
      (
        await until(
          async () => daemons[1]!.output(),
          (text) => /done waiting for the peers/.test(text),
          20_000,
        )
      ).ok,
      'it has heard all peers',
    );
    t.same(await one.routes(protocol), routesTo(2, 3));
    t.same(await two.routes(protocol), routesTo(1, 3));
  });

  await t.test('drop the routes of a killed daemon that does not come back within its restart time', async (t) => {
    await daemons[2]!.kill('SIGKILL');
    const start = performance.now();
    await delay(5_000);
    t.same(await one.routes(protocol), routesTo(2, 3), 'still there');
    t.ok((await until(() => one.routes(protocol), same(routesTo(2)), 6_000)).ok, `gone after ${Math.round(performance.now() - start)} ms`);
    daemons[2] = three.podwire(...meshFlags(3, [1, 2]));
    t.ok((await until(() => one.routes(protocol), same(routesTo(2, 3)), 20_000)).ok, 'and back with it');
  });

  await t.test('drop the routes of a node whose link is down within the hold time, and take them back when it is up', async (t) => {
    await three.setLink('down');
    const gone = await until(() => one.routes(protocol), same(routesTo(2)), 6_000);
    t.ok(gone.ok, `gone after ${Math.round(gone.took)} ms`);
    t.ok(gone.took < 4_500, 'within the hold time of 3 s, and what a busy machine takes to notice');
    await three.setLink('up');
    const back = await until(
      () => Promise.all(nodes.map((node) => node.routes(protocol))),
      (all) => same(routesTo(2, 3))(all[0]!) && same(routesTo(1, 2))(all[2]!),
      8_000,
    );
    t.ok(back.ok, `back after ${Math.round(back.took)} ms`);
  });

  await t.test('leave the kernel routes in place when stopped in order', async (t) => {
    t.equal(await daemons[0]!.kill('SIGTERM'), 0);
    t.same(await one.routes(protocol), routesTo(2, 3));
    await delay(300);
    t.same(await two.routes(protocol), routesTo(1, 3));
  });

  await t.test('say who has the port when it is taken', async (t) => {
    const second = two.podwire('--health-bind-address', '127.0.0.1:0', '--peer', '192.168.88.1,64512');
    t.equal(await second.ended(), 1);
    t.match(second.output(), /BGP cannot listen on 192\.168\.88\.2 port 179: another program has it/);
  });
});
