import type { OpenMessage } from '../wire/types.ts';
import { step } from './step.ts';
import { idleState, type SessionAction, type SessionConfig, type SessionEvent, type SessionState, type SessionStateName } from './types.ts';

/** Which side opened the connection: we (`outgoing`) or the peer (`incoming`). */
export type Direction = 'outgoing' | 'incoming';

/** All connections with one peer: ours, and for as long as it lives the one that the peer opened. */
export interface PeerState {
  readonly outgoing: SessionState;
  readonly incoming?: SessionState;
  /** Milliseconds on the monotonic clock, while a session is established. */
  readonly establishedAt?: number;
}

export type PeerEvent =
  | { readonly direction: Direction; readonly event: SessionEvent }
  /** The peer opened a connection that no state machine has yet. */
  | { readonly type: 'accepted' };

export type PeerAction =
  | (SessionAction & { readonly direction: Direction })
  | { readonly type: 'adopt' }
  | { readonly type: 'refuse'; readonly reason: string };

export const initialPeer: PeerState = { outgoing: idleState };

/**
 * A new connection of the peer's within this time of the session's start is the other half of a collision; a later one means that the peer has lost
 * the session without our noticing (RFC 4724 section 5).
 */
const collisionWindow = 1_000;

/** Steps the state machines of a peer and resolves connection collisions (RFC 4271 section 6.8). Pure; `now` is monotonic milliseconds. */
export function stepPeer(
  peer: PeerState,
  event: PeerEvent,
  config: SessionConfig,
  now: number,
): readonly [PeerState, readonly PeerAction[]] {
  const run = createRun(peer, config, now);
  if ('type' in event) accept(run);
  else if (event.event.type === 'BgpOpen') open(run, event.direction, event.event.open);
  else run.feed(event.direction, event.event);
  return run.result();
}

interface Run {
  state(direction: Direction): SessionState | undefined;
  feed(direction: Direction, event: SessionEvent): void;
  emit(action: PeerAction): void;
  begin(): void;
  establishedFor(): number | undefined;
  readonly config: SessionConfig;
  result(): readonly [PeerState, readonly PeerAction[]];
}

function createRun(peer: PeerState, config: SessionConfig, now: number): Run {
  const actions: PeerAction[] = [];
  let { outgoing, incoming, establishedAt } = peer;
  function feed(direction: Direction, event: SessionEvent): void {
    const before = direction === 'outgoing' ? outgoing : incoming;
    if (!before) return;
    const [after, made] = step(before, event, config);
    if (direction === 'outgoing') outgoing = after;
    else incoming = after;
    for (const action of made) {
      if (action.type === 'established') establishedAt = now;
      if (action.type === 'down') establishedAt = undefined;
      // A state machine of the peer's connection ends with it: what it would wait for, ours waits for.
      const waits = action.type === 'start' && (action.timer === 'IdleHold' || action.timer === 'ConnectRetry');
      if (direction === 'incoming' && waits) {
        if (outgoing.name === 'Idle') {
          outgoing = { ...outgoing, connectRetryCounter: after.connectRetryCounter };
          actions.push({ ...action, timer: 'IdleHold', direction: 'outgoing' });
        }
      } else actions.push({ ...action, direction });
      if (action.type === 'established' && direction === 'incoming')
        feed(
          'outgoing',
          outgoing.name === 'OpenSent' || outgoing.name === 'OpenConfirm' ? { type: 'OpenCollisionDump' } : { type: 'ManualStop' },
        );
      else if (action.type === 'established' && incoming) feed('incoming', { type: 'OpenCollisionDump' });
    }
    if (incoming?.name === 'Idle' || incoming?.name === 'Active') incoming = undefined;
    // While the peer's connection carries the session, ours stays quiet.
    if (incoming?.name === 'Established') actions.push({ type: 'stop', timer: 'IdleHold', direction: 'outgoing' });
  }
  return {
    config,
    state: (direction) => (direction === 'outgoing' ? outgoing : incoming),
    feed,
    emit: (action) => void actions.push(action),
    begin() {
      incoming = { name: 'Idle', connectRetryCounter: outgoing.connectRetryCounter };
      actions.push({ type: 'adopt' });
      feed('incoming', { type: 'TcpConnectionConfirmed' });
    },
    establishedFor: () => (establishedAt === undefined ? undefined : now - establishedAt),
    result: () => [{ outgoing, ...(incoming ? { incoming } : {}), ...(establishedAt === undefined ? {} : { establishedAt }) }, actions],
  };
}

function accept(run: Run): void {
  const since = run.establishedFor();
  if (since !== undefined) {
    const current: Direction = run.state('incoming')?.name === 'Established' ? 'incoming' : 'outgoing';
    const graceful = run.state(current)?.negotiated?.gracefulRestart !== undefined;
    if (graceful && since >= collisionWindow) run.feed(current, { type: 'TcpConnectionFails', reason: 'the peer opened a new connection' });
    else if (current === 'incoming') return run.emit({ type: 'refuse', reason: 'a session with this peer is established' });
  } else if (run.state('incoming')) {
    // One peer opens one connection at a time: it has given the older one up.
    run.feed('incoming', { type: 'TcpConnectionFails', reason: 'the peer opened a new connection' });
  }
  run.begin();
}

/** With the OPEN both identifiers are known: of two connections, the one that the higher identifier opened survives. */
function open(run: Run, direction: Direction, message: OpenMessage): void {
  const other: Direction = direction === 'outgoing' ? 'incoming' : 'outgoing';
  const rival = run.state(other)?.name;
  if (rival === 'Established') return run.feed(direction, { type: 'OpenCollisionDump' });
  if (rival === 'OpenConfirm') {
    const ours =
      run.config.routerId.value > message.routerId.value ||
      (run.config.routerId.value === message.routerId.value && run.config.localAsn > run.config.peerAsn);
    const survivor: Direction = ours ? 'outgoing' : 'incoming';
    run.feed(direction === survivor ? other : direction, { type: 'OpenCollisionDump' });
  }
  run.feed(direction, { type: 'BgpOpen', open: message });
}

const order: readonly SessionStateName[] = ['Idle', 'Active', 'Connect', 'OpenSent', 'OpenConfirm', 'Established'];

/** The state to show for the peer: that of the connection which is furthest. */
export const peerStateName = ({ outgoing, incoming }: PeerState): SessionStateName =>
  incoming && order.indexOf(incoming.name) > order.indexOf(outgoing.name) ? incoming.name : outgoing.name;
