import { realServerKey, type VirtualServer, virtualServerKey, type VirtualServers } from './ipvs.ts';
import type { IpvsOperation } from './ipvs-diff.ts';

/** What the kernel would have answered to an operation. `operation` counts from 0. */
export class IpvsRefusal extends Error {
  readonly operation: number;
  constructor(operation: number, detail: string) {
    super(detail);
    this.name = 'IpvsRefusal';
    this.operation = operation;
  }
}

/** The virtual servers after the operations; `before` stays as it is. @throws IpvsRefusal for what exists already, or does not exist */
export function applyIpvs(before: VirtualServers, operations: readonly IpvsOperation[]): Map<string, VirtualServer> {
  const servers = new Map(before);
  for (const [index, operation] of operations.entries()) {
    const key = virtualServerKey(operation.server);
    const known = servers.get(key);
    const refuse = (detail: string): never => {
      throw new IpvsRefusal(index, detail);
    };
    if (operation.op === 'add-server') {
      if (known) refuse('Service already exists');
      servers.set(key, { ...operation.server, reals: new Map() });
      continue;
    }
    const missing = 'real' in operation ? 'Service not defined' : 'No such service';
    const server = known ?? refuse(missing);
    if (operation.op === 'delete-server') servers.delete(key);
    else if (operation.op === 'edit-server') servers.set(key, { ...operation.server, reals: server.reals });
    else {
      const realKey = realServerKey(operation.real);
      const reals = new Map(server.reals);
      if (operation.op === 'add-real' && reals.has(realKey)) refuse('Destination already exists');
      if (operation.op !== 'add-real' && !reals.has(realKey)) refuse('No such destination');
      if (operation.op === 'delete-real') reals.delete(realKey);
      else reals.set(realKey, operation.real);
      servers.set(key, { ...server, reals });
    }
  }
  return servers;
}
