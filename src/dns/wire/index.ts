export * from './constants.ts';
export * from './message.ts';
export * from './name.ts';
export * from './query.ts';
export * from './record.ts';
export * from './response.ts';
