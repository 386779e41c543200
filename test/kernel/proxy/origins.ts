import { ipBatch } from '../../../src/kernel/ip.ts';
import { writeSysctls } from '../../../src/kernel/sysctl.ts';
import { destinations } from '../../kube-proxy/scenario-objects.ts';
import type { Scenario } from '../../kube-proxy/scenarios.ts';
import type { Bed } from './bed.ts';

/** Does what must be so that the row's sender can send its packet at all, and undoes it afterwards. */
export async function withOrigin(bed: Bed, { from, to }: Scenario, action: () => Promise<void>): Promise<void> {
  if (from === 'nodeAsBalancer') {
    const [v4, v6] = destinations.loadBalancerIP;
    const lines = (what: string): string[] => [
      `addr ${what} ${v4}/32 dev lo`,
      `addr ${what} ${v6}/128 dev lo${what === 'add' ? ' nodad' : ''}`,
    ];
    await ipBatch(bed.runner('node'), lines('add'));
    await action();
    await ipBatch(bed.runner('node'), lines('del'));
  } else if (from === 'outsider' && to === 'localhost') {
    // The stranger gives up its own loopback address and routes it to the node.
    const runner = bed.runner('strangers');
    const [node] = destinations.nodeIP;
    await writeSysctls(runner, [['net/ipv4/conf/all/route_localnet', '1']]);
    await ipBatch(runner, ['addr del 127.0.0.1/8 dev lo', `route add 127.0.0.1/32 via ${node} dev eth0`]);
    await action();
    await ipBatch(runner, [`route del 127.0.0.1/32 via ${node} dev eth0`, 'addr add 127.0.0.1/8 dev lo']);
  } else await action();
}
