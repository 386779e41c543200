// What Deployment, ReplicaSet, DaemonSet and StatefulSet share.
import { isDeepStrictEqual } from 'node:util';
import type { AnyObject, TableColumn } from '../kind.ts';
import { matchesLabelSelector } from '../label-selector.ts';
import { orNone, wideColumn } from '../print/columns.ts';
import { formatLabelSelector } from '../selectors.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, notSupported, required } from '../validation/causes.ts';
import { isEmptySelector, validateLabelSelector } from '../validation/label-selector.ts';
import { validateAnnotations, validateLabels } from '../validation/metadata.ts';
import { immutableText, negativeText } from '../validation/names.ts';
import { validatePodSpec } from '../validation/pod-spec.ts';

const selectorText = ({ spec }: AnyObject): string => orNone(formatLabelSelector(spec?.selector));

export const selectorColumn: TableColumn = wideColumn('Selector', 'Label selector of the pods.', selectorText);

/** Selector, template and their agreement. `name` is the kind as the texts name it, e.g. `deployment`. */
export function validateWorkload({ spec = {} }: AnyObject, old: AnyObject | undefined, name: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const { selector, template } = spec;
  if (!selector) causes.push(required('spec.selector'));
  else {
    causes.push(...validateLabelSelector(selector, 'spec.selector'));
    if (isEmptySelector(selector)) causes.push(invalid('spec.selector', selector, `empty selector is invalid for ${name}`));
  }
  if (!template?.spec) causes.push(required('spec.template'));
  else {
    const labels = template.metadata?.labels;
    causes.push(...validateLabels(labels, 'spec.template.metadata.labels'));
    causes.push(...validateAnnotations(template.metadata?.annotations, 'spec.template.metadata.annotations'));
    if (selector && !isEmptySelector(selector) && !matchesLabelSelector(selector, labels)) {
      causes.push(invalid('spec.template.metadata.labels', labels ?? null, '`selector` does not match template `labels`'));
    }
    causes.push(...validatePodSpec(template.spec, 'spec.template.spec'));
    const { restartPolicy } = template.spec;
    if (restartPolicy && restartPolicy !== 'Always')
      causes.push(notSupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']));
    if (template.spec.activeDeadlineSeconds !== undefined) {
      causes.push(forbidden('spec.template.spec.activeDeadlineSeconds', 'activeDeadlineSeconds in ReplicaSet is not Supported'));
    }
  }
  if (old && !isDeepStrictEqual(selector, old.spec?.selector)) causes.push(invalid('spec.selector', selector ?? null, immutableText));
  return causes;
}

/** A cause for each of the fields that is below zero. */
export const nonNegative = (object: AnyObject['spec'], at: string, fields: readonly string[]): StatusCause[] =>
  fields.filter((field) => object?.[field] < 0).map((field) => invalid(`${at}.${field}`, object[field], negativeText));
