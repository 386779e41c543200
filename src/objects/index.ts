export * from './label-selector.ts';
export * from './resource.ts';
export type * from './types/index.ts';
