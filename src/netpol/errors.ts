/** Stable codes of what can be wrong with the policy daemon's options or its node. */
export type NetpolErrorCode = 'bad-option' | 'bridge-not-filtered' | 'nft-unusable';

/** An error of the policy daemon; the message names the option or the parameter and what to do. */
export class NetpolError extends Error {
  readonly code: NetpolErrorCode;
  constructor(code: NetpolErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'NetpolError';
    this.code = code;
  }
}
