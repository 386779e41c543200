import type { IptablesRuleset } from '../../src/dataplane/iptables.ts';
import { createIptables } from '../../src/kernel/iptables.ts';
import { systemRunner } from '../../src/kernel/command-runner.ts';
import { createNft } from '../../src/kernel/nft.ts';
import {
  createProxyCompiler,
  nodeFacts,
  type ProxyOptions,
  type ProxyOptionsInput,
  resolveProxyOptions,
} from '../../src/kube-proxy/index.ts';
import { type AnyProgrammer, iptablesProgrammer, nftablesProgrammer } from '../../src/kube-proxy/programmer.ts';
import { clusterCIDR, nodeName, type Objects } from './objects.ts';

/** Ways to program the kernel. `compat` and `flat` are kube-proxy's own layouts. */
const layouts = {
  fast: { mode: 'nftables', nftablesLayout: 'fast' },
  compat: { mode: 'nftables', nftablesLayout: 'compat' },
  'legacy-flat': { mode: 'iptables', iptables: 'legacy', iptablesDispatch: 'flat' },
  'legacy-bucketed': { mode: 'iptables', iptables: 'legacy', iptablesDispatch: 'bucketed' },
  'nft-flat': { mode: 'iptables', iptables: 'nft', iptablesDispatch: 'flat' },
  'nft-bucketed': { mode: 'iptables', iptables: 'nft', iptablesDispatch: 'bucketed' },
} as const satisfies Record<string, Partial<ProxyOptionsInput>>;

export type Layout = keyof typeof layouts;

/** What the daemon is started with. */
export const optionsOf = (layout: Layout): ProxyOptionsInput => ({
  nodeName,
  families: ['IPv4'],
  clusterCIDRs: [clusterCIDR],
  ...layouts[layout],
});

/** Objects in memory -> the kernel, the same stages as the daemon's and nothing else. */
export interface Pipeline {
  /** Brings the kernel to what the objects say; milliseconds from the objects to the kernel. */
  sync(objects: Objects): Promise<number>;
  /** The change that {@link sync} would make now, which counts as made. */
  change(objects: Objects): unknown;
  /** Milliseconds to make a change that somebody else counts. */
  apply(change: unknown): Promise<number>;
  /** What the tool would be given for the change. */
  print(change: unknown): string;
}

export function createPipeline(layout: Layout): Pipeline {
  const options = resolveProxyOptions(optionsOf(layout));
  const programmer = programmerOf(options);
  const compile = createProxyCompiler(4);
  const facts = nodeFacts(nodeName, undefined, 4);
  let kernel: unknown = programmer.empty;
  const change = ({ services, slices }: Objects): unknown => {
    const desired = programmer.render(compile({ nodeName, node: undefined, services, endpointSlices: slices }), facts);
    const found = programmer.diff(kernel, desired);
    kernel = programmer.after(kernel as IptablesRuleset, found, desired);
    return found;
  };
  return {
    async sync(objects) {
      const start = performance.now();
      const found = change(objects);
      if (found !== undefined) await programmer.apply(found);
      return performance.now() - start;
    },
    change,
    async apply(found) {
      const start = performance.now();
      await programmer.apply(found);
      return performance.now() - start;
    },
    print: (found) => programmer.print(found),
  };
}

function programmerOf(options: ProxyOptions): AnyProgrammer {
  if (options.mode === 'nftables') return nftablesProgrammer(createNft(systemRunner), 4, options);
  return iptablesProgrammer(createIptables(systemRunner, 4, { variant: options.iptables }), options);
}
