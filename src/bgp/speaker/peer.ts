import type { Address, Family, Prefix } from '../../net/index.ts';
import {
  createAdjRibOut,
  type ExportContext,
  exportPath,
  importPath,
  type ImportContext,
  type PathSource,
  type Rib,
} from '../rib/index.ts';
import type { DownCause, NegotiatedSession, SessionConfig } from '../session/index.ts';
import {
  endOfRib,
  endOfRibFamily,
  familyOfAfi,
  type NotificationMessage,
  packUpdates,
  safiUnicast,
  type UpdateMessage,
} from '../wire/index.ts';
import type { AwaitedPeer } from './deferral.ts';
import { createPeerLink, type PeerLink } from './peer-link.ts';
import type { SpeakerPorts } from './ports.ts';
import type { PeerConfig, PeerReport, SpeakerOptions } from './types.ts';

/** What a peer needs of its speaker. */
export interface PeerSurroundings extends SpeakerPorts {
  readonly rib: Rib;
  readonly options: SpeakerOptions;
  nextHopOf(family: Family): Address | undefined;
  sessionConfig(wasUp: boolean): SessionConfig;
  /** The RIB or the state of the session changed. */
  changed(): void;
  /** End-of-RIB may be sent. */
  mayClose(): boolean;
  /** The prefix waits for the kernel. */
  isHeld(prefix: Prefix): boolean;
}

/** One peer: the routes in and out of its session, and what becomes of them when the session ends. */
export interface Peer extends AwaitedPeer {
  readonly config: PeerConfig;
  readonly link: PeerLink;
  /** The best path to the prefix changed. */
  mark(prefix: Prefix): void;
  /** Sends what is marked, as far as the connection takes it. */
  flush(): void;
  report(): PeerReport;
  /** Ends the session; with a NOTIFICATION the peer drops our routes. */
  close(message?: NotificationMessage): void;
  /** Ends the session and forgets the peer's routes. */
  remove(message: NotificationMessage): void;
}

/** So many prefixes are worked out before the connection is asked whether it takes more. */
const batch = 1_000;

