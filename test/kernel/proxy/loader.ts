import type { CommandRunner } from '../../../src/kernel/command-runner.ts';
import { writeSysctls } from '../../../src/kernel/sysctl.ts';
import { programmersOf } from '../../../src/kube-proxy/effects/programmers.ts';
import type { NodeFacts, ProxyModel, ProxyOptions } from '../../../src/kube-proxy/index.ts';
import type { AnyProgrammer } from '../../../src/kube-proxy/programmer.ts';
import { silentLogger } from '../../../src/runtime/log.ts';
import type { Family } from '../../kube-proxy/scenario-objects.ts';

/** Brings one model after the other into the kernel of the node, by the proxy's own programmers and as a change from the one before. */
export interface Loader {
  load(model: ProxyModel, facts: NodeFacts, options: ProxyOptions): Promise<void>;
  /** What the kernel holds besides what was meant; undefined when it is just that. */
  difference(): Promise<unknown>;
  clear(): Promise<void>;
}

export function createLoader(runner: CommandRunner, family: Family): Loader {
  let now: { programmer: AnyProgrammer; rules: unknown; options: ProxyOptions } | undefined;
  const clear = async (): Promise<void> => {
    if (!now) return;
    const change = now.programmer.diff(now.rules, now.programmer.empty);
    if (change !== undefined) await now.programmer.apply(change);
    now.programmer.close?.();
    now = undefined;
  };
  return {
    async load(model, facts, options) {
      // With this option a chain more is the proxy's.
      if (now && now.options.localhostNodePorts !== options.localhostNodePorts) await clear();
      if (JSON.stringify(now?.options) !== JSON.stringify(options)) {
        now?.programmer.close?.();
        const [programmer] = programmersOf(options.mode, { ...options, families: [`IPv${family}`] }, runner, silentLogger());
        now = { programmer: programmer!, rules: await programmer!.read(), options };
        // As the daemon does at its start.
        const localnet = options.mode === 'iptables' && options.localhostNodePorts ? '1' : '0';
        if (family === 4) await writeSysctls(runner, [['net/ipv4/conf/all/route_localnet', localnet]]);
      }
      const desired = now!.programmer.render(model, facts);
      const change = now!.programmer.diff(now!.rules, desired);
      if (change === undefined) return;
      await now!.programmer.apply(change);
      now = { ...now!, rules: now!.programmer.after(now!.rules, change, desired) };
    },
    async difference() {
      return now && now.programmer.diff(await now.programmer.read(), now.rules);
    },
    clear,
  };
}

/** Drops every tracked connection, so that each is judged by the rules of now. */
export async function forgetConnections(runner: CommandRunner): Promise<void> {
  await runner.run('conntrack', ['--flush']);
}
