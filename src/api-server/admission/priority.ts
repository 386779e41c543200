import type { AdmissionPlugin } from './admission.ts';
import { forbidden } from '../status-errors.ts';

/** The classes that every cluster has; this server has no others. */
const classes: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
]);
const preemption = 'PreemptLowerPriority';

/** A pod's priority is that of its class (the reference's Priority). */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  admit({ operation, kind, object, subresource, name }) {
    if (operation !== 'CREATE' || kind.resource.plural !== 'pods' || subresource || !object?.spec) return [];
    const { spec } = object;
    const refuse = (why: string) => forbidden(kind.resource, name, why);
    const computed = classes.get(spec.priorityClassName ?? '');
    if (computed === undefined) throw refuse(`no PriorityClass with name ${spec.priorityClassName} was found`);
    const must = (what: string, value: unknown, right: unknown): string =>
      `the ${what} (${value}) must not be provided in pod spec; priority admission controller computed ${right} from the given PriorityClass name`;
    // Nothing given is 0 here already: it was defaulted.
    if (spec.priority && spec.priority !== computed) throw refuse(must('integer value of priority', spec.priority, computed));
    if (spec.preemptionPolicy && spec.preemptionPolicy !== preemption) {
      throw refuse(must('string value of PreemptionPolicy', spec.preemptionPolicy, preemption));
    }
    spec.priority = computed;
    return [];
  },
};
