import type { AnyObject } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject } from '../decode.ts';
import { type Registry, timestamp } from '../registry/registry.ts';
import { updateObject } from '../registry/update.ts';
import { badRequest, conflict, invalid } from '../status-errors.ts';
import { parseWriteOptions } from '../write-options.ts';

const expected = { apiVersion: 'v1', kind: 'Binding', schema: 'k8s.io.api.core.v1.Binding' };
const bindingKind = { resource: { group: '', version: 'v1', plural: 'bindings', kind: 'Binding', namespaced: true } };

/** POST to pods/NAME/binding: gives the pod to a node, once and for all (the reference's BindingREST). */
export async function handleBinding(registry: Registry, { info, query, body, user }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name } = info;
  const { fieldValidation, dryRun } = parseWriteOptions(query);
  const { object: binding } = await decodeObject(body, expected, fieldValidation);
  const { target = {}, metadata } = binding as AnyObject & { target?: { kind?: string; name?: string } };
  if (metadata.name && metadata.name !== name)
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  if (target.kind && target.kind !== 'Node') {
    throw invalid(bindingKind, name, [
      {
        reason: 'FieldValueNotSupported',
        message: `Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node", "<empty>"`,
        field: 'target.kind',
      },
    ]);
  }
  if (!target.name) throw invalid(bindingKind, name, [{ reason: 'FieldValueRequired', message: 'Required value', field: 'target.name' }]);
  const nodeName = target.name;

  const change = (pod: AnyObject): AnyObject => {
    const refuse = (why: string) => conflict(kind.resource, name, why, 'binding');
    if (metadata.uid && metadata.uid !== pod.metadata.uid) {
      throw refuse(`Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata.uid}`);
    }
    if (pod.metadata.deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
    if (pod.spec.nodeName) throw refuse(`pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
    pod.spec.nodeName = nodeName;
    if (metadata.annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...metadata.annotations };
    const others = (pod.status?.conditions ?? []).filter(({ type }: { type: string }) => type !== 'PodScheduled');
    const scheduled = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: timestamp(registry.clock) };
    pod.status = { ...pod.status, conditions: [...others, scheduled] };
    return pod;
  };
  // A binding is the one write that sets spec.nodeName; the pod's own rules would refuse it.
  const bindable = { ...kind, validate: () => [] };
  // Nobody owns what a binding sets, as in the reference: it is no write of fields.
  const update = { kind: bindable, namespace, name, subresource: 'binding', change, prepare: () => {}, owners: 'given' } as const;
  await updateObject(registry, update, { user, dryRun });
  return { code: 201, json: JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }) };
}
