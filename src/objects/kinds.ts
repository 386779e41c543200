import type { KindDeclaration } from './kind.ts';
import { configMapKind, secretKind } from './kinds/config-map.ts';
import { controllerRevisionKind } from './kinds/controller-revision.ts';
import { csiDriverKind, csiNodeKind } from './kinds/csi.ts';
import { daemonSetKind } from './kinds/daemon-set.ts';
import { deploymentKind } from './kinds/deployment.ts';
import { endpointSliceKind } from './kinds/endpoint-slice.ts';
import { endpointsKind } from './kinds/endpoints.ts';
import { eventKind } from './kinds/event.ts';
import { newEventKind } from './kinds/events-v1.ts';
import { ingressClassKind, ingressKind } from './kinds/ingress.ts';
import { leaseKind } from './kinds/lease.ts';
import { namespaceKind } from './kinds/namespace.ts';
import { networkPolicyKind } from './kinds/network-policy.ts';
import { nodeKind } from './kinds/node.ts';
import { podKind } from './kinds/pod.ts';
import { rbacKinds } from './kinds/rbac.ts';
import { reviewKinds } from './kinds/reviews.ts';
import { replicaSetKind } from './kinds/replica-set.ts';
import { runtimeClassKind } from './kinds/runtime-class.ts';
import { serviceAccountKind } from './kinds/service-account.ts';
import { serviceKind } from './kinds/service.ts';
import { statefulSetKind } from './kinds/stateful-set.ts';
import { apiVersionOf } from './resource.ts';

/** Every kind that the API server keeps objects of. */
export const kinds: readonly KindDeclaration[] = [
  namespaceKind,
  nodeKind,
  podKind,
  serviceKind,
  endpointsKind,
  configMapKind,
  secretKind,
  serviceAccountKind,
  eventKind,
  deploymentKind,
  replicaSetKind,
  daemonSetKind,
  statefulSetKind,
  controllerRevisionKind,
  endpointSliceKind,
  networkPolicyKind,
  ingressKind,
  ingressClassKind,
  leaseKind,
  newEventKind,
  csiNodeKind,
  csiDriverKind,
  runtimeClassKind,
  ...rbacKinds,
];

/** Every kind that the API server serves: those, and the reviews, which are answered and not kept. */
export const servedKinds: readonly KindDeclaration[] = [...kinds, ...reviewKinds];

const byPath = new Map(servedKinds.map((kind) => [`${kind.resource.group}/${kind.resource.version}/${kind.resource.plural}`, kind]));
const byName = new Map(kinds.map((kind) => [`${apiVersionOf(kind.resource)}/${kind.resource.kind}`, kind]));

/** The kind at `/apis/GROUP/VERSION/.../PLURAL` (group '' for core). */
export const findKind = (group: string, version: string, plural: string): KindDeclaration | undefined =>
  byPath.get(`${group}/${version}/${plural}`);

/** The kind that an object names: (`apps/v1`, `Deployment`). */
export const findKindByName = (apiVersion: string, kind: string): KindDeclaration | undefined => byName.get(`${apiVersion}/${kind}`);
