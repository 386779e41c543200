/** RFC 3339 in UTC with whole seconds: meta/v1 Time. */
export const toTime = (milliseconds: number): string => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;

/** RFC 3339 in UTC with microseconds: meta/v1 MicroTime. */
export const toMicroTime = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('Z', '000Z');

/** Milliseconds since the epoch of a Time or MicroTime; 0 when there is none or none that can be read. */
export const fromTime = (time: string | null | undefined): number => (time ? Date.parse(time) || 0 : 0);
