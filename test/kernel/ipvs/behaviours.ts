import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandRunner } from '../../../src/kernel/command-runner.ts';
import { createIpvs } from '../../../src/kernel/ipvs.ts';
import { writeSysctls } from '../../../src/kernel/sysctl.ts';
import type { ProxyInput } from '../../../src/kube-proxy/index.ts';
import type { Service } from '../../../src/objects/index.ts';
import { endpoint, node, service, slice } from '../../kube-proxy/objects.ts';
import { type Bed, startBed } from '../proxy/bed.ts';
import { createLoad } from './load.ts';

// What packets see of mode ipvs beyond the scenario list, in that list's bed: `self` is 10.244.1.2, `here` 10.244.1.3, `pod` a client on the same node.

const objects = (
  addresses: readonly string[],
  spec: Partial<Service['spec']> = {},
  annotations: Record<string, string> = {},
  port = 8080,
): ProxyInput => ({
  nodeName: 'worker-1',
  node: node(),
  services: [service(spec, { annotations })],
  endpointSlices: [
    slice(
      addresses.map((address) => endpoint(address, address.startsWith('10.244.1.') ? 'worker-1' : 'worker-2')),
      { ports: [{ name: 'http', port, protocol: spec.ports?.[0]?.protocol ?? 'TCP' }] },
    ),
  ],
});

