import { ceaseErrors, errorCodes, fsmErrors, messageTypes } from '../wire/constants.ts';
import { BgpMessageError } from '../wire/error.ts';
import { describeNotification } from '../wire/notification.ts';
import type { NotificationMessage, OpenMessage } from '../wire/types.ts';
import { buildOpen, negotiate } from './open.ts';
import type { DownCause, NegotiatedSession, SessionAction, SessionConfig, SessionEvent, SessionState, Step } from './types.ts';

/**
 * The state machine of one connection with a peer, as RFC 4271 section 8.2.2 tells it. Pure: what has to happen comes back as actions, in order.
 * Where it differs from the text: an attempt that fails goes to Active and not to Idle, since a peer that is not up yet is the normal case; errors
 * go to Idle with a growing hold (DampPeerOscillations), out of which the session starts by itself.
 */
export function step(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (state.name) {
    case 'Idle':
      return idle(state, event, config);
    case 'Connect':
      return connect(state, event, config);
    case 'Active':
      return active(state, event, config);
    case 'OpenSent':
      return openSent(state, event, config);
    case 'OpenConfirm':
      return openConfirm(state, event, config);
    case 'Established':
      return established(state, event, config);
  }
}

function idle(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (event.type) {
    case 'ManualStart':
    case 'IdleHoldTimerExpires':
      return startConnecting(state, config);
    case 'ManualStop':
      return [{ ...state, connectRetryCounter: 0 }, [{ type: 'stop', timer: 'IdleHold' }]];
    // A connection of the peer's is taken by a state machine of its own, which begins here.
    case 'TcpConnectionConfirmed':
      return sendOpen(state, config);
    default:
      return [state, []];
  }
}

function connect(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (event.type) {
    case 'ManualStop':
      return stop(state, event.notification, false);
    case 'ConnectRetryTimerExpires':
      return startConnecting({ ...state, connectRetryCounter: state.connectRetryCounter + 1 }, config, [{ type: 'drop' }]);
    case 'TcpCrAcked':
    case 'TcpConnectionConfirmed':
      return sendOpen(state, config);
    case 'TcpConnectionFails':
      return waitForRetry(state, event.reason, config);
    default:
      return ignoreTimersElseIdle(state, event, config);
  }
}

function active(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (event.type) {
    case 'ManualStop':
      return stop(state, event.notification, false);
    case 'ConnectRetryTimerExpires':
      return startConnecting(state, config);
    case 'TcpCrAcked':
    case 'TcpConnectionConfirmed':
      return sendOpen(state, config);
    case 'TcpConnectionFails':
      return waitForRetry(state, event.reason, config);
    default:
      return ignoreTimersElseIdle(state, event, config);
  }
}

function openSent(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (event.type) {
    case 'ManualStop':
      return stop(state, event.notification, true);
    case 'TcpConnectionFails':
      return waitForRetry(state, event.reason, config, [{ type: 'stop', timer: 'Hold' }]);
    case 'BgpOpen':
      return acceptOpen(state, event.open, config);
    case 'KeepAliveMsg':
      return unexpected(state, messageTypes.keepalive, fsmErrors.inOpenSent, config);
    case 'UpdateMsg':
      return unexpected(state, messageTypes.update, fsmErrors.inOpenSent, config);
    case 'RouteRefreshMsg':
      return unexpected(state, messageTypes['route-refresh'], fsmErrors.inOpenSent, config);
    default:
      return commonOpen(state, event, config);
  }
}

function openConfirm(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  const negotiated = state.negotiated!;
  switch (event.type) {
    case 'ManualStop':
      return stop(state, event.notification, true);
    case 'TcpConnectionFails':
      return fail(state, event.reason, undefined, config);
    case 'KeepaliveTimerExpires':
      return [state, [{ type: 'send', message: { type: 'keepalive' } }, ...keepaliveTimer(negotiated)]];
    case 'KeepAliveMsg':
      return [{ ...state, name: 'Established' }, [...holdTimer(negotiated), { type: 'established', negotiated }]];
    case 'BgpOpen':
      return unexpected(state, messageTypes.open, fsmErrors.inOpenConfirm, config);
    case 'UpdateMsg':
      return unexpected(state, messageTypes.update, fsmErrors.inOpenConfirm, config);
    case 'RouteRefreshMsg':
      return unexpected(state, messageTypes['route-refresh'], fsmErrors.inOpenConfirm, config);
    default:
      return commonOpen(state, event, config);
  }
}

function established(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  const negotiated = state.negotiated!;
  switch (event.type) {
    case 'ManualStop':
      return stop(state, event.notification, true);
    case 'TcpConnectionFails':
      return fail({ ...state, connectRetryCounter: 0 }, event.reason, undefined, config, 'connection-lost');
    case 'KeepaliveTimerExpires':
      return [{ ...state, connectRetryCounter: 0 }, [{ type: 'send', message: { type: 'keepalive' } }, ...keepaliveTimer(negotiated)]];
    case 'KeepAliveMsg':
      return [state, holdTimer(negotiated)];
    case 'UpdateMsg':
      return [state, [...holdTimer(negotiated), { type: 'update', update: event.update }]];
    case 'RouteRefreshMsg':
      return [state, [...holdTimer(negotiated), { type: 'refresh', refresh: event.refresh }]];
    case 'BgpOpen':
      return unexpected(state, messageTypes.open, fsmErrors.inEstablished, config);
    default:
      return commonOpen(state, event, config);
  }
}

