import { findCondition, matchesLabels, objectKey, type Pod, resources } from '../../objects/client.ts';
import { type Watch, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import type { ClusterView } from '../view.ts';
import { hasEndpoints } from './pod-endpoints.ts';

/** A change of a service, or of a pod that is or was behind it. */
export const serviceWatches: readonly Watch[] = [
  watch(resources.services, (before, after) => [objectKey((after ?? before)!)]),
  watch(resources.pods, (before, after, view) => {
    if (before && after && sameMeaning(endpointState(before), endpointState(after))) return [];
    return servicesOf([before, after], view);
  }),
];

/** What of a pod its endpoints show; most status updates change none of it. */
const endpointState = ({ metadata, spec, status }: Pod): unknown => [
  metadata.uid,
  metadata.labels,
  metadata.deletionTimestamp !== undefined,
  spec.nodeName,
  status?.phase,
  status?.podIP,
  status?.podIPs,
  findCondition(status?.conditions, 'Ready')?.status,
];

function* servicesOf(pods: readonly (Pod | undefined)[], view: ClusterView): Iterable<string> {
  const [first] = pods.filter((pod) => pod !== undefined);
  for (const service of view.list(resources.services, first?.metadata.namespace)) {
    if (hasEndpoints(service) && pods.some((pod) => pod && matchesLabels(service.spec.selector, pod.metadata.labels)))
      yield objectKey(service);
  }
}
