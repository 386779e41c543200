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
  /** Handlers add what the client should be warned of; each becomes a Warning header. */
  readonly warnings: string[];
}

/** An answer. `json` is the body as JSON text. */
export interface ApiResponse {
  readonly code: number;
  readonly json: string;
}
