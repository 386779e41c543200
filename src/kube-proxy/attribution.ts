import { addressesOf, type ProxyModel, type ServicePortModel } from './model.ts';
import { joinHostPort } from '../net/index.ts';
import { clusterChain, endpointChain, externalChain, firewallChain, localChain } from './chain-names.ts';

/** Lines of a change that belong to one service port; those of none in particular come under ''. */
export interface AttributedLines {
  /** `namespace/name:port PROTOCOL`, or ''. */
  readonly service: string;
  /** The addresses and node ports by which its traffic comes. */
  readonly frontends: readonly string[];
  readonly lines: readonly string[];
}

/**
 * Tells whose each line of a change is: by the chains named after a service port, the address and port that stand in it, and the comments.
 * `models` are all that the lines may be about: the services of now, and those of before where they are known.
 */
export function attributeLines(lines: readonly string[], models: readonly ProxyModel[]): AttributedLines[] {
  const owners = new Map<string, ServicePortModel>();
  for (const { services } of models)
    for (const port of services) for (const token of tokensOf(port)) if (!owners.has(token)) owners.set(token, port);
  const byOwner = new Map<ServicePortModel | undefined, string[]>();
  for (const line of lines) {
    const owner = candidates(line)
      .map((token) => owners.get(token))
      .find((port) => port !== undefined);
    const own = byOwner.get(owner);
    if (own) own.push(line);
    else byOwner.set(owner, [line]);
  }
  return [...byOwner]
    .map(([port, own]) => ({ service: port ? `${port.name} ${port.protocol}` : '', frontends: port ? frontendsOf(port) : [], lines: own }))
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** `address:port` and `*:nodePort`. */
export const frontendsOf = (port: ServicePortModel): string[] => [
  ...addressesOf(port).map((address) => joinHostPort(address, port.port)),
  ...(port.nodePort === undefined ? [] : [`*:${port.nodePort}`]),
];

/** Words that stand in the lines of a service port and in no other's. */
function tokensOf(port: ServicePortModel): string[] {
  const protocol = port.protocol.toLowerCase();
  const addresses = addressesOf(port);
  return [
    ...[clusterChain, localChain, externalChain, firewallChain].map((name) => name(port)),
    ...port.endpoints.map((endpoint) => endpointChain(port, endpoint)),
    `"${port.name}`,
    `${port.service}/${protocol}/${port.name.slice(port.service.length + 1)}`,
    ...addresses.flatMap((address) => [
      `${address}.${protocol}.${port.port}`,
      `backends-${protocol} ${address}.${port.port}`,
      `${protocol} ${joinHostPort(address, port.port)}`,
      `address ${address}`,
    ]),
    ...port.endpoints.map(({ address, port: to }) => `loop ${address},${protocol}:${to}`),
    ...(port.nodePort === undefined
      ? []
      : [`${protocol}.${port.nodePort}`, `nodeport-backends-${protocol} ${port.nodePort}`, `${protocol} *:${port.nodePort}`]),
  ];
}

/** What in the line may be such a word, the most telling first. */
function candidates(line: string): string[] {
  const joined = line.replaceAll(' . ', '.');
  const found = [...(joined.match(/KUBE-(?:SVC|SVL|EXT|FW|SEP)-[A-Z2-7]{16}/g) ?? [])];
  // A comment, and the first word in it.
  found.push(...(joined.match(/"[\w.-]+\/[\w.:-]+/g) ?? []));
  for (const [, name] of joined.matchAll(/[\dA-F]{8}-([\w.-]+\/[\w.-]+\/(?:tcp|udp|sctp)\/[\w-]*)/g)) found.push(name!);
  const element = /^(?:add|delete) element \S+ \S+ (\S+) \{ (\S+)/.exec(joined);
  if (element) {
    const [, set = '', key = ''] = element;
    const family = set.replace(/^local-/, '');
    found.push(key, `${family} ${key.slice(0, key.lastIndexOf('.'))}`);
  }
  return [...found, ...candidatesOfIpvs(line)];
}

const ipvsProtocols: Readonly<Record<string, string>> = { '-t': 'tcp', '-u': 'udp', '--sctp-service': 'sctp' };

/** In the lines of ipvsadm, ipset and `ip`. */
function candidatesOfIpvs(line: string): string[] {
  const server = /^-[AaEeDd] (-t|-u|--sctp-service) (\S+:(\d+))/.exec(line);
  if (server) {
    const protocol = ipvsProtocols[server[1]!]!;
    return [`${protocol} ${server[2]}`, `${protocol} *:${server[3]}`];
  }
  const address = /^address (?:add|delete) (\S+)\//.exec(line);
  if (address) return [`address ${address[1]}`];
  const [, set = '', element = ''] = /^(?:add|del) (KUBE-\S+) (\S+)/.exec(line) ?? [];
  const nodePort = /-NODE-PORT-(?:LOCAL-)?(TCP|UDP)$/.exec(set);
  if (nodePort) return [`${nodePort[1]!.toLowerCase()} *:${element}`];
  const [ip = '', protocol, port] = element.split(/,|(?<=,(?:tcp|udp|sctp)):/);
  if (protocol === undefined) return [`address ${ip}`];
  return set.endsWith('LOOP-BACK')
    ? [`loop ${ip},${protocol}:${port}`]
    : [`${protocol} ${joinHostPort(ip, Number(port))}`, `${protocol} *:${port}`];
}
