import { parseDuration } from '../objects/index.ts';
import { badRequest } from './status-errors.ts';

/**
 * Checks the query parameter `timeout`, a duration of Go such as `30s`. Every answer but a watch and the log of a pod comes well within the least
 * that anybody asks for, so nothing else depends on it.
 *
 * @throws StatusError 400 when it is no duration.
 */
export function parseRequestTimeout(query: URLSearchParams): void {
  const text = query.get('timeout');
  if (!text || parseDuration(text) !== undefined) return;
  throw badRequest(`invalid timeout specified in the request URL - time: invalid duration ${JSON.stringify(text.slice(0, 100))}`);
}
