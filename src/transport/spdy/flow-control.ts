import type { Setting } from './frames.ts';

/** Windows before anybody says otherwise (SPDY draft 3.1, section 2.6.8), and the setting that changes those of streams. */
const initialWindow = 64 * 1024;
const initialWindowSetting = 7;
const largestDelta = 0x7fff_ffff;

export interface FlowControl {
  /** Bytes that may be sent on a stream now. */
  room(streamId: number): number;
  sent(streamId: number, bytes: number): void;
  /** Calls back once when the stream may have got room. */
  wait(streamId: number, retry: () => void): void;
  /** Our reader has taken bytes of a stream; 0 for data that no stream took. */
  consumed(streamId: number, bytes: number): void;
  /** WINDOW_UPDATE from the peer; stream 0 is the connection. */
  grow(streamId: number, delta: number): void;
  settings(entries: readonly Setting[]): void;
  forget(streamId: number): void;
  /** Calls back all that wait, as the connection ends. */
  wake(): void;
}

/**
 * Windows of a connection and its streams. They count only once the peer has shown by a frame that it takes part in flow control: spdystream, which
 * all of Kubernetes uses, never sends such a frame, and would be waited for without end. Stream 0 stands for the connection.
 */
export function createFlowControl(sendUpdate: (streamId: number, delta: number) => void): FlowControl {
  const granted = new Map<number, number>();
  const used = new Map<number, number>();
  let taken = new Map<number, number>();
  let waiting: (() => void)[] = [];
  let initial = initialWindow;
  let active = false;

  const add = (counts: Map<number, number>, id: number, bytes: number): number => {
    const sum = (counts.get(id) ?? 0) + bytes;
    counts.set(id, sum);
    return sum;
  };
  const left = (id: number): number => (id === 0 ? initialWindow : initial) + (granted.get(id) ?? 0) - (used.get(id) ?? 0);

  function wake(): void {
    const ready = waiting;
    waiting = [];
    for (const retry of ready) retry();
  }

  function update(id: number, bytes: number): void {
    // In halves of a window, not for every piece.
    if (add(taken, id, bytes) < initialWindow / 2 || !active) return;
    sendUpdate(id, taken.get(id)!);
    taken.delete(id);
  }

  function activate(): void {
    if (active) return;
    active = true;
    const before = taken;
    taken = new Map();
    for (const [id, bytes] of before) if (bytes > 0) sendUpdate(id, Math.min(bytes, largestDelta));
  }

  return {
    room: (id) => (active ? Math.min(left(id), left(0)) : Number.POSITIVE_INFINITY),
    sent(id, bytes) {
      add(used, id, bytes);
      add(used, 0, bytes);
    },
    wait: (_id, retry) => void waiting.push(retry),
    consumed(id, bytes) {
      if (bytes <= 0) return;
      if (id !== 0) update(id, bytes);
      update(0, bytes);
    },
    grow(id, delta) {
      activate();
      add(granted, id, delta);
      wake();
    },
    settings(entries) {
      const setting = entries.find(({ id }) => id === initialWindowSetting);
      if (!setting) return;
      activate();
      initial = setting.value;
      wake();
    },
    forget(id) {
      for (const counts of [granted, used, taken]) counts.delete(id);
    },
    wake,
  };
}
