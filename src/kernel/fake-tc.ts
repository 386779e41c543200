import type { RootQdisc, TokenBucket } from '../dataplane/qdisc.ts';
import type { TrafficControl } from './tc.ts';

/** Root queueing disciplines in memory, of the links of one network namespace. */
export interface FakeTrafficControl extends TrafficControl {
  /** By link. */
  readonly roots: Map<string, RootQdisc>;
}

/** @param hasLink tells whether the namespace has such a link; without one, `tc` fails */
export function createFakeTrafficControl(hasLink: (device: string) => Promise<boolean>): FakeTrafficControl {
  const roots = new Map<string, RootQdisc>();
  return {
    roots,
    async setRoot(device: string, bucket: TokenBucket) {
      if (!(await hasLink(device))) throw new Error(`Cannot find device "${device}"`);
      roots.set(device, { kind: 'tbf', bucket });
    },
    async readRoot(device) {
      return (await hasLink(device)) ? (roots.get(device) ?? { kind: 'other', name: 'noqueue' }) : undefined;
    },
  };
}
