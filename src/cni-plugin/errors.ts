/**
 * Error codes of CNI spec 1.1.0, section "Error": below 100 the spec's own, from 100 this plugin's. Each is explained in the README.
 */
export const cniErrorCodes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  decoding: 6,
  invalidConfig: 7,
  tryAgain: 11,
  unavailable: 50,
  limitedConnectivity: 51,
  internal: 100,
  interfaceExists: 101,
  kernelRefused: 102,
  addressesExhausted: 103,
  notAsAdded: 104,
  deletedMeanwhile: 105,
  hostPortTaken: 106,
  delegateFailed: 107,
  addressTaken: 108,
} as const;

export type CniErrorCode = (typeof cniErrorCodes)[keyof typeof cniErrorCodes];

const permanentCodes: readonly number[] = [
  cniErrorCodes.incompatibleVersion,
  cniErrorCodes.unsupportedField,
  cniErrorCodes.invalidEnvironment,
  cniErrorCodes.decoding,
  cniErrorCodes.invalidConfig,
];

/** Does this error object, as text, say that the request itself is wrong, so that it never will succeed? launcher.sh has the same list. */
export function isPermanent(errorObject: string): boolean {
  try {
    return permanentCodes.includes((JSON.parse(errorObject) as { code: number }).code);
  } catch {
    return false;
  }
}

/** A failure that the runtime is told of. The message names key and value; `details` may say more, or what to do. */
export class CniError extends Error {
  /** One of {@link cniErrorCodes}, or that of another plugin whose error is passed on. */
  readonly code: number;
  readonly details: string;
  constructor(code: number, message: string, details = '') {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

/** An address that was not expected, a file that cannot be read, and the like, as the runtime is told of it. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  const {
    code,
    message,
    cause,
    reason = (cause as { reason?: unknown } | undefined)?.reason,
  } = error as {
    readonly [Key in 'code' | 'message' | 'cause' | 'reason']?: unknown;
  };
  const text = typeof message === 'string' ? message : String(error);
  // System errors (ENOSPC, EACCES) name the path; commands that could not run name themselves.
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return new CniError(cniErrorCodes.io, text);
  if (typeof reason === 'string') return new CniError(cniErrorCodes.kernelRefused, text);
  return new CniError(cniErrorCodes.internal, text);
}
