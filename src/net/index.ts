export * from './address.ts';
export * from './loopback.ts';
export * from './port.ts';
export * from './prefix.ts';
