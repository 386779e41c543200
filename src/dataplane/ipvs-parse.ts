import { isPort, joinHostPort, tryParseAddress } from '../net/index.ts';
import {
  type ForwardingMethod,
  type IpvsProtocol,
  type RealServer,
  realServerKey,
  type ServerConnections,
  type VirtualServer,
  virtualServerKey,
} from './ipvs.ts';

/** Text that is not what ipvsadm writes. `line` counts from 1. */
export class IpvsSyntaxError extends Error {
  readonly line: number;
  constructor(line: number, detail: string) {
    super(`ipvsadm output, line ${line}: ${detail}`);
    this.name = 'IpvsSyntaxError';
    this.line = line;
  }
}

type Changeable = Omit<VirtualServer, 'reals'> & { readonly reals: Map<string, RealServer> };

/**
 * Reads the output of `ipvsadm -Sn` (ipvsadm-save -n). Virtual servers known by a firewall mark are left out, with their real servers.
 * @throws IpvsSyntaxError for a line that is neither a virtual nor a real server, or holds an option that is not known
 */
export function parseIpvsSave(text: string): Map<string, VirtualServer> {
  const servers = new Map<string, Changeable>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const words = line.trim().split(/\s+/);
    const fail = (detail: string): never => {
      throw new IpvsSyntaxError(index + 1, `${detail}: ${line.slice(0, 200)}`);
    };
    if (words[1] === '-f') continue;
    const protocol = protocols[words[1] ?? ''] ?? fail('no virtual service');
    const service = readEndpoint(words[2]) ?? fail('no ADDRESS:PORT');
    const rest = words.slice(3);
    if (words[0] === '-A') {
      const server = readServer({ ...service, protocol }, rest, fail);
      servers.set(virtualServerKey(server), server);
    } else if (words[0] === '-a') {
      const server = servers.get(virtualServerKey({ ...service, protocol })) ?? fail('real server of a virtual server not told before');
      const real = readReal(rest, fail);
      server.reals.set(realServerKey(real), real);
    } else fail('neither -A nor -a');
  }
  return servers;
}

const protocols: Readonly<Record<string, IpvsProtocol>> = { '-t': 'tcp', '-u': 'udp', '--sctp-service': 'sctp' };

function readEndpoint(text: string | undefined): { address: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text ?? '');
  const address = tryParseAddress(match?.[1] ?? match?.[2] ?? '');
  const port = Number(match?.[3]);
  // Port 0 stands for every port of a persistent virtual server.
  return address && (port === 0 || isPort(port)) ? { address: address.text, port } : undefined;
}

function readServer(
  of: Pick<VirtualServer, 'address' | 'port' | 'protocol'>,
  words: readonly string[],
  fail: (detail: string) => never,
): Changeable {
  const server: { -readonly [Key in keyof Changeable]: Changeable[Key] } = {
    ...of,
    scheduler: 'wlc',
    schedulerFlags: [],
    persistence: undefined,
    reals: new Map(),
  };
  for (let at = 0; at < words.length; at++) {
    const option = words[at]!;
    if (option === '-o') {
      server.onePacket = true;
      continue;
    }
    const value = words[++at] ?? fail(`${option} without a value`);
    if (option === '-s') server.scheduler = value;
    else if (option === '-b') server.schedulerFlags = value.split(',').sort();
    else if (option === '-M') server.persistenceMask = value;
    else if (option === '-p') server.persistence = readNumber(value) ?? fail('persistence is no number of seconds');
    // A persistence engine tells SIP calls apart, and nobody here makes one.
    else if (option !== '--pe') fail(`unknown option ${option}`);
  }
  return server;
}

const methods: Readonly<Record<string, ForwardingMethod>> = { '-m': 'masq', '-g': 'droute', '-i': 'tunnel' };

function readReal(words: readonly string[], fail: (detail: string) => never): RealServer {
  let endpoint: { address: string; port: number } | undefined;
  let method: ForwardingMethod = 'droute';
  let weight = 1;
  for (let at = 0; at < words.length; at++) {
    const option = words[at]!;
    const known = methods[option];
    if (known) {
      method = known;
      continue;
    }
    if (option === '--tun-nocsum' || option === '--tun-csum' || option === '--tun-remcsum') continue;
    const value = words[++at] ?? fail(`${option} without a value`);
    if (option === '-r') endpoint = readEndpoint(value) ?? fail('real server is no ADDRESS:PORT');
    else if (option === '-w') weight = readNumber(value) ?? fail('weight is no number');
    else if (!['--tun-type', '--tun-port', '-x', '-y'].includes(option)) fail(`unknown option ${option}`);
  }
  return { ...(endpoint ?? fail('no real server')), method, weight };
}

const readNumber = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

/** Reads the connections out of the output of `ipvsadm -Ln`. @throws IpvsSyntaxError for a line that it does not know */
export function parseIpvsConnections(text: string): ServerConnections {
  const connections = new Map<string, Map<string, number>>();
  let current: Map<string, number> | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fail = (detail: string): never => {
      throw new IpvsSyntaxError(index + 1, `${detail}: ${line.slice(0, 200)}`);
    };
    if (line.trim() === '' || /^(IP Virtual Server|Prot LocalAddress|\s+-> RemoteAddress|FWM\s)/.test(line)) {
      if (line.startsWith('FWM')) current = undefined;
      continue;
    }
    const server = /^(TCP|UDP|SCTP)\s+(\S+)\s/.exec(line);
    if (server) {
      const { address, port } = readEndpoint(server[2]) ?? fail('no ADDRESS:PORT');
      current = new Map();
      connections.set(virtualServerKey({ protocol: server[1]!.toLowerCase() as IpvsProtocol, address, port }), current);
      continue;
    }
    const real = /^\s+->\s+(\S+)\s+\S+\s+\d+\s+(\d+)\s+(\d+)/.exec(line) ?? fail('neither a virtual nor a real server');
    const { address, port } = readEndpoint(real[1]) ?? fail('no ADDRESS:PORT');
    current?.set(joinHostPort(address, port), Number(real[2]) + Number(real[3]));
  }
  return connections;
}
