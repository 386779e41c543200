import type { Address, Family, Prefix } from '../../net/index.ts';
import { createRib, type Path, type PathSource, localPeer, type RibChange, type Selection } from '../rib/index.ts';
import { notification, type SessionConfig } from '../session/index.ts';
import { ceaseErrors, errorCodes, shutdownMessage } from '../wire/index.ts';
import { allHeard } from './deferral.ts';
import { createPeer, type Peer } from './peer.ts';
import type { SpeakerConnection, SpeakerPorts } from './ports.ts';
import type { Advertisement, PeerConfig, PeerReport, SpeakerListener, SpeakerOptions } from './types.ts';

/** A BGP speaker: its peers, its RIB, and what passes between them. Takes sockets and time as parameters and writes nothing but to its peers. */
export interface Speaker {
  /** Starts sessions with new peers, and ends those with peers that are no longer listed: their routes go. */
  setPeers(peers: readonly PeerConfig[]): void;
  /** Replaces our own routes. */
  setAdvertisements(advertisements: readonly Advertisement[]): void;
  /** Takes a connection that came in; false when it is of no peer, and then it is closed. */
  accept(connection: SpeakerConnection): boolean;
  /** Changes of the loc-RIB up to this generation are in the kernel: peers may hear of them (RFC 4271 section 3.2). */
  release(generation: number): void;
  /** Counts changes of the loc-RIB. */
  readonly generation: number;
  readonly selections: ReadonlyMap<string, Selection>;
  isStale(path: Path): boolean;
  /** True after a restart until the peers have told all they know: routes found in the kernel stay. */
  readonly deferring: boolean;
  /** While deferring, the prefixes that were heard of since the start; undefined afterwards. */
  readonly known: ReadonlySet<string> | undefined;
  report(): PeerReport[];
  /** Ends all sessions: with `reason` by Cease / Administrative Shutdown, else without a word, so that peers keep our routes for the restart time. */
  stop(reason?: string): void;
}

/** Retry and timeout values in milliseconds: short, as a node that comes up wants its routes now, and the network is ours. */
const connectRetry = { base: 100, cap: 3_000 };
const idleHold = { base: 100, cap: 10_000 };
const connectTimeout = 1_000;

export function createSpeaker(options: SpeakerOptions, ports: SpeakerPorts, listener: SpeakerListener): Speaker {
  const rib = createRib();
  const peers = new Map<string, Peer>();
  /** Changed prefixes that wait for the kernel, with the generation they changed in. */
  const held = new Map<string, { prefix: Prefix; generation: number }>();
  const known = new Set<string>();
  let generation = 0;
  let scheduled = false;
  let stopped = false;
  let deferring = options.restarting;
  let peersKnown = false;
  const cancelDeferral = deferring ? ports.clock.setTimer(options.deferralTime * 1000, endDeferral) : () => undefined;

  const nextHopOf = (family: Family): Address | undefined => options.addresses.find((address) => address.family === family);
  const families = ([4, 6] as const).filter((family) => nextHopOf(family) !== undefined);
  const local: PathSource = { kind: 'local', peer: localPeer, address: options.routerId, routerId: options.routerId, asn: options.asn };

  const sessionConfig = (config: PeerConfig, wasUp: boolean): SessionConfig => ({
    localAsn: options.asn,
    peerAsn: config.asn,
    routerId: options.routerId,
    holdTime: options.holdTime,
    openHoldTime: Math.min(240, Math.max(20, options.holdTime * 3)),
    connectRetry,
    idleHold,
    connectTimeout,
    families,
    gracefulRestart: { restartTime: options.restartTime, restarting: deferring, forwarding: options.restarting || wasUp },
  });

  /** Collects changes of one turn of the event loop, then decides once. */
  function schedule(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (!stopped) decide();
    });
  }

  function decide(): void {
    const changes = rib.select();
    if (changes.length > 0) {
      generation++;
      for (const change of changes) {
        if (deferring) known.add(change.prefix.text);
        if (isOurs(change)) for (const peer of peers.values()) peer.mark(change.prefix);
        else held.set(change.prefix.text, { prefix: change.prefix, generation });
      }
      listener.routesChanged(generation);
    }
    checkDeferral();
    for (const peer of peers.values()) peer.flush();
  }

  /** Our own routes need nothing of the kernel. */
  const isOurs = ({ before, after }: RibChange): boolean =>
    [before, after].every((selection) => !selection || selection.best.source.kind === 'local');

  function checkDeferral(): void {
    if (deferring && peersKnown && allHeard(peers.values())) endDeferral();
  }

  function endDeferral(): void {
    if (!deferring || stopped) return;
    cancelDeferral();
    deferring = false;
    known.clear();
    listener.deferralEnded();
    schedule();
  }

  function addPeer(key: string, config: PeerConfig): void {
    const peer = createPeer(config, {
      ...ports,
      rib,
      options,
      nextHopOf,
      sessionConfig: (wasUp) => sessionConfig(config, wasUp),
      changed: schedule,
      mayClose: () => !deferring,
      isHeld: (prefix) => held.has(prefix.text),
    });
    peers.set(key, peer);
    peer.link.start();
  }

  function removePeer(key: string, subcode: number): void {
    peers.get(key)?.remove(notification(errorCodes.cease, subcode));
    peers.delete(key);
    schedule();
  }

  return {
    setPeers(wanted) {
      peersKnown = true;
      const configs = new Map(wanted.map((config) => [config.address.text, config]));
      for (const [key, peer] of [...peers]) {
        const config = configs.get(key);
        if (!config) removePeer(key, ceaseErrors.peerDeconfigured);
        else if (fingerprint(config) !== fingerprint(peer.config)) removePeer(key, ceaseErrors.otherConfigurationChange);
      }
      for (const [key, config] of configs) if (!peers.has(key)) addPeer(key, config);
      schedule();
    },
    setAdvertisements(advertisements) {
      rib.setLocal(
        advertisements.map(({ prefix, nextHop }) => ({ prefix, nextHop, source: local, attributes: { origin: 'igp', asPath: [] } })),
      );
      schedule();
    },
    accept(connection) {
      const peer = peers.get(connection.remote.address);
      if (peer && !stopped) peer.link.accept(connection);
      else connection.destroy();
      return peer !== undefined;
    },
    release(upTo) {
      for (const [key, change] of held) {
        if (change.generation > upTo) continue;
        held.delete(key);
        for (const peer of peers.values()) peer.mark(change.prefix);
      }
      for (const peer of peers.values()) peer.flush();
    },
    get generation() {
      return generation;
    },
    selections: rib.selections,
    isStale: (path) => rib.isStale(path),
    get deferring() {
      return deferring;
    },
    get known() {
      return deferring ? known : undefined;
    },
    report: () => [...peers.values()].map((peer) => peer.report()),
    stop(reason) {
      stopped = true;
      cancelDeferral();
      const message =
        reason === undefined ? undefined : notification(errorCodes.cease, ceaseErrors.administrativeShutdown, shutdownMessage(reason));
      for (const peer of peers.values()) peer.close(message);
    },
  };
}

const fingerprint = ({ address, localAddress, ...rest }: PeerConfig): string =>
  JSON.stringify({ ...rest, address: address.text, local: localAddress.text });
