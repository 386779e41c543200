export * from './adj-out.ts';
export * from './best-path.ts';
export * from './export.ts';
export * from './import.ts';
export * from './path.ts';
export * from './rib.ts';
