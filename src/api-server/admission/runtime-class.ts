import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../../objects/index.ts';
import type { CachedObject } from '../cached-object.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

/** A pod gets what its RuntimeClass says of overhead and of the nodes that have it (the reference's RuntimeClass). */
export const runtimeClass = (findClass: (name: string) => CachedObject | undefined): AdmissionPlugin => ({
  name: 'RuntimeClass',
  admit({ operation, kind, object, subresource, name }) {
    if (operation !== 'CREATE' || kind.resource.plural !== 'pods' || subresource || !object?.spec) return [];
    const { spec } = object;
    const refuse = (why: string) => forbidden(kind.resource, name, why);
    const className: string = spec.runtimeClassName ?? '';
    const found = className === '' ? undefined : findClass(className);
    if (className !== '' && !found) throw refuse(`pod rejected: RuntimeClass ${JSON.stringify(className)} not found`);
    const { overhead, scheduling } = found?.parse() ?? ({} as AnyObject);
    if (spec.overhead && !overhead) throw refuse('pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    if (spec.overhead && !isDeepStrictEqual(spec.overhead, overhead.podFixed)) {
      throw refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    }
    if (overhead?.podFixed) spec.overhead = overhead.podFixed;
    for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== value) {
        throw refuse(`conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`);
      }
      spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
    }
    const lacking = (scheduling?.tolerations ?? []).filter(
      (toleration: unknown) => !(spec.tolerations ?? []).some((own: unknown) => isDeepStrictEqual(own, toleration)),
    );
    if (lacking.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...lacking];
    return [];
  },
});
