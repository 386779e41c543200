// Messages whose JSON is not an object of their fields. Source: MarshalJSON and ProtoTime of k8s.io/apimachinery.
import { intOrString, metaV1, quantity, rawExtension } from './table.ts';

/** How a message looks in JSON when it is not an object with its fields. */
export type SpecialForm = 'time' | 'microTime' | 'quantity' | 'intOrString' | 'json' | 'stringList';

const forms: Readonly<Record<string, SpecialForm>> = {
  [`${metaV1}.Time`]: 'time',
  [`${metaV1}.MicroTime`]: 'microTime',
  [quantity]: 'quantity',
  [intOrString]: 'intOrString',
  [rawExtension]: 'json',
  [`${metaV1}.FieldsV1`]: 'json',
  'k8s.io.api.authentication.v1.ExtraValue': 'stringList',
  'k8s.io.api.authorization.v1.ExtraValue': 'stringList',
};

export const specialForm = (message: string): SpecialForm | undefined => forms[message];

/** RFC 3339 in UTC, whole seconds (Time) or six digits (MicroTime). @throws RangeError outside years 0 to 9999. */
export function formatTime(seconds: number, nanos: number, micro: boolean): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0 || date.getUTCFullYear() > 9999) {
    throw new RangeError(`${seconds} seconds after 1970 is outside years 0 to 9999`);
  }
  const whole = date.toISOString().slice(0, 19);
  return micro ? `${whole}.${String(Math.trunc(nanos / 1000)).padStart(6, '0')}Z` : `${whole}Z`;
}

const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** Seconds and nanoseconds since 1970 of an RFC 3339 time; undefined when the text is none. */
export function parseTime(text: string): { seconds: number; nanos: number } | undefined {
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const milliseconds = Date.parse(`${match[1]}T${match[2]}${match[4]!.toUpperCase()}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return { seconds: milliseconds / 1000, nanos: Number((match[3] ?? '').padEnd(9, '0')) };
}
