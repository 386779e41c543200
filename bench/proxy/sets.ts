import { setTimeout as sleep } from 'node:timers/promises';
import { diffIpSets } from '../../src/dataplane/ipset-diff.ts';
import type { IpSets } from '../../src/dataplane/ipset.ts';
import { systemRunner } from '../../src/kernel/command-runner.ts';
import { createIpSets } from '../../src/kernel/ipset.ts';
import { createProxyCompiler, nodeFacts, resolveProxyOptions } from '../../src/kube-proxy/index.ts';
import { createIpvsRenderer, ipvsOwner } from '../../src/kube-proxy/render/ipvs.ts';
import { clusterCIDR, nodeName, type Objects, objectsOf, serviceOf, sliceOf } from './objects.ts';

export interface SetTimes {
  /** Milliseconds from objects in memory to all sets in the kernel. */
  readonly load: number;
  /** Milliseconds from the objects with one more service to the kernel. */
  readonly service: readonly number[];
}

/** The sets of mode ipvs, in the machine's kernel: the part of that mode which needs no IPVS. */
export async function setTimes({ services, rounds }: { services: number; rounds: number }): Promise<SetTimes> {
  const options = resolveProxyOptions({ nodeName, mode: 'ipvs', families: ['IPv4'], clusterCIDRs: [clusterCIDR] });
  const { ownsSet } = ipvsOwner(4, options, false);
  const compile = createProxyCompiler(4);
  const render = createIpvsRenderer(options);
  const facts = nodeFacts(nodeName, undefined, 4);
  const door = createIpSets(systemRunner, { standby: true });
  let kernel: IpSets = new Map();
  const sync = async (objects: Objects): Promise<number> => {
    const start = performance.now();
    const model = compile({ nodeName, node: undefined, services: objects.services, endpointSlices: objects.slices });
    const { sets } = render(model, facts, ['192.168.88.11']);
    await door.apply(diffIpSets(kernel, sets, ownsSet));
    kernel = sets;
    return performance.now() - start;
  };
  const objects = objectsOf(services);
  const load = await sync(objects);
  const service: number[] = [];
  for (let round = 0; round < rounds; round++) {
    objects.services.push(serviceOf(services + round));
    objects.slices.push(sliceOf(services + round));
    // Apart from each other: this is about the change, not about how many there are.
    await sleep(60);
    service.push(await sync(objects));
  }
  door.close();
  return { load, service };
}
