export * from './as-path.ts';
export * from './constants.ts';
export { BgpMessageError } from './error.ts';
export * from './framer.ts';
export { decodeMessage, encodeMessage } from './message.ts';
export * from './notification.ts';
export * from './pack.ts';
export type * from './types.ts';
