import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/net/index.ts';
import {
  buildOpen,
  idleState,
  initialPeer,
  type PeerAction,
  type PeerEvent,
  type PeerState,
  peerStateName,
  type SessionAction,
  type SessionConfig,
  type SessionEvent,
  type SessionState,
  step,
  stepPeer,
} from '../../src/bgp/session/index.ts';
import { BgpMessageError, type OpenMessage } from '../../src/bgp/wire/index.ts';

const config: SessionConfig = {
  localAsn: 64_512,
  peerAsn: 64_512,
  routerId: parseAddress('192.168.88.11'),
  holdTime: 90,
  openHoldTime: 240,
  connectRetry: { base: 100, cap: 3_000 },
  idleHold: { base: 100, cap: 10_000 },
  connectTimeout: 1_000,
  families: [4, 6],
  gracefulRestart: { restartTime: 120, restarting: false, forwarding: false },
};
const theirOpen: OpenMessage = buildOpen({ ...config, routerId: parseAddress('192.168.88.12'), holdTime: 30 });
const update = { type: 'update', withdrawn: [], nlri: [], findings: [] } as const;

/** Runs the events one after the other; gives the last state and the last event's actions. */
function run(...events: SessionEvent[]): { state: SessionState; actions: readonly SessionAction[] } {
  let state = idleState;
  let actions: readonly SessionAction[] = [];
  for (const event of events) [state, actions] = step(state, event, config);
  return { state, actions };
}

// Named states that compound.
const connecting: SessionEvent[] = [{ type: 'ManualStart' }];
const openSent: SessionEvent[] = [...connecting, { type: 'TcpCrAcked' }];
const openConfirm: SessionEvent[] = [...openSent, { type: 'BgpOpen', open: theirOpen }];
const established: SessionEvent[] = [...openConfirm, { type: 'KeepAliveMsg' }];

const sent = (actions: readonly SessionAction[]): string[] =>
  actions.flatMap((action) =>
    action.type !== 'send'
      ? []
      : action.message.type === 'notification'
        ? [`notification ${action.message.code}/${action.message.subcode}`]
        : [action.message.type],
  );
const timer = (actions: readonly SessionAction[], name: string): number | undefined => {
  const action = actions.find((each) => each.type === 'start' && each.timer === name);
  return action?.type === 'start' ? action.delay : undefined;
};

