import type { NetpolInput } from '../../src/netpol/index.ts';
import { compileNetpol, renderNft } from '../../src/netpol/index.ts';
import type { ContainerPort, Namespace, NetworkPolicy, Pod } from '../../src/objects/index.ts';
import { walkNft } from '../../src/packet-walk/index.ts';

type Labels = Record<string, string>;

export const namespace = (name: string, labels: Labels = {}): Namespace => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

/** `id` is `namespace/name`. */
export function pod(
  id: string,
  ips: string | string[],
  labels: Labels = {},
  more: { node?: string; ports?: ContainerPort[]; hostNetwork?: boolean; phase?: 'Running' | 'Succeeded' | 'Failed' } = {},
): Pod {
  const [ns, name] = id.split('/') as [string, string];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: ns, labels },
    spec: {
      nodeName: more.node ?? 'node1',
      ...(more.hostNetwork ? { hostNetwork: true } : {}),
      containers: [{ name: 'main', ports: more.ports ?? [] }],
    },
    status: { phase: more.phase ?? 'Running', podIPs: [ips].flat().map((ip) => ({ ip })) },
  };
}

export function policy(id: string, spec: NonNullable<NetworkPolicy['spec']>): NetworkPolicy {
  const [ns, name] = id.split('/') as [string, string];
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace: ns }, spec };
}

/**
 * Three namespaces with three pods each, as the upstream suite has them: x/a is 10.244.1.1 and fd00:10:244:1::1, x/b .2, x/c .3, y/a 10.244.2.1 and so on.
 * All on node1; each has the ports http 80/TCP, alt 81/TCP (in namespace z: alt 8081/TCP) and dns 53/UDP by name.
 */
export const gridPods = (): Pod[] =>
  ['x', 'y', 'z'].flatMap((ns, row) =>
    ['a', 'b', 'c'].map((name, column) =>
      pod(
        `${ns}/${name}`,
        [`10.244.${row + 1}.${column + 1}`, `fd00:10:244:${row + 1}::${column + 1}`],
        { pod: name },
        {
          ports: [
            { name: 'http', containerPort: 80 },
            { name: 'alt', containerPort: ns === 'z' ? 8081 : 81 },
            { name: 'dns', containerPort: 53, protocol: 'UDP' },
          ],
        },
      ),
    ),
  );
export const gridNamespaces = (): Namespace[] => ['x', 'y', 'z'].map((ns) => namespace(ns, { ns }));

export const input = (policies: NetworkPolicy[], more: Partial<NetpolInput> = {}): NetpolInput => ({
  nodeName: 'node1',
  policies,
  pods: gridPods(),
  namespaces: gridNamespaces(),
  ...more,
});

/** The answer to: may this connection be opened? By walking its first packet through the rules of the node. */
export function createWalker(from: NetpolInput) {
  const table = renderNft(compileNetpol(from), 'podwire-netpol');
  const addressOf = (who: string, family: 4 | 6): string => {
    const found = [...from.pods].find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === who);
    if (!found) return who;
    return found.status!.podIPs!.map(({ ip }) => ip).find((ip) => ip.includes(':') === (family === 6))!;
  };
  const allows = (source: string, destination: string, port = 80, protocol = 'tcp', family: 4 | 6 = 4, more: object = {}): boolean =>
    walkNft([table], 'forward', {
      from: addressOf(source, family),
      sourcePort: 40_000,
      to: addressOf(destination, family),
      port,
      protocol,
      ...more,
    }).verdict === 'accept';
  /** Pods of the grid that may open a connection to `destination`, e.g. `x/a x/b`. */
  const clientsOf = (destination: string, port = 80, protocol = 'tcp', family: 4 | 6 = 4): string =>
    ['x', 'y', 'z']
      .flatMap((ns) => ['a', 'b', 'c'].map((name) => `${ns}/${name}`))
      .filter((source) => allows(source, destination, port, protocol, family))
      .join(' ');
  return { table, allows, clientsOf };
}

export const everyone = 'x/a x/b x/c y/a y/b y/c z/a z/b z/c';
