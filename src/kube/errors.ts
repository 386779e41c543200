import type { Status } from '../objects/client.ts';

/** The API server answered with an error. `status` is its meta/v1 Status. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly status: Status;
  constructor(status: Status, request: string) {
    super(`${request}: ${status.message ?? status.reason ?? `code ${status.code}`}`);
    this.name = 'ApiError';
    this.code = status.code ?? 0;
    this.reason = status.reason ?? '';
    this.status = status;
  }
}

const withReason =
  (reason: string) =>
  (error: unknown): error is ApiError =>
    error instanceof ApiError && error.reason === reason;

export const isNotFound = withReason('NotFound');
export const isConflict = withReason('Conflict');
export const isAlreadyExists = withReason('AlreadyExists');
/** The revision asked for is compacted: list again. */
export const isExpired = (error: unknown): error is ApiError =>
  error instanceof ApiError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone');
