import type { AnyObject } from '../kind.ts';
import { tryParsePrefix } from '../../net/index.ts';
import { ageColumn, column, nameColumn, orNone, wideColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { NodeAddress, StatusCause, Taint } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from '../validation/causes.ts';
import { quantityNanos } from '../quantity.ts';
import { cidr, labelValueRule, negativeText, qualifiedName } from '../validation/names.ts';
import { declareKind } from './declare.ts';

const rolePrefix = 'node-role.kubernetes.io/';
const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Ready, NotReady or Unknown, with SchedulingDisabled after it when cordoned. */
function nodeStatus({ spec, status }: AnyObject): string {
  const ready = (status?.conditions ?? []).find((condition: { type: string }) => condition.type === 'Ready');
  const state = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable ? `${state},SchedulingDisabled` : state;
}

function nodeRoles({ metadata }: AnyObject): string {
  const roles = new Set<string>();
  for (const [label, value] of Object.entries(metadata.labels ?? {})) {
    if (label.startsWith(rolePrefix) && label.length > rolePrefix.length) roles.add(label.slice(rolePrefix.length));
    else if (label === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return orNone([...roles].toSorted().join(','));
}

const addressOf = ({ status }: AnyObject, type: NodeAddress['type']): string =>
  orNone((status?.addresses ?? []).find((address: NodeAddress) => address.type === type)?.address);

const info = ({ status }: AnyObject, field: string): string => status?.nodeInfo?.[field] || '<unknown>';

export const nodeKind = declareKind({
  resource: resources.nodes,
  shortNames: ['no'],
  subresources: { status: true },
  // A kubelet registers its Node together with its status.
  keepsStatusOnCreate: true,
  defaults(node) {
    if (node.status?.capacity && !node.status.allocatable) node.status.allocatable = { ...node.status.capacity };
    const spec = node.spec;
    // podCIDR is the first of podCIDRs, whichever of them was given.
    if (spec?.podCIDRs?.length) spec.podCIDR = spec.podCIDRs[0];
    else if (spec?.podCIDR) spec.podCIDRs = [spec.podCIDR];
  },
  validate: (node, old) => [...validateNode(node), ...(old ? validateNodeUpdate(node, old) : [])],
  columns: [
    nameColumn,
    column('Status', 'Whether the node is ready, and whether it takes new pods.', nodeStatus),
    column('Roles', 'Roles from the labels node-role.kubernetes.io/ROLE.', nodeRoles),
    ageColumn,
    column('Version', 'Version of the node agent.', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
    wideColumn('Internal-IP', 'First address of type InternalIP.', (node) => addressOf(node, 'InternalIP')),
    wideColumn('External-IP', 'First address of type ExternalIP.', (node) => addressOf(node, 'ExternalIP')),
    wideColumn('OS-Image', 'Operating system as the node reports it.', (node) => info(node, 'osImage')),
    wideColumn('Kernel-Version', 'Kernel as the node reports it.', (node) => info(node, 'kernelVersion')),
    wideColumn('Container-Runtime', 'Container runtime as the node reports it.', (node) => info(node, 'containerRuntimeVersion')),
  ],
  selectable: { 'spec.unschedulable': ({ spec }) => spec?.unschedulable === true },
});

function validateNode({ spec = {}, status = {} }: AnyObject): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const list of ['capacity', 'allocatable']) {
    for (const [name, amount] of Object.entries<string>(status[list] ?? {})) {
      if ((quantityNanos(amount) ?? 0n) < 0n) causes.push(invalid(`status.${list}.${name}`, amount, negativeText));
    }
  }
  const cidrs: string[] = spec.podCIDRs ?? [];
  for (const [index, text] of cidrs.entries()) causes.push(...invalids(`spec.podCIDRs[${index}]`, text, cidr(text)));
  const families = cidrs.map((text) => tryParsePrefix(text)?.family);
  if (cidrs.length > 2) causes.push(invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'));
  else if (cidrs.length === 2 && families[0] !== undefined && families[0] === families[1]) {
    causes.push(invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'));
  }
  const seen = new Set<string>();
  for (const [index, taint] of ((spec.taints ?? []) as Taint[]).entries()) {
    const at = `metadata.taints[${index}]`;
    causes.push(...invalids(`${at}.key`, taint.key ?? '', qualifiedName(taint.key ?? '')));
    if (taint.value) causes.push(...invalids(`${at}.value`, taint.value, labelValueRule(taint.value)));
    if (!taint.effect) causes.push(required(`${at}.effect`));
    else if (!effects.includes(taint.effect)) causes.push(notSupported(`${at}.effect`, taint.effect, effects));
    const key = `${taint.key}:${taint.effect}`;
    if (seen.has(key)) {
      const shown = { Key: taint.key ?? '', Value: taint.value ?? '', Effect: taint.effect ?? '', TimeAdded: taint.timeAdded ?? null };
      const { message, ...cause } = duplicate(at, shown);
      causes.push({ ...cause, message: `${message}: taints must be unique by key and effect pair` });
    }
    seen.add(key);
  }
  return causes;
}

function validateNodeUpdate(node: AnyObject, old: AnyObject): StatusCause[] {
  const causes: StatusCause[] = [];
  const before: string[] = old.spec?.podCIDRs ?? [];
  const after: string[] = node.spec?.podCIDRs ?? [];
  if (before.length > 0 && before.join() !== after.join()) {
    causes.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  const provider = old.spec?.providerID;
  if (provider && provider !== node.spec?.providerID) {
    causes.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  return causes;
}
