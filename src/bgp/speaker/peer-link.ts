import {
  type Direction,
  initialPeer,
  type NegotiatedSession,
  notification,
  type PeerAction,
  type PeerEvent,
  type PeerState,
  peerStateName,
  type SessionConfig,
  type SessionEvent,
  type SessionStateName,
  type SessionTimer,
  stepPeer,
  type DownCause,
} from '../session/index.ts';
import {
  BgpMessageError,
  type BgpMessage,
  ceaseErrors,
  createFramer,
  decodeMessage,
  encodeMessage,
  errorCodes,
  type Framer,
  type NotificationMessage,
  type RouteRefreshMessage,
  type UpdateMessage,
} from '../wire/index.ts';
import type { SpeakerConnection, SpeakerPorts } from './ports.ts';

export interface PeerLinkHandlers {
  established(negotiated: NegotiatedSession): void;
  down(cause: DownCause, negotiated: NegotiatedSession): void;
  update(update: UpdateMessage): void;
  refresh(refresh: RouteRefreshMessage): void;
  /** More can be sent. */
  drained(): void;
  error(reason: string): void;
}

export type MessageCounters = Record<BgpMessage['type'], number>;

/** The connections and timers of one peer: feeds its state machines and does what they say. Decides nothing itself. */
export interface PeerLink {
  start(): void;
  /** Ends all connections, with the NOTIFICATION where a session is open; without one the peer may keep our routes (RFC 4724). */
  stop(message?: NotificationMessage): void;
  /** Takes a connection that the peer opened. */
  accept(connection: SpeakerConnection): void;
  /** Sends on the established session. False when no more should follow until `drained`. */
  send(message: BgpMessage): boolean;
  readonly state: SessionStateName;
  readonly received: Readonly<MessageCounters>;
  readonly sent: Readonly<MessageCounters>;
}

interface Slot {
  connection: SpeakerConnection | undefined;
  attempt: AbortController | undefined;
  framer: Framer;
  readonly timers: Map<SessionTimer, () => void>;
}

const newSlot = (): Slot => ({ connection: undefined, attempt: undefined, framer: createFramer(), timers: new Map() });
const newCounters = (): MessageCounters => ({ open: 0, update: 0, notification: 0, keepalive: 0, 'route-refresh': 0 });
/** How long a connection may take to close after our last message, in milliseconds. */
const lingerTime = 1_000;

