/** Stable codes of what can be wrong with the DNS server's options or surroundings. */
export type DnsErrorCode = 'bad-option' | 'forward-loop' | 'overloaded' | 'upstream-failed';

/** An error of the DNS server; the message names the option or the upstream and the reason. */
export class DnsError extends Error {
  readonly code: DnsErrorCode;
  constructor(code: DnsErrorCode, message: string) {
    super(message);
    this.name = 'DnsError';
    this.code = code;
  }
}