describe('the session state machine (RFC 4271 section 8)', () => {
  it('connects when started', () => {
    const { state, actions } = run(...connecting);
    expect(state.name).toBe('Connect');
    expect(actions).toContainEqual({ type: 'connect' });
    expect(timer(actions, 'ConnectRetry')).toBe(1_000);
  });

  it('sends OPEN once connected and waits four minutes for the answer', () => {
    const { state, actions } = run(...openSent);
    expect(state.name).toBe('OpenSent');
    expect(sent(actions)).toEqual(['open']);
    expect(timer(actions, 'Hold')).toBe(240_000);
  });

  it('answers OPEN with KEEPALIVE and takes the lower hold time', () => {
    const { state, actions } = run(...openConfirm);
    expect(state.name).toBe('OpenConfirm');
    expect(sent(actions)).toEqual(['keepalive']);
    expect(timer(actions, 'Hold')).toBe(30_000);
    expect(timer(actions, 'Keepalive')).toBe(10_000);
  });

  it('is established by KEEPALIVE', () => {
    const { state, actions } = run(...established);
    expect(state.name).toBe('Established');
    expect(actions.at(-1)).toMatchObject({
      type: 'established',
      negotiated: { holdTime: 30, families: [4, 6], internal: true, fourOctetAsn: true },
    });
  });

  it.each(['KeepAliveMsg', 'UpdateMsg'] as const)('starts the hold timer anew with every %s', (type) => {
    const { actions } = run(...established, type === 'UpdateMsg' ? { type, update } : { type });
    expect(timer(actions, 'Hold')).toBe(30_000);
  });

  it('runs neither hold nor keepalive timer with a hold time of 0', () => {
    const { actions } = run(...openSent, { type: 'BgpOpen', open: { ...theirOpen, holdTime: 0 } });
    expect(timer(actions, 'Hold')).toBeUndefined();
    expect(timer(actions, 'Keepalive')).toBeUndefined();
  });

  it.each([
    ['OpenSent', openSent],
    ['OpenConfirm', openConfirm],
    ['Established', established],
  ])('in %s says that the hold timer expired', (_, before) => {
    const { state, actions } = run(...before, { type: 'HoldTimerExpires' });
    expect(state.name).toBe('Idle');
    expect(sent(actions)).toEqual(['notification 4/0']);
  });

  it.each<[string, SessionEvent[], SessionEvent, string]>([
    ['KEEPALIVE in OpenSent', openSent, { type: 'KeepAliveMsg' }, '5/1'],
    ['UPDATE in OpenSent', openSent, { type: 'UpdateMsg', update }, '5/1'],
    ['UPDATE in OpenConfirm', openConfirm, { type: 'UpdateMsg', update }, '5/2'],
    ['OPEN in OpenConfirm', openConfirm, { type: 'BgpOpen', open: theirOpen }, '5/2'],
    ['OPEN in Established', established, { type: 'BgpOpen', open: theirOpen }, '5/3'],
  ])('answers %s with the subcode of RFC 6608', (_, before, event, code) => {
    const { state, actions } = run(...before, event);
    expect(state.name).toBe('Idle');
    expect(sent(actions)).toEqual([`notification ${code}`]);
  });

  it.each<[string, Partial<OpenMessage>, string]>([
    ['another version', { version: 3 }, '2/1'],
    ['another AS', { capabilities: [{ type: 'four-octet-asn', asn: 65_000 }] }, '2/2'],
    ['identifier 0', { routerId: parseAddress('0.0.0.0') }, '2/3'],
    ['our own identifier', { routerId: config.routerId }, '2/3'],
    ['a hold time of 2 s', { holdTime: 2 }, '2/6'],
    ['no family in common', { capabilities: [{ type: 'multiprotocol', afi: 25, safi: 65 }] }, '2/7'],
  ])('refuses an OPEN with %s', (_, change, code) => {
    const { state, actions } = run(...openSent, { type: 'BgpOpen', open: { ...theirOpen, ...change } });
    expect(state.name).toBe('Idle');
    expect(sent(actions)).toEqual([`notification ${code}`]);
  });

  it('takes a peer without any capability for an IPv4 speaker with two-octet AS numbers', () => {
    const { state } = run(...openSent, { type: 'BgpOpen', open: { ...theirOpen, capabilities: [] } });
    expect(state.negotiated).toMatchObject({ families: [4], fourOctetAsn: false, routeRefresh: false });
  });

  it('retries a refused connection at growing intervals, without leaving for Idle', () => {
    let [state, actions] = step(idleState, { type: 'ManualStart' }, config);
    const delays: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 7; attempt++) {
      [state, actions] = step(state, { type: 'TcpConnectionFails', reason: 'refused' }, config);
      expect(state.name).toBe('Active');
      delays.push(timer(actions, 'ConnectRetry'));
      [state, actions] = step(state, { type: 'ConnectRetryTimerExpires' }, config);
      expect(state.name).toBe('Connect');
    }
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_000, 3_000]);
  });

  it('tells a lost connection from a session ended by the peer', () => {
    const down = (event: SessionEvent): unknown => run(...established, event).actions.find(({ type }) => type === 'down');
    expect(down({ type: 'TcpConnectionFails', reason: 'reset' })).toMatchObject({ cause: 'connection-lost' });
    expect(down({ type: 'NotifMsg', notification: { type: 'notification', code: 6, subcode: 2, data: new Uint8Array() } })).toMatchObject({
      cause: 'notification-received',
    });
    expect(down({ type: 'HoldTimerExpires' })).toMatchObject({ cause: 'hold-timer' });
    expect(down({ type: 'MessageError', error: new BgpMessageError(3, 10, 'bad') })).toMatchObject({ cause: 'notification-sent' });
    expect(down({ type: 'ManualStop' })).toMatchObject({ cause: 'stopped' });
  });

  it('stops from every state with all timers off', () => {
    for (const before of [connecting, openSent, openConfirm, established]) {
      const { state, actions } = run(...before, { type: 'ManualStop' });
      expect(state).toEqual(idleState);
      expect(actions.filter(({ type }) => type === 'stop')).toHaveLength(4);
      expect(actions).toContainEqual({ type: 'drop' });
      expect(actions.filter(({ type }) => type === 'start')).toEqual([]);
    }
  });

  it('survives every event in every state', () => {
    const events: SessionEvent[] = [
      { type: 'ManualStart' },
      { type: 'ManualStop' },
      { type: 'ConnectRetryTimerExpires' },
      { type: 'HoldTimerExpires' },
      { type: 'KeepaliveTimerExpires' },
      { type: 'IdleHoldTimerExpires' },
      { type: 'TcpCrAcked' },
      { type: 'TcpConnectionConfirmed' },
      { type: 'TcpConnectionFails', reason: 'x' },
      { type: 'BgpOpen', open: theirOpen },
      { type: 'MessageError', error: new BgpMessageError(1, 1, 'x') },
      { type: 'OpenCollisionDump' },
      { type: 'NotifMsg', notification: { type: 'notification', code: 6, subcode: 0, data: new Uint8Array() } },
      { type: 'KeepAliveMsg' },
      { type: 'UpdateMsg', update },
      { type: 'RouteRefreshMsg', refresh: { type: 'route-refresh', afi: 1, safi: 1, subtype: 0 } },
    ];
    const active: SessionEvent[] = [...connecting, { type: 'TcpConnectionFails', reason: 'x' }];
    for (const before of [[], connecting, active, openSent, openConfirm, established]) {
      for (const event of events) {
        const { state, actions } = run(...before, event);
        // No session is without its terms, and none that ended is without a way back, unless it was stopped.
        expect(state.negotiated !== undefined).toBe(state.name === 'OpenConfirm' || state.name === 'Established');
        if (before.length > 0 && state.name === 'Idle' && event.type !== 'ManualStop')
          expect(timer(actions, 'IdleHold')).toBeGreaterThan(0);
      }
    }
  });
});

