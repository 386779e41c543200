import { stringify } from 'yaml';
import type { DemoResult } from '../lab/demo.ts';
import type { LabLayout } from '../lab/layout.ts';
import type { LabStatus, NodeStatus } from '../lab/status.ts';
import type { Topology } from '../lab/topology.ts';
import { type OutputFormat, paint, renderTable } from './output.ts';

/** The whole of `lab status` as text. */
export function renderStatus(status: LabStatus, format: OutputFormat): string {
  if (format === 'json') return `${JSON.stringify(status, null, 2)}\n`;
  if (format === 'yaml') return stringify(status);
  const sections = [
    `lab ${status.lab}   API server ${status.apiServer}${status.supervised ? '' : paint('red', '   the supervisor is not running; podwire lab up starts it again')}\n`,
    renderTable([
      ['NODE', 'STATUS', 'ADDRESSES', 'POD CIDRS', 'DAEMONS', 'PODS', 'PEERS', 'ROUTES', 'SERVICES', 'POLICIES', 'DNS'],
      ...status.nodes.map(nodeLine),
    ]),
  ];
  if (format === 'wide') sections.push(...status.nodes.map(nodeDetails));
  const problems = status.nodes.flatMap(({ name, problem, agent }) =>
    [...(problem ? [problem] : []), ...(agent?.problems ?? [])].map((text) => `${name}: ${text}`),
  );
  if (problems.length > 0) sections.push(paint('yellow', `${problems.join('\n')}\n`));
  return sections.join('\n');
}

function nodeLine({ name, ready, addresses, podCIDRs, daemons, agent }: NodeStatus): string[] {
  const up = daemons.filter(({ running }) => running).length;
  const restarts = daemons.reduce((sum, daemon) => sum + daemon.restarts, 0);
  const established = agent?.routing.peers.filter(({ state }) => state === 'Established').length;
  const figures = agent
    ? [
        String(agent.attachments.items.length),
        `${established}/${agent.routing.peers.length} up`,
        String(agent.routing.routes.length),
        String(agent.proxy.services.length),
        String(agent.policies.items.length),
        `${agent.dns.records} records`,
      ]
    : ['?', '?', '?', '?', '?', '?'];
  return [
    name,
    ready.split(':')[0]!,
    addresses.join(','),
    podCIDRs.join(',') || '<none>',
    `${up}/${daemons.length}${restarts ? ` (${restarts} restarts)` : ''}`,
    ...figures,
  ];
}

/** `-o wide`: everything a node's agent tells. */
function nodeDetails({ name, namespace, daemons, agent }: NodeStatus): string {
  const parts = [paint('bold', `${name}   (ip netns exec ${namespace} ...)\n`)];
  const table = (header: readonly string[], lines: readonly (readonly string[])[]): void => {
    if (lines.length > 0) parts.push(renderTable([header, ...lines].map((line) => ['', ...line])));
  };
  table(
    ['DAEMON', 'PID', 'RESTARTS', 'SINCE'],
    daemons.map((daemon) => [daemon.name, daemon.running ? String(daemon.pid) : 'ended', String(daemon.restarts), daemon.startedAt]),
  );
  if (!agent) return parts.join('');
  table(
    ['PEER', 'ADDRESS', 'AS', 'STATE', 'UP', 'RECEIVED', 'ADVERTISED', 'LAST ERROR'],
    agent.routing.peers.map((peer) => [
      peer.name,
      peer.address,
      String(peer.asn),
      peer.state,
      `${Math.round(peer.uptimeSeconds)}s`,
      String(peer.received),
      String(peer.advertised),
      // What went wrong before the session came up is over once it is.
      peer.state === 'Established' ? '' : peer.lastError,
    ]),
  );
  table(
    ['ROUTE', 'NEXT HOP', 'FROM', 'KERNEL', 'WHY'],
    agent.routing.routes.map((route) => [route.prefix, route.nextHop, route.peer, route.inKernel ? 'yes' : 'no', route.reason]),
  );
  table(
    ['SERVICE PORT', 'PROTOCOL', 'ANSWERS AT', 'BACKENDS'],
    agent.proxy.services.map((service) => [
      service.name,
      service.protocol,
      service.frontends.join(' '),
      service.backends.join(' ') || '<none>',
    ]),
  );
  table(
    ['POLICY', 'DIRECTIONS', 'PODS HERE'],
    agent.policies.items.map((policy) => [policy.name, policy.directions.join(','), policy.pods.join(' ') || '<none>']),
  );
  table(
    ['POD', 'INTERFACE', 'ADDRESSES'],
    agent.attachments.items.map((attachment) => [attachment.pod, attachment.interface, attachment.addresses.join(' ')]),
  );
  table(
    ['ZONE', 'RECORDS', 'QUERIES', 'LISTENS ON'],
    [[agent.dns.zone, String(agent.dns.records), String(agent.dns.queries), agent.dns.listening.join(' ')]],
  );
  return parts.join('\n');
}

/** What the demo did, as a person would see it in a terminal. */
export function renderDemo({ commands, from, answers, note }: DemoResult): string {
  const typed = commands.map(({ command, output }) => `${paint('bold', `$ ${command}`)}\n${output}\n`);
  const lines = answers.map(({ pod, node }) => [pod, `on ${node}`]);
  return `\n${note ? `${paint('yellow', note)}\n` : typed.join('')}${paint('bold', `$ podwire lab pod-exec ${from} -- curl http://web`)}   (${answers.length} times; who answered:)\n${renderTable(lines)}\n`;
}

/** The next commands to try; `which` are the flags that name the lab. */
export function nextSteps(topology: Topology, layout: LabLayout, which: string, demoRan: boolean): string {
  const worker = topology.nodes.at(-1)!.name;
  const commands: readonly (readonly [string, string])[] = [
    [`export KUBECONFIG=${layout.adminKubeconfig}`, 'kubectl talks to this lab (npx podwire lab env prints it)'],
    ...(demoRan
      ? ([
          ['kubectl get pods,svc,endpointslices -o wide', 'what the three commands made'],
          ['kubectl scale deployment web --replicas=5', 'and watch: kubectl get pods -w'],
        ] as const)
      : ([['kubectl create deployment web --image=nginx', 'then scale it and expose it'] as const] as const)),
    [`npx podwire lab status${which} -o wide`, 'peers, routes, services, policies, zones of every node'],
    [`npx podwire lab exec${which} ${worker} -- ip route`, 'pod routes learned over BGP: proto 176'],
    [`npx podwire lab exec${which} ${worker} -- iptables -t nat -L KUBE-SERVICES -n`, 'the service rules in that kernel'],
    [`npx podwire lab down${which}`, 'removes every trace'],
  ];
  return `\n${paint('bold', 'Next:')}\n${renderTable(commands.map(([command, why]) => [`  ${command}`, paint('dim', why)]))}`;
}
