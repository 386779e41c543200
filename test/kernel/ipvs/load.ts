import type { CommandRunner } from '../../../src/kernel/command-runner.ts';
import { programmersOf } from '../../../src/kube-proxy/effects/programmers.ts';
import { compileProxy, nodeFacts, type ProxyInput, type ProxyOptionsInput, resolveProxyOptions } from '../../../src/kube-proxy/index.ts';
import type { AnyProgrammer } from '../../../src/kube-proxy/programmer.ts';
import { silentLogger } from '../../../src/runtime/log.ts';

/** The programmer of mode ipvs, as the daemon opens it. */
export function openProgrammer(runner: CommandRunner, family: 4 | 6, more: Partial<ProxyOptionsInput> = {}): AnyProgrammer {
  const options = resolveProxyOptions({
    nodeName: 'worker-1',
    mode: 'ipvs',
    iptables: 'legacy',
    families: [`IPv${family}`],
    clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
    ...more,
  });
  return programmersOf('ipvs', options, runner, silentLogger())[0]!;
}

/**
 * Brings the kernel to what the objects want, reading it before; tells what was sent, and what is still to be done when somebody else reads it
 * again: nothing, if what the tools tell is what was printed, but for real servers that drain.
 */
export function createLoad(
  runner: CommandRunner,
  family: 4 | 6,
  more: Partial<ProxyOptionsInput> = {},
): (input: ProxyInput) => Promise<{ sent: string; left: string }> {
  const programmer = openProgrammer(runner, family, more);
  return async (input) => {
    const actual = await programmer.read();
    const desired = programmer.render(compileProxy(input, family), nodeFacts(input.nodeName, input.node, family));
    const change = programmer.diff(actual, desired);
    if (change !== undefined) await programmer.apply(change);
    const left = programmer.diff(await openProgrammer(runner, family, more).read(), desired);
    const lines = left === undefined ? [] : programmer.print(left).split('\n');
    return {
      sent: change === undefined ? '' : programmer.print(change),
      left: lines.filter((line) => line !== '' && !/^(#|-d )/.test(line)).join('\n'),
    };
  };
}

export async function clear(programmer: AnyProgrammer): Promise<void> {
  const change = programmer.diff(await programmer.read(), programmer.empty);
  if (change !== undefined) await programmer.apply(change);
}