export function createPeerLink(
  target: { readonly address: string; readonly port: number; readonly localAddress?: string },
  config: () => SessionConfig,
  ports: SpeakerPorts,
  handlers: PeerLinkHandlers,
): PeerLink {
  let peer: PeerState = initialPeer;
  let started = false;
  let offered: SpeakerConnection | undefined;
  const slots: Record<Direction, Slot> = { outgoing: newSlot(), incoming: newSlot() };
  const received = newCounters();
  const sent = newCounters();

  function dispatch(event: PeerEvent): void {
    const [next, actions] = stepPeer(peer, event, config(), ports.clock.monotonic());
    peer = next;
    for (const action of actions) perform(action);
  }

  function perform(action: PeerAction): void {
    if (action.type === 'adopt') return adopt();
    if (action.type === 'refuse') return refuse(action.reason);
    const { direction } = action;
    const slot = slots[direction];
    switch (action.type) {
      case 'connect':
        return connect(slot, direction);
      case 'drop':
        return drop(slot);
      case 'send':
        return void write(direction, action.message);
      case 'start': {
        slot.timers.get(action.timer)?.();
        const delay = action.timer === 'Hold' ? action.delay : action.delay * (0.75 + ports.random() / 4);
        slot.timers.set(
          action.timer,
          ports.clock.setTimer(delay, () => dispatch({ direction, event: { type: `${action.timer}TimerExpires` } })),
        );
        return;
      }
      case 'stop':
        slot.timers.get(action.timer)?.();
        slot.timers.delete(action.timer);
        return;
      case 'established':
        return handlers.established(action.negotiated);
      case 'down':
        return handlers.down(action.cause, action.negotiated);
      case 'error':
        return handlers.error(action.reason);
      case 'update':
        return handlers.update(action.update);
      case 'refresh':
        return handlers.refresh(action.refresh);
    }
  }

  function write(direction: Direction, message: BgpMessage): boolean {
    const { connection } = slots[direction];
    if (!connection) return false;
    sent[message.type]++;
    return connection.write(encodeMessage(message, { fourOctetAsn: negotiatedOf(peer, direction)?.fourOctetAsn ?? true }));
  }

  function connect(slot: Slot, direction: Direction): void {
    const attempt = new AbortController();
    slot.attempt = attempt;
    ports.connect(target, attempt.signal).then(
      (connection) => {
        if (slot.attempt !== attempt) return connection.destroy();
        slot.attempt = undefined;
        attach(slot, direction, connection);
        dispatch({ direction, event: { type: 'TcpCrAcked' } });
      },
      (error: Error) => {
        if (slot.attempt !== attempt) return;
        slot.attempt = undefined;
        dispatch({ direction, event: { type: 'TcpConnectionFails', reason: error.message } });
      },
    );
  }

  function attach(slot: Slot, direction: Direction, connection: SpeakerConnection): void {
    slot.connection = connection;
    slot.framer = createFramer();
    connection.attach({
      data: (bytes) => receive(slot, direction, connection, bytes),
      drained: () => slot.connection === connection && handlers.drained(),
      closed(error) {
        if (slot.connection !== connection) return;
        slot.connection = undefined;
        dispatch({ direction, event: { type: 'TcpConnectionFails', reason: error?.message ?? 'the peer closed the connection' } });
      },
    });
  }

  function receive(slot: Slot, direction: Direction, connection: SpeakerConnection, bytes: Uint8Array): void {
    if (slot.connection !== connection) return;
    try {
      for (const message of slot.framer.push(bytes)) {
        const negotiated = negotiatedOf(peer, direction);
        const decoded = decodeMessage(message, { fourOctetAsn: negotiated?.fourOctetAsn ?? true, internal: negotiated?.internal ?? false });
        received[decoded.type]++;
        dispatch({ direction, event: eventOf(decoded) });
        if (slot.connection !== connection) return;
      }
    } catch (error) {
      if (!(error instanceof BgpMessageError)) throw error;
      dispatch({ direction, event: { type: 'MessageError', error } });
    }
  }

  function drop(slot: Slot): void {
    const attempt = slot.attempt;
    slot.attempt = undefined;
    attempt?.abort();
    const { connection } = slot;
    slot.connection = undefined;
    if (!connection) return;
    connection.end();
    ports.clock.setTimer(lingerTime, () => connection.destroy());
  }

  function adopt(): void {
    if (!offered) return;
    for (const cancel of slots.incoming.timers.values()) cancel();
    slots.incoming.timers.clear();
    attach(slots.incoming, 'incoming', offered);
    offered = undefined;
  }

  function refuse(reason: string): void {
    ports.log.debug({ peer: target.address, reason }, 'refused a connection');
    offered?.write(encodeMessage(notification(errorCodes.cease, ceaseErrors.connectionRejected)));
    offered?.end();
    offered = undefined;
  }

  return {
    start() {
      started = true;
      dispatch({ direction: 'outgoing', event: { type: 'ManualStart' } });
    },
    stop(message) {
      started = false;
      const event: SessionEvent = { type: 'ManualStop', ...(message ? { notification: message } : {}) };
      dispatch({ direction: 'incoming', event });
      dispatch({ direction: 'outgoing', event });
    },
    accept(connection) {
      if (!started) return connection.destroy();
      offered = connection;
      dispatch({ type: 'accepted' });
    },
    send(message) {
      const direction: Direction = peer.incoming?.name === 'Established' ? 'incoming' : 'outgoing';
      return write(direction, message);
    },
    get state() {
      return peerStateName(peer);
    },
    received,
    sent,
  };
}

const negotiatedOf = (peer: PeerState, direction: Direction): NegotiatedSession | undefined => peer[direction]?.negotiated;

function eventOf(message: BgpMessage): SessionEvent {
  switch (message.type) {
    case 'open':
      return { type: 'BgpOpen', open: message };
    case 'update':
      return { type: 'UpdateMsg', update: message };
    case 'notification':
      return { type: 'NotifMsg', notification: message };
    case 'keepalive':
      return { type: 'KeepAliveMsg' };
    case 'route-refresh':
      return { type: 'RouteRefreshMsg', refresh: message };
  }
}
