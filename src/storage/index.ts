export * from './store.ts';
export { createMemoryStore, type MemoryStoreOptions } from './memory.ts';
export { openEmbeddedStore, type EmbeddedStoreOptions } from './embedded.ts';
export type { EtcdStoreOptions } from './etcd/etcd-store.ts';
export type { EtcdOptions } from './etcd/options.ts';
export { defaultHistory, type HistoryLimits } from './history-limits.ts';
