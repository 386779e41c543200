import { joinHostPort } from '../net/index.ts';
import type { ForwardingMethod, IpvsProtocol, RealServer, VirtualServer, VirtualServers } from './ipvs.ts';
import type { IpvsOperation } from './ipvs-diff.ts';

const protocolFlags: Readonly<Record<IpvsProtocol, string>> = { tcp: '-t', udp: '-u', sctp: '--sctp-service' };
const methodFlags: Readonly<Record<ForwardingMethod, string>> = { masq: '-m', droute: '-g', tunnel: '-i' };

/** The operation as one line of the input of `ipvsadm -R`. */
function printIpvsOperation(operation: IpvsOperation): string {
  const { server } = operation;
  const service = `${protocolFlags[server.protocol]} ${joinHostPort(server.address, server.port)}`;
  switch (operation.op) {
    case 'add-server':
      return `-A ${service} ${printServer(operation.server)}`;
    case 'edit-server':
      return `-E ${service} ${printServer(operation.server)}`;
    case 'delete-server':
      return `-D ${service}`;
    case 'add-real':
      return `-a ${service} ${printReal(operation.real)}`;
    case 'edit-real':
      return `-e ${service} ${printReal(operation.real)}`;
    case 'delete-real':
      return `-d ${service} -r ${joinHostPort(operation.real.address, operation.real.port)}`;
  }
}

/** The input of `ipvsadm -R`. */
export const printIpvsRestore = (operations: readonly IpvsOperation[]): string =>
  operations.map((operation) => `${printIpvsOperation(operation)}\n`).join('');

/** The virtual servers as `ipvsadm -Sn` writes them. */
export const printIpvsSave = (servers: VirtualServers): string =>
  printIpvsRestore(
    [...servers.values()].flatMap((server): IpvsOperation[] => [
      { op: 'add-server', server },
      ...[...server.reals.values()].map((real) => ({ op: 'add-real', server, real }) as const),
    ]),
  );

function printServer({ scheduler, schedulerFlags, persistence, persistenceMask, onePacket }: VirtualServer): string {
  const words = ['-s', scheduler];
  if (persistence !== undefined) words.push('-p', `${persistence}`);
  if (persistenceMask !== undefined) words.push('-M', persistenceMask);
  if (onePacket) words.push('-o');
  if (schedulerFlags.length > 0) words.push('-b', schedulerFlags.join(','));
  return words.join(' ');
}

const printReal = ({ address, port, method, weight }: RealServer): string =>
  `-r ${joinHostPort(address, port)} ${methodFlags[method]} -w ${weight}${method === 'tunnel' ? ' --tun-type ipip' : ''}`;
