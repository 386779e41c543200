/** A patch that makes no sense; the API server answers 400 with the message. */
export class PatchError extends Error {
  override readonly name = 'PatchError';
}
