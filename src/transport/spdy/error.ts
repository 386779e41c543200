/** The peer did what SPDY does not allow; the connection cannot go on. */
export class SpdyError extends Error {
  constructor(problem: string) {
    super(`SPDY: ${problem}`);
    this.name = 'SpdyError';
  }
}
