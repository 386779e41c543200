import type { Address, Family } from '../../net/index.ts';
import type { BgpMessageError } from '../wire/error.ts';
import type {
  GracefulRestartCapability,
  NotificationMessage,
  OpenMessage,
  RouteRefreshMessage,
  UpdateMessage,
  BgpMessage,
} from '../wire/types.ts';

/** RFC 4271 section 8.2.2. */
export type SessionStateName = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established';

export type SessionTimer = 'ConnectRetry' | 'Hold' | 'Keepalive' | 'IdleHold';

export interface SessionConfig {
  readonly localAsn: number;
  readonly peerAsn: number;
  readonly routerId: Address;
  /** Seconds to propose; 0 or at least 3. */
  readonly holdTime: number;
  /** Seconds that a connection may take from our OPEN to the peer's (RFC 4271 section 8.2.2 suggests four minutes). */
  readonly openHoldTime: number;
  /** Milliseconds: doubled with every failure from `base` to `cap`. */
  readonly connectRetry: { readonly base: number; readonly cap: number };
  readonly idleHold: { readonly base: number; readonly cap: number };
  /** Milliseconds that a TCP connection attempt may take. */
  readonly connectTimeout: number;
  /** Address families to offer. */
  readonly families: readonly Family[];
  readonly gracefulRestart: {
    /** Seconds; 0 offers no graceful restart of our own. */
    readonly restartTime: number;
    /** We have restarted and are still collecting routes. */
    readonly restarting: boolean;
    /** The kernel went on forwarding while we were away. */
    readonly forwarding: boolean;
  };
}

/** What both sides agreed on in their OPEN messages. */
export interface NegotiatedSession {
  /** Seconds; 0 means neither keepalives nor a hold timer. */
  readonly holdTime: number;
  readonly peerAsn: number;
  readonly peerRouterId: Address;
  readonly internal: boolean;
  readonly families: readonly Family[];
  readonly fourOctetAsn: boolean;
  readonly routeRefresh: boolean;
  /** The peer's graceful restart capability. */
  readonly gracefulRestart?: GracefulRestartCapability;
}

export interface SessionState {
  readonly name: SessionStateName;
  /** Failures in a row; a session that lives clears it. */
  readonly connectRetryCounter: number;
  /** From OpenConfirm on. */
  readonly negotiated?: NegotiatedSession;
}

export const idleState: SessionState = { name: 'Idle', connectRetryCounter: 0 };

/** Events, named and numbered as in RFC 4271 section 8.1. */
export type SessionEvent =
  | { readonly type: 'ManualStart' } // 1
  | { readonly type: 'ManualStop'; readonly notification?: NotificationMessage } // 2; without NOTIFICATION the routes outlive us (RFC 4724)
  | { readonly type: 'ConnectRetryTimerExpires' } // 9
  | { readonly type: 'HoldTimerExpires' } // 10
  | { readonly type: 'KeepaliveTimerExpires' } // 11
  | { readonly type: 'IdleHoldTimerExpires' } // 13
  | { readonly type: 'TcpCrAcked' } // 16: our connection attempt succeeded
  | { readonly type: 'TcpConnectionConfirmed' } // 17: the peer connected
  | { readonly type: 'TcpConnectionFails'; readonly reason: string } // 18
  | { readonly type: 'BgpOpen'; readonly open: OpenMessage } // 19
  | { readonly type: 'MessageError'; readonly error: BgpMessageError } // 21, 22 and 28: header, OPEN or UPDATE is broken
  | { readonly type: 'OpenCollisionDump' } // 23
  | { readonly type: 'NotifMsg'; readonly notification: NotificationMessage } // 24 and 25
  | { readonly type: 'KeepAliveMsg' } // 26
  | { readonly type: 'UpdateMsg'; readonly update: UpdateMessage } // 27
  | { readonly type: 'RouteRefreshMsg'; readonly refresh: RouteRefreshMessage }; // RFC 2918

/** Why a session ended. After `connection-lost` the routes of a peer that can restart gracefully are kept for a while; after all others they go. */
export type DownCause = 'connection-lost' | 'hold-timer' | 'notification-sent' | 'notification-received' | 'stopped' | 'replaced';

export type SessionAction =
  | { readonly type: 'connect' }
  /** Close the connection, or give up the attempt. */
  | { readonly type: 'drop' }
  | { readonly type: 'send'; readonly message: BgpMessage }
  /** (Re)start a timer: milliseconds, to be shortened by up to a quarter at random (RFC 4271 section 10). */
  | { readonly type: 'start'; readonly timer: SessionTimer; readonly delay: number }
  | { readonly type: 'stop'; readonly timer: SessionTimer }
  | { readonly type: 'established'; readonly negotiated: NegotiatedSession }
  /** An established session ended. */
  | { readonly type: 'down'; readonly cause: DownCause; readonly negotiated: NegotiatedSession }
  /** For the operator: what went wrong, whatever the state. */
  | { readonly type: 'error'; readonly reason: string }
  | { readonly type: 'update'; readonly update: UpdateMessage }
  | { readonly type: 'refresh'; readonly refresh: RouteRefreshMessage };

export type Step = readonly [SessionState, readonly SessionAction[]];