export function createPeer(config: PeerConfig, around: PeerSurroundings): Peer {
  const { rib, options, clock, log } = around;
  const key = config.address.text;
  const internal = config.asn === options.asn;
  const fields = { peer: config.name, address: key };
  const importContext: ImportContext = {
    localAsn: options.asn,
    routerId: options.routerId,
    ownAddresses: new Set(options.addresses.map(({ text }) => text)),
    importPolicy: config.importPolicy,
  };
  const out = createAdjRibOut();
  const heard = new Set<Family>();
  let session: NegotiatedSession | undefined;
  let source: PathSource | undefined;
  let exportContext: ExportContext | undefined;
  let since = 0;
  let wasUp = false;
  let closed = false;
  let writable = true;
  let lastError: string | undefined;
  let cancelStale: () => void = () => undefined;

  const link = createPeerLink(
    { address: key, port: config.port, localAddress: config.localAddress.text },
    () => around.sessionConfig(wasUp),
    around,
    {
      established,
      down,
      update,
      refresh({ afi, safi }) {
        const family = safi === safiUnicast ? familyOfAfi(afi) : undefined;
        if (family === undefined || !session?.families.includes(family)) return;
        for (const { best } of rib.selections.values())
          if (best.prefix.family === family && !around.isHeld(best.prefix)) out.mark(best.prefix);
        out.forget([...rib.selections.values()].map(({ best }) => best.prefix).filter((prefix) => prefix.family === family));
        flush();
      },
      drained() {
        writable = true;
        flush();
      },
      error(reason) {
        // Of two connections one always loses; that is not worth an operator's attention.
        if (/collision/i.test(reason)) return;
        if (reason !== lastError) log.debug({ ...fields, reason }, 'BGP session error');
        lastError = reason;
      },
    },
  );

  function established(negotiated: NegotiatedSession): void {
    session = negotiated;
    source = {
      kind: negotiated.internal ? 'internal' : 'external',
      peer: key,
      address: config.address,
      routerId: negotiated.peerRouterId,
      asn: negotiated.peerAsn,
    };
    exportContext = {
      localAsn: options.asn,
      internal,
      peer: key,
      peerAddress: config.address,
      families: negotiated.families,
      exportPolicy: config.exportPolicy,
      ownNextHop: around.nextHopOf,
      nextHopSelf: config.nextHopSelf,
    };
    since = clock.monotonic();
    wasUp = true;
    closed = false;
    writable = true;
    heard.clear();
    keepStaleOnlyWhere(negotiated);
    out.clear();
    for (const { best } of rib.selections.values()) if (!around.isHeld(best.prefix)) out.mark(best.prefix);
    log.info({ ...fields, families: negotiated.families, holdTime: negotiated.holdTime }, 'BGP session established');
    around.changed();
  }

  /** RFC 4724 section 4.2: what the peer did not preserve goes now, the rest at its End-of-RIB, or when that does not come. */
  function keepStaleOnlyWhere({ gracefulRestart }: NegotiatedSession): void {
    cancelStale();
    if (rib.staleCount(key) === 0) return;
    for (const family of [4, 6] as const) {
      const preserved = gracefulRestart?.families.some(
        ({ afi, safi, forwarding }) => forwarding && safi === safiUnicast && familyOfAfi(afi) === family,
      );
      if (!preserved) rib.removeStale(key, family);
    }
    cancelStale = clock.setTimer(options.stalePathTime * 1000, removeStale);
  }

  function removeStale(): void {
    cancelStale();
    rib.removeStale(key);
    around.changed();
  }

  function down(cause: DownCause, negotiated: NegotiatedSession): void {
    session = undefined;
    heard.clear();
    out.clear();
    cancelStale();
    const graceful = negotiated.gracefulRestart;
    const keep = cause === 'connection-lost' && graceful !== undefined && graceful.restartTime > 0 && options.restartTime > 0;
    log.info({ ...fields, cause, reason: lastError, routesKept: keep ? graceful.restartTime : 0 }, 'BGP session down');
    if (!keep) rib.removePeer(key);
    else {
      // Routes that were stale before have missed a whole session (RFC 4724 section 4.2, consecutive restarts).
      rib.removeStale(key);
      rib.markStale(key);
      for (const family of [4, 6] as const) {
        if (!graceful.families.some(({ afi, safi }) => safi === safiUnicast && familyOfAfi(afi) === family)) rib.removeStale(key, family);
      }
      cancelStale = clock.setTimer(graceful.restartTime * 1000, removeStale);
    }
    around.changed();
  }

  function update(message: UpdateMessage): void {
    if (!session || !source) return;
    for (const finding of message.findings) log.warn({ ...fields, ...finding }, 'malformed UPDATE');
    const { families } = session;
    const ended = endOfRibFamily(message);
    if (ended !== undefined) {
      heard.add(ended);
      rib.removeStale(key, ended);
      return around.changed();
    }
    const withdrawals = [...message.withdrawn, ...(message.mpUnreach?.prefixes ?? [])];
    for (const prefix of withdrawals) if (families.includes(prefix.family)) rib.withdraw(key, prefix);
    if (message.attributes) {
      const { nextHop, ...attributes } = message.attributes;
      const announce = (prefixes: readonly Prefix[], hop: Address | undefined): void => {
        for (const prefix of prefixes) {
          if (hop && source && families.includes(prefix.family)) rib.announce(importPath(prefix, hop, attributes, source, importContext));
        }
      };
      announce(message.nlri, nextHop);
      if (message.mpReach) announce(message.mpReach.prefixes, message.mpReach.nextHop);
    }
    around.changed();
  }

  function flush(): void {
    if (!session || !exportContext) return;
    const context = exportContext;
    while (writable && out.pending > 0) {
      const { withdrawals, announcements } = out.take(batch, (prefix) => {
        const selection = rib.selections.get(prefix.text);
        return selection && exportPath(selection.best, context);
      });
      const { updates, tooLong } = packUpdates(withdrawals, announcements, session);
      for (const { prefixes } of tooLong) {
        out.forget(prefixes);
        log.warn({ ...fields, prefixes: prefixes.map(({ text }) => text) }, 'attributes too long for an UPDATE; not advertised');
      }
      for (const message of updates) writable = link.send(message);
    }
    if (closed || out.pending > 0 || !around.mayClose()) return;
    closed = true;
    if (session.gracefulRestart) for (const family of session.families) writable = link.send(endOfRib(family));
  }

  return {
    config,
    link,
    get session() {
      return session;
    },
    endOfRib: heard,
    mark: (prefix) => session && out.mark(prefix),
    flush,
    report(): PeerReport {
      const received = [...rib.received(key).values()];
      return {
        name: config.name,
        address: key,
        asn: config.asn,
        state: link.state,
        ...(session
          ? { uptime: Math.floor((clock.monotonic() - since) / 1000), routerId: session.peerRouterId.text, holdTime: session.holdTime }
          : {}),
        families: session?.families ?? [],
        received: received.length,
        accepted: received.filter(({ ineligible }) => ineligible === undefined).length,
        stale: rib.staleCount(key),
        advertised: out.advertised.size,
        policy: { import: config.importPolicy, export: config.exportPolicy },
        messages: { received: { ...link.received }, sent: { ...link.sent } },
        ...(lastError === undefined ? {} : { lastError }),
      };
    },
    close: (message) => link.stop(message),
    remove(message) {
      link.stop(message);
      cancelStale();
      rib.removePeer(key);
    },
  };
}
