export type BgpErrorCode = 'bad-option' | 'md5-unsupported' | 'address-in-use' | 'listen-not-permitted' | 'listen-failed';

/** The route daemon cannot do what it was asked to. `code` is stable; the message says what to do. */
export class BgpError extends Error {
  readonly code: BgpErrorCode;
  constructor(code: BgpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BgpError';
    this.code = code;
  }
}

/** A failure to listen, in words. */
export function listenError(address: string, port: number, error: NodeJS.ErrnoException): BgpError {
  const where = `${address} port ${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new BgpError(
        'address-in-use',
        `BGP cannot listen on ${where}: another program has it (see \`ss -ltnp\`); stop it, or choose another port with --listen-port`,
        { cause: error },
      );
    case 'EACCES':
      return new BgpError('listen-not-permitted', `BGP may not listen on ${where}: run it as root, or with CAP_NET_BIND_SERVICE`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new BgpError(
        'listen-failed',
        `BGP cannot listen on ${where}: no link of this machine has the address; check the node's InternalIP or --local-address`,
        { cause: error },
      );
    default:
      return new BgpError('listen-failed', `BGP cannot listen on ${where}: ${error.message}`, { cause: error });
  }
}
