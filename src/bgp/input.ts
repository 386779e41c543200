import type { Node } from '../objects/client.ts';
import type { BgpOptions } from './options.ts';

/** All that decides whom we speak with and what we say of ourselves. */
export interface BgpInput {
  readonly options: BgpOptions;
  /** Every Node of the cluster, ours among them; empty without a cluster. */
  readonly nodes: readonly Node[];
}