/** Runs `ask` until `isDone` or twenty seconds have passed; the last answer. */
async function until<T>(ask: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  const end = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (isDone(answer) || performance.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

export async function behaviours(base: CommandRunner): Promise<Record<string, unknown>> {
  const bed = await startBed('i', base);
  try {
    return {
      ...(await draining(bed)),
      ...(await udp(bed)),
      ...(await ownSource(bed)),
      'port reuse': await portReuse(bed),
      ...(await strictArp(bed)),
      ...(await directReturn(bed)),
    };
  } finally {
    await bed.stop();
  }
}

async function draining(bed: Bed): Promise<Record<string, unknown>> {
  const runner = bed.runner('node');
  const load = createLoad(runner, 4, { ipvsTCPFinTimeout: 1_000 });
  const key = 'tcp 10.96.0.20:80';
  await load(objects(['10.244.1.2']));
  const [greeting] = await bed.ask('pod', { op: 'open', flow: 'kept', protocol: 'TCP', host: '10.96.0.20', port: 80 });
  const { sent } = await load(objects(['10.244.1.3']));
  const idle = (await createIpvs(runner).read()).get(key)?.reals.get('10.244.1.2:8080')?.weight;
  const [fresh] = await bed.ask('pod', {
    op: 'probe',
    probes: [{ protocol: 'TCP', host: '10.96.0.20', port: 80, from: '10.244.1.77', want: 2, tries: 6, timeout: 5_000 }],
  });
  const [echoed] = await bed.ask('pod', { op: 'echo', flow: 'kept', text: 'still here', timeout: 10_000 });
  await bed.ask('pod', { op: 'close', flow: 'kept' });
  const left = await until(
    async () => (await createIpvs(runner).connections()).get(key)?.get('10.244.1.2:8080'),
    (count) => count === 0,
  );
  await load(objects(['10.244.1.3']));
  const reals = [...((await createIpvs(runner).read()).get(key)?.reals.keys() ?? [])];
  return {
    draining: { greeting, sent: sent.includes('-e -t 10.96.0.20:80 -r 10.244.1.2:8080 -m -w 0'), idle, fresh, echoed, left, reals },
  };
}

/** A process of the node that chooses no source gets the service's own address, which no endpoint could answer to: it has to be masqueraded. */
async function ownSource(bed: Bed): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {};
  const local: Partial<Service['spec']> = { externalIPs: ['203.0.113.56'], externalTrafficPolicy: 'Local' };
  for (const [name, clusterCIDRs, host] of [
    ['cluster IP', ['10.244.0.0/16'], '10.96.0.20'],
    ['cluster IP without cluster CIDR', [], '10.96.0.20'],
    ['external IP, policy Local', ['10.244.0.0/16'], '203.0.113.56'],
  ] as const) {
    await createLoad(bed.runner('node'), 4, { clusterCIDRs: [...clusterCIDRs] })(objects(['10.244.1.3'], local));
    [answers[name]] = await bed.ask('node', { op: 'open', flow: name, protocol: 'TCP', host, port: 80 });
    await bed.ask('node', { op: 'close', flow: name });
  }
  return { 'own source': answers };
}

async function udp(bed: Bed): Promise<Record<string, unknown>> {
  const load = createLoad(bed.runner('node'), 4);
  const spec: Partial<Service['spec']> = { ports: [{ name: 'http', port: 80, protocol: 'UDP' }] };
  await load(objects(['10.244.1.2'], spec));
  const [first] = await bed.ask('pod', { op: 'open', flow: 'asking', protocol: 'UDP', host: '10.96.0.20', port: 80 });
  await load(objects(['10.244.1.3'], spec));
  const [second] = await until(
    () => bed.ask('pod', { op: 'echo', flow: 'asking', text: 'again', timeout: 2_000 }),
    ([answer]) => answer !== undefined && answer.startsWith('here'),
  );
  await bed.ask('pod', { op: 'close', flow: 'asking' });
  return { udp: { first, second } };
}

/** SYNs that were sent again, over five connections from one port, each right after the last. */
async function portReuse(bed: Bed): Promise<unknown> {
  await createLoad(bed.runner('node'), 4)(objects(['10.244.1.2', '10.244.1.3']));
  const file = fileURLToPath(new URL(`./port-reuse${extname(import.meta.url)}`, import.meta.url));
  const child = bed.spawn('pod', file, ['10.96.0.20', '80']);
  const [answer] = (await once(child, 'message')) as [unknown];
  return answer;
}

/** Whether the node answers ARP for an address of its dummy link, without and with strict ARP. */
async function strictArp(bed: Bed): Promise<Record<string, unknown>> {
  const strangers = bed.runner('strangers');
  await strangers.run('ip', ['route', 'replace', '203.0.113.55/32', 'dev', 'eth0']);
  const spec: Partial<Service['spec']> = { externalIPs: ['203.0.113.55'] };
  const ask = async (): Promise<string> => {
    await strangers.run('ip', ['neigh', 'flush', 'dev', 'eth0']);
    const probe = { protocol: 'TCP', host: '203.0.113.55', port: 80, from: '192.0.2.5', want: 1, tries: 1, timeout: 6_000 } as const;
    const [answer = ''] = await bed.ask('strangers', { op: 'probe', probes: [probe] });
    return answer.replace(/ .*/, '');
  };
  await createLoad(bed.runner('node'), 4)(objects(['10.244.1.2'], spec));
  const lax = await ask();
  await createLoad(bed.runner('node'), 4, { ipvsStrictARP: true })(objects(['10.244.1.2'], spec));
  const strict = await ask();
  await writeSysctls(bed.runner('node'), [['net/ipv4/conf/all/arp_ignore', '0']]);
  return { arp: { lax, strict } };
}

/** A stranger asks an external address; the endpoint holds it, and answers from it. */
async function directReturn(bed: Bed): Promise<Record<string, unknown>> {
  const pod = bed.runner('here');
  await writeSysctls(pod, [
    ['net/ipv4/conf/all/arp_ignore', '1'],
    ['net/ipv4/conf/all/rp_filter', '0'],
    ['net/ipv4/conf/default/rp_filter', '0'],
  ]);
  await pod.run('ip', ['addr', 'add', '203.0.113.7/32', 'dev', 'lo']);
  const spec: Partial<Service['spec']> = { externalIPs: ['203.0.113.7'], ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] };
  const answers: Record<string, unknown> = {};
  for (const method of ['droute', 'tunnel'] as const) {
    if (method === 'tunnel') {
      await pod.run('ip', ['link', 'set', 'tunl0', 'up']);
      await writeSysctls(pod, [['net/ipv4/conf/tunl0/rp_filter', '0']]);
    }
    await createLoad(bed.runner('node'), 4)(objects(['10.244.1.3'], spec, { 'kube-router.io/service.dsr': method }));
    const probe = { protocol: 'TCP', host: '203.0.113.7', port: 8080, from: '192.0.2.5', want: 1, tries: 2, timeout: 5_000 } as const;
    [answers[method]] = await bed.ask('strangers', { op: 'probe', probes: [probe] });
  }
  return { 'direct return': answers };
}
