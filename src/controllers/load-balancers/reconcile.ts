import { type Family, tryParseAddress } from '../../net/index.ts';
import { type LoadBalancerIngress, objectKey, resources, type Service } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, watch } from '../controller.ts';
import { familiesOf } from '../endpoints/pod-endpoints.ts';
import { sameMeaning } from '../equal.ts';
import { byAge, isDeleting } from '../metadata.ts';
import { type AddressRange, firstFree, poolHolds } from './pool.ts';

export interface LoadBalancerOptions {
  readonly pools: readonly AddressRange[];
  /** The spec.loadBalancerClass that is ours, besides none. */
  readonly loadBalancerClass: string;
}

/** Gives Services of type LoadBalancer their addresses. All services are one key, for what one may have depends on all others. */
export const loadBalancerController = (options: LoadBalancerOptions): Controller => ({
  name: 'service',
  component: 'service-controller',
  workers: 1,
  watches: [
    watch(resources.services, (before, after) => (before && after && sameMeaning(state(before), state(after)) ? [] : ['services'])),
  ],
  reconcile(_key, view, failure) {
    const decisions = decideAddresses(view.list(resources.services), options);
    const actions = decisions.flatMap((decision) => act(decision, failure !== undefined));
    return actions.length > 0 ? { actions: [{ do: 'together', actions }] } : nothing;
  },
});

/** What of a service decides about its addresses. */
const state = ({ metadata, spec, status }: Service): unknown => [
  metadata.deletionTimestamp !== undefined,
  spec.type,
  spec.loadBalancerClass,
  spec.loadBalancerIP,
  spec.ipFamilies,
  status?.loadBalancer,
];

export interface Decision {
  readonly service: Service;
  readonly addresses: readonly string[];
  /** Why it lacks an address. */
  readonly problem?: string;
}

const isOurs = ({ spec }: Service, { loadBalancerClass }: LoadBalancerOptions): boolean =>
  spec.type === 'LoadBalancer' && (!spec.loadBalancerClass || spec.loadBalancerClass === loadBalancerClass);

const ingressOf = ({ status }: Service): readonly LoadBalancerIngress[] => status?.loadBalancer?.ingress ?? [];

/**
 * Which addresses each service is to have. What services have already is honoured first, the older before the younger where two have the same;
 * then those that ask for one, then the others in order of age. Services that are none of ours and have no addresses of the pools are left out. Pure.
 */
export function decideAddresses(services: readonly Service[], options: LoadBalancerOptions): Decision[] {
  const { pools } = options;
  const used = new Map<string, Service>();
  const sorted = [...services].sort(byAge);
  const ours = sorted.filter((service) => isOurs(service, options) && !isDeleting(service));
  // Until a service is gone its address still leads to its endpoints on some node.
  for (const service of sorted) {
    if (isOurs(service, options) && !isDeleting(service)) continue;
    if (isDeleting(service)) for (const { ip } of ingressOf(service)) if (ip && inPool(ip)) used.set(canonical(ip), service);
  }
  const kept = new Map(ours.map((service) => [service, keep(service)]));
  const decisions = new Map<Service, Decision>();
  for (const service of [...ours.filter(({ spec }) => spec.loadBalancerIP), ...ours.filter(({ spec }) => !spec.loadBalancerIP)])
    decisions.set(service, complete(service, kept.get(service)!));
  const released = sorted
    .filter(
      (service) => service.spec.type !== 'LoadBalancer' && !isDeleting(service) && ingressOf(service).some(({ ip }) => ip && inPool(ip)),
    )
    .map((service): Decision => ({ service, addresses: [] }));
  return [...ours.map((service) => decisions.get(service)!), ...released];

  function inPool(ip: string): boolean {
    const address = tryParseAddress(ip);
    return address !== undefined && poolHolds(pools, address);
  }

  /** Of what the service has: one address of each of its families, in the pools and not another's; the requested one alone if it asks. */
  function keep(service: Service): string[] {
    const request = requested(service);
    const addresses: string[] = [];
    for (const family of familiesOf(service)) {
      const found = ingressOf(service)
        .map(({ ip = '' }) => tryParseAddress(ip))
        .find(
          (address) =>
            address?.family === family &&
            poolHolds(pools, address) &&
            !used.has(address.text) &&
            (request?.family !== family || request.text === address.text),
        );
      if (!found) continue;
      used.set(found.text, service);
      addresses.push(found.text);
    }
    return addresses;
  }

  function complete(service: Service, has: readonly string[]): Decision {
    const request = requested(service);
    const addresses: string[] = [];
    const problems: string[] = [];
    if (service.spec.loadBalancerIP && !request)
      problems.push(`requested address ${JSON.stringify(service.spec.loadBalancerIP)} is no IP address`);
    for (const family of familiesOf(service)) {
      const held = has.find((text) => tryParseAddress(text)?.family === family);
      const found = held ?? take(service, family, request?.family === family ? request.text : undefined, problems);
      if (found !== undefined) addresses.push(found);
    }
    if (request && !familiesOf(service).includes(request.family))
      problems.push(`requested address ${request.text} is of none of the service's IP families`);
    return { service, addresses, ...(problems.length > 0 ? { problem: problems.join('; ') } : {}) };
  }

  function take(service: Service, family: Family, request: string | undefined, problems: string[]): string | undefined {
    const refuse = (problem: string): undefined => void problems.push(problem);
    if (request !== undefined && !inPool(request)) return refuse(`requested address ${request} is in no pool`);
    const owner = request === undefined ? undefined : used.get(request);
    if (owner) return refuse(`requested address ${request} is in use by service ${objectKey(owner)}`);
    const found = request ?? firstFree(pools, family, (text) => used.has(text));
    if (found === undefined) {
      const names = pools.filter((range) => range.family === family).map(({ text }) => text);
      return refuse(
        names.length > 0 ? `no free IPv${family} address in ${names.join(', ')}` : `there is no pool of IPv${family} addresses`,
      );
    }
    used.set(found, service);
    return found;
  }
}

const canonical = (ip: string): string => tryParseAddress(ip)?.text ?? ip;
const requested = ({ spec }: Service) => (spec.loadBalancerIP ? tryParseAddress(spec.loadBalancerIP) : undefined);

function act({ service, addresses, problem }: Decision, isRetry: boolean): Action[] {
  const before = ingressOf(service);
  const same = before.length === addresses.length && addresses.every((ip) => before.some((ingress) => canonical(ingress.ip ?? '') === ip));
  const note = (type: 'Normal' | 'Warning', reason: string, message: string) => ({ regarding: service, type, reason, message }) as const;
  const actions: Action[] = [];
  if (!same) {
    const ingress = addresses.map((ip): LoadBalancerIngress => ({ ip, ipMode: 'VIP' }));
    const success =
      addresses.length > 0
        ? note('Normal', 'EnsuredLoadBalancer', 'Ensured load balancer')
        : note('Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
    actions.push({
      do: 'patch',
      resource: resources.services,
      object: service,
      subresource: 'status',
      // By revision: what was decided holds for the service as it was seen.
      patch: {
        metadata: { resourceVersion: service.metadata.resourceVersion },
        status: { loadBalancer: ingress.length ? { ingress } : { ingress: null } },
      },
      success,
    });
  }
  // A repeat after a failed write has told its warnings already.
  if (problem !== undefined && !isRetry)
    actions.push({
      do: 'event',
      event: note('Warning', 'SyncLoadBalancerFailed', `Error syncing load balancer: failed to ensure load balancer: ${problem}`),
    });
  return actions;
}
