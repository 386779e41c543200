export * from './peer.ts';
export { buildOpen } from './open.ts';
export { notification, step } from './step.ts';
export * from './types.ts';
