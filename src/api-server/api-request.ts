import type { User } from './access.ts';
import type { RequestBody } from './decode.ts';
import type { Accepted } from './negotiate.ts';
import type { RequestInfo } from './request-info.ts';

/** A request to a resource, authenticated and authorized. */
export interface ApiRequest {
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  readonly body: RequestBody;
  readonly accepted: Accepted;
  readonly user: User;
  /** The User-Agent header; '' when there is none. */
  readonly userAgent: string;
  /** For a request that may create what it would change. @throws StatusError 403 when the user may not create the object. */
  requireCreate(): void;
  /** Handlers add what the client should be warned of; each becomes a Warning header. */
  readonly warnings: string[];
}

/** An answer. `json` is the body as JSON text. */
export interface ApiResponse {
  readonly code: number;
  readonly json: string;
}
