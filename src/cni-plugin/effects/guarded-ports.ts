/** The request is no longer this process's: whatever it was about to do next is not done. */
export class WithdrawnError extends Error {
  constructor() {
    super('the launcher does the request by itself');
    this.name = 'WithdrawnError';
  }
}

/**
 * The same ports, of which none does anything more once `isWithdrawn` says so: each function throws then, also those of what they return.
 * So a request that somebody else has taken over is left where it is, as by a process that was killed there.
 */
export const guardedPorts = <T extends object>(ports: T, isWithdrawn: () => boolean): T =>
  Object.fromEntries(
    Object.entries(ports).map(([name, value]) => [
      name,
      typeof value === 'function' ? guardedFunction(ports, value as PortFunction, isWithdrawn) : guardedValue(value, isWithdrawn),
    ]),
  ) as T;

type PortFunction = (...args: unknown[]) => unknown;

const guardedFunction =
  (owner: object, call: PortFunction, isWithdrawn: () => boolean): PortFunction =>
  (...args) => {
    if (isWithdrawn()) throw new WithdrawnError();
    return guardedValue(call.apply(owner, args), isWithdrawn);
  };

/** Only what is made of functions is a port. */
const guardedValue = (value: unknown, isWithdrawn: () => boolean): unknown =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype && hasFunctions(value)
    ? guardedPorts(value, isWithdrawn)
    : value;

const hasFunctions = (value: object): boolean =>
  Object.values(value).some((part) => typeof part === 'function' || (typeof part === 'object' && part !== null && hasFunctions(part)));
