import { joinHostPort } from '../net/index.ts';
import type { ProxyProblem, ServicePortModel } from './model.ts';

/** Who serves at what, by {@link claimsOf}. */
export type Claims = Map<string, ServicePortModel>;

const keyOf = ({ protocol, port }: ServicePortModel, address: string): string => `${protocol} ${joinHostPort(address, port)}`;
const nodePortKey = ({ protocol }: ServicePortModel, nodePort: number): string => `${protocol} ${nodePort}`;

/** The addresses with port, and the node port, that no other service port may have. */
export const claimsOf = (service: ServicePortModel): string[] => {
  const claims = [keyOf(service, service.clusterIP)];
  for (const address of service.externalIPs) claims.push(keyOf(service, address));
  for (const address of service.loadBalancerIPs) claims.push(keyOf(service, address));
  if (service.nodePort !== undefined) claims.push(nodePortKey(service, service.nodePort));
  return claims;
};

/**
 * Gives each address, port and protocol to one service: cluster IPs first, then the others by the order of the services. What a service
 * loses is left out of its model and told, so that every renderer decides alike. Services without a conflict come back as they are.
 */
export function settleClaims(
  services: readonly ServicePortModel[],
  problems: ProxyProblem[],
): { services: ServicePortModel[]; claims: Claims } {
  const owners: Claims = new Map();
  for (const service of services) {
    const key = keyOf(service, service.clusterIP);
    if (!owners.has(key)) owners.set(key, service);
  }
  const claim = (service: ServicePortModel, key: string, field: string, what: string): boolean => {
    const owner = owners.get(key);
    if (!owner || owner === service) {
      owners.set(key, service);
      return true;
    }
    problems.push({ object: `Service ${service.service}`, field, reason: `${what} is already used by ${owner.name}` });
    return false;
  };
  const settled = services.flatMap((service) => {
    const isFree = (field: string) => (address: string) =>
      claim(service, keyOf(service, address), field, joinHostPort(address, service.port));
    if (!isFree('spec.clusterIPs')(service.clusterIP)) return [];
    const externalIPs = service.externalIPs.filter(isFree('spec.externalIPs'));
    const loadBalancerIPs = service.loadBalancerIPs.filter(isFree('status.loadBalancer.ingress'));
    const { nodePort } = service;
    const hasNodePort =
      nodePort !== undefined && claim(service, nodePortKey(service, nodePort), 'spec.ports.nodePort', `node port ${nodePort}`);
    const lostNothing =
      externalIPs.length === service.externalIPs.length &&
      loadBalancerIPs.length === service.loadBalancerIPs.length &&
      hasNodePort === (nodePort !== undefined);
    return [lostNothing ? service : { ...service, externalIPs, loadBalancerIPs, nodePort: hasNodePort ? nodePort : undefined }];
  });
  return { services: settled, claims: owners };
}
