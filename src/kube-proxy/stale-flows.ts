import type { TrackedFlow } from '../dataplane/flows.ts';
import { joinHostPort } from '../net/index.ts';
import { addressesOf, type ProxyModel, type ServicePortModel } from './model.ts';

// UDP has no end that connection tracking could see: a client that goes on sending from the same port keeps the endpoint it once had,
// even when that is gone. Such flows must be deleted when an endpoint, a port or a service goes (k/k#125467, #139628, #141371).

/** Who answers at the addresses and node ports of the UDP services. */
interface UdpFrontends {
  readonly byAddress: ReadonlyMap<string, ReadonlySet<string>>;
  readonly byNodePort: ReadonlyMap<number, ReadonlySet<string>>;
}

const known = new WeakMap<ProxyModel, UdpFrontends>();

function frontendsOf(model: ProxyModel): UdpFrontends {
  const before = known.get(model);
  if (before) return before;
  const byAddress = new Map<string, ReadonlySet<string>>();
  const byNodePort = new Map<number, ReadonlySet<string>>();
  for (const service of model.services) {
    if (service.protocol !== 'UDP') continue;
    const serving = servingOf(service);
    for (const address of addressesOf(service)) {
      const key = joinHostPort(address, service.port);
      if (!byAddress.has(key)) byAddress.set(key, serving);
    }
    if (service.nodePort !== undefined) byNodePort.set(service.nodePort, serving);
  }
  const frontends = { byAddress, byNodePort };
  known.set(model, frontends);
  return frontends;
}

/** A flow to an endpoint that terminates but still serves is left to it. */
const servingOf = ({ endpoints }: ServicePortModel): ReadonlySet<string> =>
  new Set(endpoints.filter(({ ready, serving }) => ready || serving).map(({ text }) => text));

/** Whether flows may have become stale between the two models; without a model from before, whether there are UDP services at all. */
export function mayHaveStaleFlows(before: ProxyModel | undefined, after: ProxyModel): boolean {
  const now = frontendsOf(after);
  if (!before) return now.byAddress.size > 0;
  const was = frontendsOf(before);
  return lost(was.byAddress, now.byAddress) || lost(was.byNodePort, now.byNodePort);
}

function lost<Key>(was: ReadonlyMap<Key, ReadonlySet<string>>, now: ReadonlyMap<Key, ReadonlySet<string>>): boolean {
  for (const [key, backends] of was) {
    const left = now.get(key);
    // From none to some: flows that were let pass or refused must find the new endpoint.
    if (!left || (backends.size === 0 && left.size > 0)) return true;
    for (const backend of backends) if (!left.has(backend)) return true;
  }
  for (const key of now.keys()) if (!was.has(key)) return true;
  return false;
}

/** The flows that go where their service no longer has an endpoint. `nodeAddresses` are the node's own; flows of others are never among them. */
export function staleFlows(
  flows: readonly TrackedFlow[],
  before: ProxyModel | undefined,
  after: ProxyModel,
  nodeAddresses: ReadonlySet<string>,
): TrackedFlow[] {
  const now = frontendsOf(after);
  const was = before && frontendsOf(before);
  return flows.filter(({ original, reply }) => {
    const backend = joinHostPort(reply.source, reply.sourcePort);
    const key = joinHostPort(original.destination, original.destinationPort);
    const current = now.byAddress.get(key);
    if (current) return !current.has(backend);
    if (was?.byAddress.get(key)?.has(backend)) return true;
    const port = original.destinationPort;
    const former = was?.byNodePort.get(port)?.has(backend) === true;
    const atNodePort = now.byNodePort.get(port);
    if (atNodePort) return (former || nodeAddresses.has(original.destination)) && !atNodePort.has(backend);
    return former && reply.source !== original.destination;
  });
}
