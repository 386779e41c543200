export type ProxyErrorCode = 'invalid-options' | 'invalid-configuration';

/** The proxy cannot start. `code` is stable; the message names the option and what to do. */
export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  constructor(code: ProxyErrorCode, message: string) {
    super(message);
    this.name = 'ProxyError';
    this.code = code;
  }
}
