import { parseAddress, parsePrefix } from '../../src/net/index.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { createSpeaker, type Speaker } from '../../src/bgp/speaker/speaker.ts';
import type { PeerConfig, SpeakerOptions } from '../../src/bgp/speaker/types.ts';
import { createSimulatedNetwork, type SimulatedHost, type SimulatedNetwork } from '../../src/transport/simulated-tcp.ts';

/** Numbers in [0, 1) that are the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface SimulatedNode {
  readonly address: string;
  readonly speaker: Speaker;
  readonly host: SimulatedHost;
  /** As the kernel table would be: prefix -> next hop of what was learned. */
  routes(): Record<string, string>;
  states(): string[];
}

export interface Simulation {
  readonly clock: FakeClock;
  readonly network: SimulatedNetwork;
  start(index: number, options?: Partial<SpeakerOptions>, peers?: readonly PeerConfig[]): Promise<SimulatedNode>;
}

export const addressOf = (index: number): string => `192.168.88.${index}`;

export const peerConfig = (index: number, self: number, more: Partial<PeerConfig> = {}): PeerConfig => ({
  address: parseAddress(addressOf(index)),
  localAddress: parseAddress(addressOf(self)),
  asn: 64_512,
  port: 179,
  name: `node-${index}`,
  importPolicy: 'all',
  exportPolicy: 'all',
  nextHopSelf: false,
  ...more,
});

/** Speakers on a simulated network: node `i` is 192.168.88.i and fd00:88::i, and advertises 10.244.i.0/24 and fd00:10:244:i::/64. */
export function createSimulation(size: number, seed = 1): Simulation {
  const clock = createFakeClock();
  const network = createSimulatedNetwork(clock, { latency: 1 });
  const random = seededRandom(seed);
  return {
    clock,
    network,
    async start(index, options = {}, peers) {
      const address = addressOf(index);
      const host = network.host(address, `fd00:88::${index}`);
      const speaker: Speaker = createSpeaker(
        {
          asn: 64_512,
          routerId: parseAddress(address),
          addresses: [parseAddress(address), parseAddress(`fd00:88::${index}`)],
          holdTime: 9,
          restartTime: 15,
          deferralTime: 15,
          stalePathTime: 30,
          restarting: false,
          ...options,
        },
        { connect: host.connect, clock, random, log: silentLogger() },
        { routesChanged: (generation) => queueMicrotask(() => speaker.release(generation)), deferralEnded: () => undefined },
      );
      await host.listen({ address, port: 179 }, (connection) => speaker.accept(connection));
      speaker.setAdvertisements([
        { prefix: parsePrefix(`10.244.${index}.0/24`), nextHop: parseAddress(address) },
        { prefix: parsePrefix(`fd00:10:244:${index}::/64`), nextHop: parseAddress(`fd00:88::${index}`) },
      ]);
      speaker.setPeers(
        peers ??
          Array.from({ length: size }, (_, at) => at + 1)
            .filter((at) => at !== index)
            .map((at) => peerConfig(at, index)),
      );
      return {
        address,
        host,
        speaker,
        routes: () =>
          Object.fromEntries(
            [...speaker.selections.values()]
              .filter(({ best }) => best.source.kind !== 'local')
              .map(({ best }) => [best.prefix.text, best.nextHop.text] as const)
              .sort(([a], [b]) => (a < b ? -1 : 1)),
          ),
        states: () => speaker.report().map(({ state }) => state),
      };
    },
  };
}
