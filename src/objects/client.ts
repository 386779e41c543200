// The part of index.ts that clients need: no kinds, no schema, no wire formats, so that a daemon that only reads objects starts sooner.
export * from './conditions.ts';
export * from './duration.ts';
export * from './label-selector.ts';
export * from './resource.ts';
export * from './time.ts';
export type * from './types/index.ts';
