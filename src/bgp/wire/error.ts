/**
 * What a peer sent breaks the protocol so that the session must end. `code`, `subcode` and `data` are those of the NOTIFICATION to answer with
 * (RFC 4271 section 6). The only error that decoding throws.
 */
export class BgpMessageError extends Error {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
  constructor(code: number, subcode: number, message: string, data: Uint8Array = new Uint8Array()) {
    super(message);
    this.name = 'BgpMessageError';
    this.code = code;
    this.subcode = subcode;
    this.data = data;
  }
}

/** A reader ran past the end of its bytes. Never leaves the codec: each caller turns it into the error of its own field. */
export class TruncatedError extends Error {
  constructor() {
    super('truncated');
    this.name = 'TruncatedError';
  }
}
