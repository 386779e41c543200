import type { StatusCause } from '../../objects/index.ts';
import { isTrue } from '../request-info.ts';
import { badRequest, invalid } from '../status-errors.ts';

const invalidOptions = (pod: string, causes: StatusCause[]) =>
  invalid({ resource: { group: '', version: 'v1', plural: 'pods', kind: 'PodLogOptions', namespaced: true } }, pod, causes);

/** Reads and checks core/v1 PodLogOptions; gives the query for kubelet. @throws StatusError 400 or 422 in the reference's words. */
export function kubeletLogQuery(pod: string, query: URLSearchParams): URLSearchParams {
  const wanted = new URLSearchParams();
  for (const name of ['follow', 'previous', 'timestamps']) if (query.has(name) && isTrue(query.get(name))) wanted.set(name, 'true');
  const causes: StatusCause[] = [];
  const number = (name: string, least: number, problem: string): void => {
    const text = query.get(name);
    if (text === null || text === '') return;
    if (!/^[+-]?\d{1,18}$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`);
    if (Number(text) < least)
      causes.push({ reason: 'FieldValueInvalid', message: `Invalid value: ${Number(text)}: ${problem}`, field: name });
    wanted.set(name, String(Number(text)));
  };
  number('tailLines', 0, 'must be greater than or equal to 0');
  number('limitBytes', 1, 'must be greater than 0');
  const sinceTime = query.get('sinceTime');
  if (sinceTime && query.get('sinceSeconds')) {
    const message = 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified';
    causes.push({ reason: 'FieldValueForbidden', message, field: '' });
  } else number('sinceSeconds', 1, 'must be greater than 0');
  if (sinceTime) {
    const time = Date.parse(sinceTime);
    if (Number.isNaN(time))
      throw badRequest(`parsing time ${JSON.stringify(sinceTime.slice(0, 100))} as "2006-01-02T15:04:05Z07:00": cannot parse it`);
    wanted.set('sinceTime', sinceTime);
  }
  if (causes.length > 0) throw invalidOptions(pod, causes);
  return wanted;
}
