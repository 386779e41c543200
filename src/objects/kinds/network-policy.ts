import { prefixContains, tryParsePrefix } from '../../net/index.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, orNone } from '../print/columns.ts';
import { resources } from '../resource.ts';
import { formatLabelSelector } from '../selectors.ts';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, notSupported, required } from '../validation/causes.ts';
import { validateLabelSelector } from '../validation/label-selector.ts';
import { cidr, portName, portNumber } from '../validation/names.ts';
import { declareKind } from './declare.ts';

const protocols = ['TCP', 'UDP', 'SCTP'];

export const networkPolicyKind = declareKind({
  resource: resources.networkPolicies,
  shortNames: ['netpol'],
  generationOf: ['spec'],
  defaults(policy) {
    const spec: NonNullable<NetworkPolicy['spec']> = (policy.spec ??= {});
    spec.podSelector ??= {};
    for (const { ports = [] } of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of ports) port.protocol ??= 'TCP';
    if (!spec.policyTypes || spec.policyTypes.length === 0) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate: ({ spec }: AnyObject) => validateSpec(spec ?? {}),
  columns: [
    nameColumn,
    column('Pod-Selector', 'Label selector of the pods.', ({ spec }) => orNone(formatLabelSelector(spec?.podSelector))),
    ageColumn,
  ],
});

function validateSpec(spec: NonNullable<NetworkPolicy['spec']>): StatusCause[] {
  const causes = validateLabelSelector(spec.podSelector, 'spec.podSelector');
  for (const [index, { from = [], ports = [] }] of (spec.ingress ?? []).entries()) {
    causes.push(...validatePorts(ports, `spec.ingress[${index}].ports`), ...validatePeers(from, `spec.ingress[${index}].from`));
  }
  for (const [index, { to = [], ports = [] }] of (spec.egress ?? []).entries()) {
    causes.push(...validatePorts(ports, `spec.egress[${index}].ports`), ...validatePeers(to, `spec.egress[${index}].to`));
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2) causes.push(invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  else {
    for (const [index, type] of types.entries()) {
      if (type !== 'Ingress' && type !== 'Egress') causes.push(notSupported(`spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']));
    }
  }
  return causes;
}

function validatePorts(ports: readonly NetworkPolicyPort[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [index, { protocol, port, endPort }] of ports.entries()) {
    const field = `${at}[${index}]`;
    if (protocol && !protocols.includes(protocol)) causes.push(notSupported(`${field}.protocol`, protocol, protocols));
    if (port === undefined) {
      if (endPort !== undefined) causes.push(required(`${field}.port`, 'must be specified when `endPort` is specified'));
    } else if (typeof port === 'number') {
      causes.push(...invalids(`${field}.port`, port, portNumber(port)));
      if (endPort !== undefined) {
        if (endPort < port) causes.push(invalid(`${field}.endPort`, endPort, 'must be greater than or equal to `port`'));
        causes.push(...invalids(`${field}.endPort`, endPort, portNumber(endPort)));
      }
    } else {
      if (endPort !== undefined) causes.push(invalid(`${field}.endPort`, endPort, 'may not be specified when `port` is non-numeric'));
      causes.push(...invalids(`${field}.port`, port, portName(port)));
    }
  }
  return causes;
}

function validatePeers(peers: readonly NetworkPolicyPeer[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [index, { podSelector, namespaceSelector, ipBlock }] of peers.entries()) {
    const field = `${at}[${index}]`;
    if (podSelector) causes.push(...validateLabelSelector(podSelector, `${field}.podSelector`));
    if (namespaceSelector) causes.push(...validateLabelSelector(namespaceSelector, `${field}.namespaceSelector`));
    if (ipBlock) causes.push(...validateBlock(ipBlock, `${field}.ipBlock`));
    if (!podSelector && !namespaceSelector && !ipBlock) causes.push(required(field, 'must specify a peer'));
    else if (ipBlock && (podSelector || namespaceSelector)) causes.push(forbidden(field, 'may not specify both ipBlock and another peer'));
  }
  return causes;
}

function validateBlock(block: NonNullable<NetworkPolicyPeer['ipBlock']>, at: string): StatusCause[] {
  if (!block.cidr) return [required(`${at}.cidr`)];
  const causes = invalids(`${at}.cidr`, block.cidr, cidr(block.cidr));
  const outer = tryParsePrefix(block.cidr);
  for (const [index, text] of (block.except ?? []).entries()) {
    const field = `${at}.except[${index}]`;
    causes.push(...invalids(field, text, cidr(text)));
    const inner = tryParsePrefix(text);
    if (outer && inner && !(prefixContains(outer, inner.address) && inner.length > outer.length)) {
      causes.push(invalid(field, text, `must be a strict subset of \`cidr\``));
    }
  }
  return causes;
}
