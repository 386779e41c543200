import { describe, expect, it } from 'vitest';
import { addressOf, createSimulation, peerConfig, seededRandom, type SimulatedNode } from './harness.ts';

const routesTo = (...indices: number[]): Record<string, string> =>
  Object.fromEntries(
    indices
      .flatMap((index): [string, string][] => [
        [`10.244.${index}.0/24`, addressOf(index)],
        [`fd00:10:244:${index}::/64`, `fd00:88::${index}`],
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

async function startAll(simulation: ReturnType<typeof createSimulation>, size: number): Promise<SimulatedNode[]> {
  return Promise.all(Array.from({ length: size }, (_, at) => simulation.start(at + 1)));
}

describe('a mesh of speakers', () => {
  it.each([1, 2, 3, 4, 5])('of ten nodes started together converges within 500 ms (seed %i)', async (seed) => {
    const simulation = createSimulation(10, seed);
    const nodes = await startAll(simulation, 10);
    await simulation.clock.advance(500);
    for (const [at, node] of nodes.entries()) {
      expect(node.states()).toEqual(Array.from({ length: 9 }, () => 'Established'));
      expect(node.routes()).toEqual(routesTo(...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter((index) => index !== at + 1)));
    }
  });

  it('stays up over many hold times without a single new session', async () => {
    const simulation = createSimulation(3);
    const nodes = await startAll(simulation, 3);
    await simulation.clock.advance(120_000);
    for (const node of nodes) {
      for (const peer of node.speaker.report()) {
        expect(peer.state).toBe('Established');
        expect(peer.uptime).toBeGreaterThan(118);
      }
    }
  });

  it('takes in a node that starts late within the longest retry time', async () => {
    const simulation = createSimulation(3);
    const first = await simulation.start(1);
    const second = await simulation.start(2);
    await simulation.clock.advance(60_000);
    expect(first.routes()).toEqual(routesTo(2));
    const third = await simulation.start(3);
    await simulation.clock.advance(100);
    expect(third.routes()).toEqual(routesTo(1, 2));
    expect(second.routes()).toEqual(routesTo(1, 3));
  });

  it('withdraws the routes of a node whose connection went silent when the hold time has passed, and not before', async () => {
    const simulation = createSimulation(2);
    const [one] = await startAll(simulation, 2);
    await simulation.clock.advance(10_000);
    simulation.network.setLink(addressOf(2), false);
    await simulation.clock.advance(5_000);
    expect(one!.routes()).toEqual(routesTo(2));
    await simulation.clock.advance(4_100);
    expect(one!.routes()).toEqual({});
    expect(one!.speaker.report()[0]!.lastError).toContain('hold timer expired');
  });

  it('has the routes back soon after the link is up again', async () => {
    const simulation = createSimulation(3);
    const nodes = await startAll(simulation, 3);
    await simulation.clock.advance(10_000);
    simulation.network.setLink(addressOf(3), false);
    await simulation.clock.advance(30_000);
    expect(nodes.map((node) => node.routes())).toEqual([routesTo(2), routesTo(1), {}]);
    simulation.network.setLink(addressOf(3), true);
    await simulation.clock.advance(3_500);
    expect(nodes.map((node) => node.routes())).toEqual([routesTo(2, 3), routesTo(1, 3), routesTo(1, 2)]);
  });

  it('drops a peer that is no longer configured, on both sides, and its routes with it', async () => {
    const simulation = createSimulation(3);
    const [one, two, three] = await startAll(simulation, 3);
    await simulation.clock.advance(1_000);
    one!.speaker.setPeers([peerConfig(2, 1)]);
    await simulation.clock.advance(10);
    expect(one!.routes()).toEqual(routesTo(2));
    expect(three!.routes()).toEqual(routesTo(2));
    expect(two!.routes()).toEqual(routesTo(1, 3));
    expect(three!.speaker.report()[0]!.lastError).toContain('Peer De-configured (6/3)');
  });

  it('tells peers of a changed and of a withdrawn prefix', async () => {
    const simulation = createSimulation(2);
    const [one, two] = await startAll(simulation, 2);
    await simulation.clock.advance(1_000);
    one!.speaker.setAdvertisements([]);
    await simulation.clock.advance(10);
    expect(two!.routes()).toEqual({});
  });

  it('closes a connection from an address that is no peer', async () => {
    const simulation = createSimulation(1);
    await simulation.start(1);
    const stranger = simulation.network.host('192.168.88.99');
    const attempt = stranger.connect({ address: addressOf(1), port: 179 });
    await simulation.clock.advance(5);
    let closed = false;
    (await attempt).attach({ data: () => undefined, closed: () => (closed = true) });
    await simulation.clock.advance(5);
    expect(closed).toBe(true);
  });
});

describe('a peer that breaks the protocol', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('ends its own session with a NOTIFICATION and nothing else (seed %i)', async (seed) => {
    const simulation = createSimulation(3);
    const one = await simulation.start(1);
    const two = await simulation.start(2);
    await simulation.clock.advance(1_000);
    const rogue = simulation.network.host(addressOf(3));
    const random = seededRandom(seed);
    for (let attempt = 0; attempt < 20; attempt++) {
      const connecting = rogue.connect({ address: addressOf(1), port: 179 });
      await simulation.clock.advance(5);
      const received: number[] = [];
      let closed = false;
      const connection = await connecting;
      connection.attach({ data: (bytes) => received.push(...bytes), closed: () => (closed = true) });
      const header = Uint8Array.from([...new Uint8Array(16).fill(0xff), 0, 29 + attempt, 1]);
      connection.write(Uint8Array.from([...header, ...Array.from({ length: 60 }, () => Math.floor(random() * 256))]));
      await simulation.clock.advance(20);
      expect(closed).toBe(true);
      // OPEN, then NOTIFICATION: the type is the 19th octet of a message.
      const first = (received[16]! << 8) | received[17]!;
      expect([received[18], received[first + 18]]).toEqual([1, 3]);
    }
    expect(one.speaker.report().find(({ address }) => address === two.address)).toMatchObject({ state: 'Established', uptime: 1 });
    expect(one.routes()).toEqual(routesTo(2));
  });
});

describe('graceful restart', () => {
  it('keeps the routes of a killed peer for its restart time and no longer', async () => {
    const simulation = createSimulation(2);
    const [one, two] = await startAll(simulation, 2);
    await simulation.clock.advance(1_000);
    two!.host.kill();
    two!.speaker.stop();
    await simulation.clock.advance(14_900);
    expect(one!.routes()).toEqual(routesTo(2));
    expect(one!.speaker.report()[0]).toMatchObject({ stale: 2 });
    await simulation.clock.advance(200);
    expect(one!.routes()).toEqual({});
  });

  it('never takes the routes away when the peer is back in time, and removes at End-of-RIB what it no longer announces', async () => {
    const simulation = createSimulation(2);
    const [one, two] = await startAll(simulation, 2);
    await simulation.clock.advance(2_000);
    two!.host.kill();
    two!.speaker.stop();
    await simulation.clock.advance(3_000);
    const again = await simulation.start(2, { restarting: true });
    again.speaker.setAdvertisements(
      [...again.speaker.selections.values()].map(({ best }) => ({ prefix: best.prefix, nextHop: best.nextHop })).slice(0, 1),
    );
    for (let time = 0; time < 200; time += 5) {
      expect(one!.routes()).toMatchObject({ '10.244.2.0/24': addressOf(2) });
      await simulation.clock.advance(5);
    }
    await simulation.clock.advance(2_000);
    expect(one!.speaker.report()[0]).toMatchObject({ state: 'Established', stale: 0 });
    expect(again.speaker.deferring).toBe(false);
  });

  it('tells the restarted daemon to wait until all peers have told their routes', async () => {
    const simulation = createSimulation(3);
    const nodes = await startAll(simulation, 3);
    await simulation.clock.advance(2_000);
    nodes[2]!.host.kill();
    nodes[2]!.speaker.stop();
    nodes[1]!.host.powerOff();
    nodes[1]!.speaker.stop();
    const again = await simulation.start(3, { restarting: true });
    await simulation.clock.advance(5_000);
    expect(again.routes()).toEqual(routesTo(1));
    expect(again.speaker.deferring).toBe(true);
    await simulation.clock.advance(10_100);
    expect(again.speaker.deferring).toBe(false);
  });

  it('does not wait for one another when all have restarted', async () => {
    const simulation = createSimulation(3);
    const nodes = await Promise.all([1, 2, 3].map((index) => simulation.start(index, { restarting: true })));
    await simulation.clock.advance(1_000);
    expect(nodes.map(({ speaker }) => speaker.deferring)).toEqual([false, false, false]);
  });

  it('withdraws at once when a peer says that it shuts down', async () => {
    const simulation = createSimulation(2);
    const [one, two] = await startAll(simulation, 2);
    await simulation.clock.advance(1_000);
    two!.speaker.stop('maintenance');
    await simulation.clock.advance(5);
    expect(one!.routes()).toEqual({});
    expect(one!.speaker.report()[0]!.lastError).toContain('Cease / Administrative Shutdown (6/2): maintenance');
  });
});
