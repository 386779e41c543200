import { type EndpointSlice, type KubeObject, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { controllerReference } from '../metadata.ts';
import type { SliceContent } from './slice-diff.ts';

export interface SliceFrame {
  /** What the slices belong to and are named after. */
  readonly owner: KubeObject;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Changes the slice that has the content, or makes one. */
export function writeSlice({ slice, addressType, ports, endpoints }: SliceContent, { owner, labels, annotations }: SliceFrame): Action {
  const content = { addressType, ports: ports.map((port) => ({ ...port })), endpoints: [...endpoints] };
  if (slice) {
    return {
      do: 'update',
      resource: resources.endpointSlices,
      object: { ...slice, ...content, metadata: { ...slice.metadata, labels, annotations } } as EndpointSlice,
    };
  }
  const { name, namespace = 'default' } = owner.metadata;
  const made: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: '', generateName: `${name}-`, namespace, labels, annotations, ownerReferences: [controllerReference(owner)] },
    ...content,
  };
  return { do: 'create', resource: resources.endpointSlices, object: made };
}

export const deleteSlice = (slice: EndpointSlice): Action => ({ do: 'delete', resource: resources.endpointSlices, object: slice });
