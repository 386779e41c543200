export * from './store.ts';
export { createMemoryStore, type MemoryStoreOptions } from './memory.ts';
export { openEmbeddedStore, type EmbeddedStoreOptions } from './embedded.ts';
