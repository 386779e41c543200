/** The controllers cannot run with what they were given. The message names the option and the reason. */
export class ControllersError extends Error {
  readonly code: 'bad-option' | 'overlap';
  constructor(code: ControllersError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ControllersError';
    this.code = code;
  }
}
