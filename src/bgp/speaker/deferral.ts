import type { Family } from '../../net/index.ts';
import type { NegotiatedSession } from '../session/index.ts';

/** As much of a peer as decides whether a restarting speaker still waits for it. */
export interface AwaitedPeer {
  /** Undefined while no session is established. */
  readonly session: NegotiatedSession | undefined;
  readonly endOfRib: ReadonlySet<Family>;
}

/**
 * Whether a restarting speaker has heard all that it waits for (RFC 4724 section 4.1): End-of-RIB of every peer, save those that cannot send it and
 * those that have restarted themselves.
 */
export const allHeard = (peers: Iterable<AwaitedPeer>): boolean =>
  [...peers].every(({ session, endOfRib }) => {
    if (!session) return false;
    if (!session.gracefulRestart || session.gracefulRestart.restarting) return true;
    return session.families.every((family) => endOfRib.has(family));
  });
