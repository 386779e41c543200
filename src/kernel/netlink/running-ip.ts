/** No object of iproute2: the error that a batch gets for this line tells that everything before it is done. */
export const marker = 'podwire-sync';

/** A program that is running, and can be let finish what it was given. */
interface Session {
  finish(): void;
}

/** One program at a time, started when it is first asked for. */
export interface RunningProgram<S extends Session> {
  readonly closed: boolean;
  /** The running one, or another. @throws what the start of it threw; the next call tries again */
  session(): Promise<S>;
  /** Lets the running one finish; the next call starts another. */
  retire(): void;
  /** As retire, for good; who asks for a session afterwards would start one. */
  close(): void;
}

/** `start` is given what to call when its program has ended by itself. */
export function keepRunning<S extends Session>(start: (onEnd: () => void) => Promise<S>): RunningProgram<S> {
  let current: Promise<S> | undefined;
  let closed = false;
  const begin = (): Promise<S> => {
    const forget = (): void => {
      if (current === mine) current = undefined;
    };
    const mine: Promise<S> = start(forget);
    mine.catch(forget);
    return mine;
  };
  const retire = (): void => {
    const session = current;
    current = undefined;
    session?.then(
      ({ finish }) => finish(),
      () => undefined,
    );
  };
  return {
    get closed() {
      return closed;
    },
    session: () => (current ??= begin()),
    retire,
    close() {
      closed = true;
      retire();
    },
  };
}
