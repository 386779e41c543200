import { type AnyObject, serviceUse } from '../../objects/index.ts';
import type { CheckedObject, Finding } from './objects.ts';

/** What objects say of each other: namespaces, owners, uids, and addresses that belong to one Service each. */
export function checkReferences(objects: readonly CheckedObject[]): Finding[] {
  return [...checkNamespaces(objects), ...checkUids(objects), ...checkOwners(objects), ...checkServices(objects), ...checkNodes(objects)];
}

const ofPlural = (objects: readonly CheckedObject[], plural: string): CheckedObject[] =>
  objects.filter(({ kind }) => kind.resource.plural === plural);

function checkNamespaces(objects: readonly CheckedObject[]): Finding[] {
  const namespaces = new Set(ofPlural(objects, 'namespaces').map(({ object }) => object.metadata.name));
  return objects
    .filter(({ kind, object }) => kind.resource.namespaced && !namespaces.has(object.metadata.namespace ?? ''))
    .map(({ key, object }) => ({ severity: 'error', key, problem: `its namespace ${object.metadata.namespace} does not exist` }));
}

function checkUids(objects: readonly CheckedObject[]): Finding[] {
  return shared(objects.flatMap(({ key, object }) => (object.metadata.uid ? [[object.metadata.uid, key] as const] : []))).map(
    ([uid, keys]) => ({ severity: 'error', key: keys[0]!, problem: `its uid ${uid} is also that of ${keys.slice(1).join(', ')}` }),
  );
}

/** An owner that is gone is the garbage collector's to act on; one of another namespace is never found. */
function checkOwners(objects: readonly CheckedObject[]): Finding[] {
  const byUid = new Map(objects.map((each) => [each.object.metadata.uid, each]));
  const findings: Finding[] = [];
  for (const { key, kind, object } of objects) {
    for (const { uid, name, kind: ownerKind } of object.metadata.ownerReferences ?? []) {
      const owner = byUid.get(uid);
      const who = `its owner ${ownerKind} ${name} (${uid})`;
      if (!owner) findings.push({ severity: 'warning', key, problem: `${who} does not exist; the garbage collector removes the object` });
      else if (owner.object.kind !== ownerKind || owner.object.metadata.name !== name) {
        findings.push({ severity: 'error', key, problem: `${who} is really ${owner.key}` });
      } else if (
        owner.kind.resource.namespaced &&
        (!kind.resource.namespaced || owner.object.metadata.namespace !== object.metadata.namespace)
      ) {
        findings.push({ severity: 'error', key, problem: `${who} is in another namespace` });
      }
    }
  }
  return findings;
}

function checkServices(objects: readonly CheckedObject[]): Finding[] {
  const services = ofPlural(objects, 'services');
  const pairs = <T>(held: (service: AnyObject) => Iterable<T>) =>
    services.flatMap(({ key, object }) => Array.from(held(object), (value) => [String(value), key] as const));
  const addresses = shared(pairs((service) => serviceUse([service]).addresses));
  const ports = shared(pairs((service) => serviceUse([service]).nodePorts));
  return [
    ...addresses.map(([ip, keys]) => twice(keys, `cluster IP ${ip}`)),
    ...ports.map(([port, keys]) => twice(keys, `node port ${port}`)),
  ];
}

const twice = (keys: readonly string[], what: string): Finding => ({
  severity: 'error',
  key: keys[0]!,
  problem: `its ${what} is also that of ${keys.slice(1).join(', ')}; delete and create one of them anew`,
});

/** A pod's node may be gone for a while, until the node lifecycle controller has removed the pod. */
function checkNodes(objects: readonly CheckedObject[]): Finding[] {
  const nodes = new Set(ofPlural(objects, 'nodes').map(({ object }) => object.metadata.name));
  const findings: Finding[] = ofPlural(objects, 'pods')
    .filter(({ object }) => object.spec?.nodeName && !nodes.has(object.spec.nodeName))
    .map(({ key, object }) => ({ severity: 'warning', key, problem: `its node ${object.spec.nodeName} does not exist` }));
  const cidrs = shared(
    ofPlural(objects, 'nodes').flatMap(({ key, object }) =>
      ((object.spec?.podCIDRs ?? []) as string[]).map((cidr) => [cidr, key] as const),
    ),
  );
  for (const [cidr, keys] of cidrs) {
    findings.push({ severity: 'error', key: keys[0]!, problem: `its pod CIDR ${cidr} is also that of ${keys.slice(1).join(', ')}` });
  }
  return findings;
}

/** Values that several keys have. */
function shared(pairs: readonly (readonly [value: string, key: string])[]): [value: string, keys: string[]][] {
  const keys = new Map<string, string[]>();
  for (const [value, key] of pairs) keys.set(value, [...(keys.get(value) ?? []), key]);
  return [...keys].filter(([, all]) => all.length > 1);
}
