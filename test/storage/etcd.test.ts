import { afterAll, beforeAll } from 'vitest';
import type { Store } from '../../src/storage/index.ts';
import { cleanup, describeStore } from './contract.ts';
import { type EtcdServer, openTestEtcd, startEtcd } from './etcd-server.ts';

let etcd: EtcdServer;
let prefixes = 0;
beforeAll(async () => {
  etcd = await startEtcd();
}, 30_000);
afterAll(() => etcd?.remove());

/** An empty store: a prefix of its own. */
async function open(historyRevisions?: number): Promise<Store> {
  const store = await openTestEtcd(etcd, {
    prefix: `/test${prefixes++}`,
    ...(historyRevisions ? { history: { revisions: historyRevisions } } : {}),
  });
  cleanup(() => store.close());
  return store;
}

describeStore('etcd', open);
