import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, orNone } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { duplicate, invalid, invalids, notSupported, required, tooLong } from '../validation/causes.ts';
import { immutable } from '../validation/metadata.ts';
import { dnsSubdomain, immutableText, negativeText, qualifiedName } from '../validation/names.ts';
import { declareKind } from './declare.ts';

interface NodeDriver {
  name?: string;
  nodeID?: string;
  topologyKeys?: string[];
  allocatable?: { count?: number };
}

const maxDriverName = 63;
const maxNodeID = 192;
const driversOf = ({ spec }: AnyObject): NodeDriver[] => spec?.drivers ?? [];

/** storage.k8s.io/v1 CSINode: which volume drivers a node has. A kubelet creates its own. */
export const csiNodeKind = declareKind({
  resource: resources.csiNodes,
  needsResourceVersion: true,
  returnsDeleted: true,
  validate: (node, old) => [...validateNodeDrivers(driversOf(node)), ...(old ? validateNodeUpdate(node, old) : [])],
  columns: [nameColumn, column('Drivers', 'Number of volume drivers on the node.', (node) => driversOf(node).length, 'integer'), ageColumn],
});

/** storage.k8s.io/v1 CSIDriver: what the cluster knows of a volume driver. */
export const csiDriverKind = declareKind({
  resource: resources.csiDrivers,
  needsResourceVersion: true,
  returnsDeleted: true,
  defaults(driver) {
    const spec = (driver.spec ??= {});
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    spec.volumeLifecycleModes ??= ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  validate: (driver, old) => [...validateDriver(driver), ...(old ? validateDriverUpdate(driver, old) : [])],
  columns: [
    nameColumn,
    column(
      'AttachRequired',
      'Whether volumes are attached before they are mounted.',
      ({ spec }) => spec?.attachRequired ?? true,
      'boolean',
    ),
    column('PodInfoOnMount', 'Whether the driver is told of the pod.', ({ spec }) => spec?.podInfoOnMount ?? false, 'boolean'),
    column('StorageCapacity', 'Whether the scheduler looks at free capacity.', ({ spec }) => spec?.storageCapacity ?? false, 'boolean'),
    column('TokenRequests', 'Audiences of the tokens that the driver gets.', ({ spec }) =>
      spec?.tokenRequests ? spec.tokenRequests.map(({ audience }: { audience?: string }) => audience ?? '').join(',') : '<unset>',
    ),
    column(
      'RequiresRepublish',
      'Whether volumes are published again and again.',
      ({ spec }) => spec?.requiresRepublish ?? false,
      'boolean',
    ),
    column('Modes', 'Lifecycles of volumes that the driver knows.', ({ spec }) => orNone((spec?.volumeLifecycleModes ?? []).join(','))),
    ageColumn,
  ],
});

/** A driver's name: a DNS subdomain of 63 bytes; upper case is forgiven. */
function validateDriverName(name: string, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (name === '') causes.push(required(at));
  if (name.length > maxDriverName) causes.push(tooLong(at, maxDriverName));
  return [...causes, ...invalids(at, name, dnsSubdomain(name.toLowerCase()))];
}

function validateNodeDrivers(drivers: readonly NodeDriver[]): StatusCause[] {
  const causes: StatusCause[] = [];
  const names = new Set<string>();
  for (const [index, { name = '', nodeID = '', topologyKeys = [], allocatable }] of drivers.entries()) {
    const at = `spec.drivers[${index}]`;
    causes.push(...validateDriverName(name, `${at}.name`));
    if (nodeID === '') causes.push(required(`${at}.nodeID`));
    if (nodeID.length > maxNodeID) causes.push(invalid(`${at}.nodeID`, nodeID, `must be ${maxNodeID} characters or less`));
    if (allocatable?.count !== undefined && allocatable.count < 0) {
      causes.push(invalid(`${at}.allocatable.count`, allocatable.count, negativeText));
    }
    if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    names.add(name);
    for (const [position, key] of topologyKeys.entries()) {
      if (key === '') causes.push(required(at));
      if (topologyKeys.indexOf(key) < position) causes.push(duplicate(at, key));
      causes.push(...invalids(at, topologyKeys, qualifiedName(key)));
    }
  }
  return causes;
}

/** Drivers come and go; one that stays stays as it is. */
function validateNodeUpdate(node: AnyObject, old: AnyObject): StatusCause[] {
  const before = new Map(driversOf(old).map((driver) => [driver.name, driver]));
  return driversOf(node)
    .filter((driver) => before.has(driver.name) && !isDeepStrictEqual(driver, before.get(driver.name)))
    .map((driver) => invalid('CSINodeDriver', driver, immutableText));
}

const groupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType'];
const lifecycleModes = ['Persistent', 'Ephemeral'];
const minTokenSeconds = 600;

function validateDriver({ metadata, spec }: AnyObject): StatusCause[] {
  const causes = (metadata.name ?? '').length > maxDriverName ? [tooLong('metadata.name', maxDriverName)] : [];
  if (!groupPolicies.includes(spec.fsGroupPolicy)) causes.push(notSupported('spec.fsGroupPolicy', spec.fsGroupPolicy, groupPolicies));
  const audiences = new Set<string>();
  for (const [index, { audience = '', expirationSeconds }] of ((spec.tokenRequests ?? []) as TokenRequest[]).entries()) {
    const at = `spec.tokenRequests[${index}]`;
    if (audiences.has(audience)) causes.push(duplicate(`${at}.audience`, audience));
    audiences.add(audience);
    if (expirationSeconds !== undefined && expirationSeconds < minTokenSeconds) {
      causes.push(invalid(`${at}.expirationSeconds`, expirationSeconds, 'may not specify a duration less than 10 minutes'));
    }
  }
  for (const mode of spec.volumeLifecycleModes) {
    if (!lifecycleModes.includes(mode)) causes.push(notSupported('spec.volumeLifecycleModes', mode, lifecycleModes));
  }
  if (spec.nodeAllocatableUpdatePeriodSeconds < 10) {
    causes.push(
      invalid('spec.nodeAllocatableUpdatePeriodSeconds', spec.nodeAllocatableUpdatePeriodSeconds, 'must be greater than or equal to 10'),
    );
  }
  return causes;
}

interface TokenRequest {
  audience?: string;
  expirationSeconds?: number;
}

const validateDriverUpdate = ({ spec }: AnyObject, { spec: old }: AnyObject): StatusCause[] => [
  ...immutable('spec.attachedRequired', spec.attachRequired, old.attachRequired),
  ...immutable('spec.volumeLifecycleModes', spec.volumeLifecycleModes, old.volumeLifecycleModes),
];