/** What OpenSent, OpenConfirm and Established do alike. */
function commonOpen(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  switch (event.type) {
    case 'HoldTimerExpires':
      return fail(state, 'hold timer expired', notification(errorCodes.holdTimer, 0), config, 'hold-timer');
    case 'MessageError': {
      const { code, subcode, data, message } = event.error;
      return fail(state, message, notification(code, subcode, data), config, 'notification-sent');
    }
    case 'NotifMsg':
      return fail(state, `the peer sent ${describeNotification(event.notification)}`, undefined, config, 'notification-received');
    case 'OpenCollisionDump':
      return fail(
        state,
        'connection collision',
        notification(errorCodes.cease, ceaseErrors.collisionResolution),
        config,
        'notification-sent',
      );
    default:
      return [state, []];
  }
}

/** In Connect and Active every message is out of place; timers that fired late are not. */
function ignoreTimersElseIdle(state: SessionState, event: SessionEvent, config: SessionConfig): Step {
  if (event.type.endsWith('TimerExpires') || event.type === 'ManualStart') return [state, []];
  return fail(state, `unexpected ${event.type} in ${state.name}`, undefined, config);
}

function startConnecting(state: SessionState, config: SessionConfig, before: readonly SessionAction[] = []): Step {
  const { base, cap } = config.connectRetry;
  const delay = Math.max(config.connectTimeout, backoff(state.connectRetryCounter, base, cap));
  return [
    { name: 'Connect', connectRetryCounter: state.connectRetryCounter },
    [...before, { type: 'stop', timer: 'IdleHold' }, { type: 'start', timer: 'ConnectRetry', delay }, { type: 'connect' }],
  ];
}

function waitForRetry(state: SessionState, reason: string, config: SessionConfig, before: readonly SessionAction[] = []): Step {
  const failures = state.connectRetryCounter + 1;
  const { base, cap } = config.connectRetry;
  return [
    { name: 'Active', connectRetryCounter: failures },
    [...before, { type: 'drop' }, { type: 'error', reason }, { type: 'start', timer: 'ConnectRetry', delay: backoff(failures, base, cap) }],
  ];
}

function sendOpen(state: SessionState, config: SessionConfig): Step {
  return [
    { name: 'OpenSent', connectRetryCounter: state.connectRetryCounter },
    [
      { type: 'stop', timer: 'ConnectRetry' },
      { type: 'send', message: buildOpen(config) },
      { type: 'start', timer: 'Hold', delay: config.openHoldTime * 1000 },
    ],
  ];
}

function acceptOpen(state: SessionState, open: OpenMessage, config: SessionConfig): Step {
  let negotiated: NegotiatedSession;
  try {
    negotiated = negotiate(open, config);
  } catch (error) {
    if (error instanceof BgpMessageError) return commonOpen(state, { type: 'MessageError', error }, config);
    throw error;
  }
  return [
    { name: 'OpenConfirm', connectRetryCounter: state.connectRetryCounter, negotiated },
    [{ type: 'send', message: { type: 'keepalive' } }, ...keepaliveTimer(negotiated), ...holdTimer(negotiated)],
  ];
}

/** RFC 6608: the subcode tells the state, the data the type of the message. */
function unexpected(state: SessionState, messageType: number, subcode: number, config: SessionConfig): Step {
  const error = new BgpMessageError(
    errorCodes.fsm,
    subcode,
    `message type ${messageType} came in state ${state.name}`,
    Uint8Array.of(messageType),
  );
  return commonOpen(state, { type: 'MessageError', error }, config);
}

const allTimers = (['ConnectRetry', 'Hold', 'Keepalive', 'IdleHold'] as const).map((timer): SessionAction => ({ type: 'stop', timer }));

function fail(
  state: SessionState,
  reason: string,
  message: NotificationMessage | undefined,
  config: SessionConfig,
  cause?: DownCause,
): Step {
  const failures = state.connectRetryCounter + 1;
  const { base, cap } = config.idleHold;
  return [
    { name: 'Idle', connectRetryCounter: failures },
    [
      ...(message ? [{ type: 'send', message } as const] : []),
      ...allTimers,
      { type: 'drop' },
      { type: 'error', reason },
      ...down(state, cause ?? 'connection-lost'),
      { type: 'start', timer: 'IdleHold', delay: backoff(failures, base, cap) },
    ],
  ];
}

function stop(state: SessionState, message: NotificationMessage | undefined, open: boolean): Step {
  const sent: SessionAction[] = open && message ? [{ type: 'send', message }] : [];
  return [{ name: 'Idle', connectRetryCounter: 0 }, [...sent, ...allTimers, { type: 'drop' }, ...down(state, 'stopped')]];
}

const down = ({ name, negotiated }: SessionState, cause: DownCause): SessionAction[] =>
  name === 'Established' && negotiated ? [{ type: 'down', cause, negotiated }] : [];

/** A third of the hold time (RFC 4271 section 10). */
const keepaliveTimer = ({ holdTime }: NegotiatedSession): SessionAction[] =>
  holdTime === 0 ? [{ type: 'stop', timer: 'Keepalive' }] : [{ type: 'start', timer: 'Keepalive', delay: (holdTime * 1000) / 3 }];

const holdTimer = ({ holdTime }: NegotiatedSession): SessionAction[] =>
  holdTime === 0 ? [{ type: 'stop', timer: 'Hold' }] : [{ type: 'start', timer: 'Hold', delay: holdTime * 1000 }];

const backoff = (failures: number, base: number, cap: number): number => Math.min(cap, base * 2 ** Math.min(Math.max(failures - 1, 0), 20));

/** A NOTIFICATION message. */
export const notification = (code: number, subcode: number, data: Uint8Array = new Uint8Array()): NotificationMessage => ({
  type: 'notification',
  code,
  subcode,
  data,
});