describe('connection collision (RFC 4271 section 6.8)', () => {
  interface Played {
    peer: PeerState;
    actions: PeerAction[];
  }

  function play(ownId: string, events: readonly PeerEvent[], { now = 0 } = {}): Played {
    let peer = initialPeer;
    const actions: PeerAction[] = [];
    for (const event of events) {
      const [next, made] = stepPeer(peer, event, { ...config, routerId: parseAddress(ownId) }, now);
      peer = next;
      actions.push(...made);
    }
    return { peer, actions };
  }
  const notified = (actions: readonly PeerAction[]): string[] =>
    actions.flatMap((action) =>
      action.type === 'send' && action.message.type === 'notification'
        ? [`${action.direction} ${action.message.code}/${action.message.subcode}`]
        : [],
    );
  const both: PeerEvent[] = [
    { direction: 'outgoing', event: { type: 'ManualStart' } },
    { type: 'accepted' },
    { direction: 'outgoing', event: { type: 'TcpCrAcked' } },
  ];
  const openOn = (direction: 'outgoing' | 'incoming'): PeerEvent => ({ direction, event: { type: 'BgpOpen', open: theirOpen } });
  const keepaliveOn = (direction: 'outgoing' | 'incoming'): PeerEvent => ({ direction, event: { type: 'KeepAliveMsg' } });

  it.each([
    ['192.168.88.200', 'incoming'],
    ['192.168.88.1', 'outgoing'],
  ] as const)('with our identifier %s the %s connection is closed with Cease 6/7, whichever OPEN comes first', (ownId, closed) => {
    for (const order of [
      ['outgoing', 'incoming'],
      ['incoming', 'outgoing'],
    ] as const) {
      const { peer, actions } = play(ownId, [...both, ...order.map(openOn)]);
      expect(notified(actions)).toEqual([`${closed} 6/7`]);
      expect(peerStateName(peer)).toBe('OpenConfirm');
      expect(peer.incoming === undefined).toBe(closed === 'incoming');
    }
  });

  it('closes a second connection when the first is established already', () => {
    const { peer, actions } = play('192.168.88.1', [...both, openOn('outgoing'), keepaliveOn('outgoing')]);
    expect(peerStateName(peer)).toBe('Established');
    expect(peer.incoming).toBeUndefined();
    expect(notified(actions)).toEqual(['incoming 6/7']);
  });

  it('stops its own attempts once the connection of the peer is established', () => {
    const { peer } = play('192.168.88.1', [both[0]!, both[1]!, openOn('incoming'), keepaliveOn('incoming')]);
    expect(peer.outgoing.name).toBe('Idle');
    expect(peerStateName(peer)).toBe('Established');
  });

  it('connects again by itself when the connection of the peer is lost', () => {
    const { peer, actions } = play('192.168.88.1', [
      both[0]!,
      both[1]!,
      openOn('incoming'),
      keepaliveOn('incoming'),
      { direction: 'incoming', event: { type: 'TcpConnectionFails', reason: 'reset' } },
    ]);
    expect(peer.incoming).toBeUndefined();
    expect(actions.at(-1)).toMatchObject({ type: 'start', timer: 'IdleHold', direction: 'outgoing' });
  });

  it('takes a later connection of a peer that can restart for the loss of the old session (RFC 4724 section 5)', () => {
    const before = play('192.168.88.1', [both[0]!, both[1]!, openOn('incoming'), keepaliveOn('incoming')]).peer;
    const [peer, actions] = stepPeer(before, { type: 'accepted' }, config, 5_000);
    expect(actions).toContainEqual(expect.objectContaining({ type: 'down', cause: 'connection-lost' }));
    expect(actions.map(({ type }) => type)).toContain('adopt');
    expect(peer.incoming?.name).toBe('OpenSent');
  });
});
