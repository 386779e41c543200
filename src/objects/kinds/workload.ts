// What Deployment, ReplicaSet, DaemonSet and StatefulSet share.
import { isDeepStrictEqual } from 'node:util';
import type { AnyObject, TableColumn } from '../kind.ts';
import { matchesLabelSelector } from '../label-selector.ts';
import { orNone, wideColumn } from '../print/columns.ts';
import { formatLabelSelector } from '../selectors.ts';
import type { LabelSelector, StatusCause } from '../types/index.ts';
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
  const { selector, template = {} } = spec;
  // Of a DaemonSet that has none it is only told that it matches nothing.
  if (!selector && name !== 'daemonset') causes.push(required('spec.selector'));
  const selectorCauses = selector ? validateLabelSelector(selector, 'spec.selector') : [];
  causes.push(...selectorCauses);
  if (selector) {
    if (isEmptySelector(selector)) causes.push(invalid('spec.selector', selector, `empty selector is invalid for ${name}`));
    // A DaemonSet leaves it at what is wrong.
    if (selectorCauses.length > 0 && name !== 'daemonset') causes.push(invalid('spec.selector', selector, 'invalid label selector'));
  }
  causes.push(...validateTemplate(template, { selector, isReadable: selectorCauses.length === 0, name }));
  if (old && !isDeepStrictEqual(selector, old.spec?.selector)) causes.push(invalid('spec.selector', selector ?? null, immutableText));
  return causes;
}

/** The texts tell of a Deployment what they tell of a ReplicaSet. */
const named: Readonly<Record<string, string>> = { daemonset: 'DaemonSet', statefulset: 'StatefulSet' };

interface Owner {
  readonly selector: LabelSelector | undefined;
  /** Whether there is nothing wrong with the selector. */
  readonly isReadable: boolean;
  readonly name: string;
}

function validateTemplate({ metadata, spec }: AnyObject, { selector, isReadable, name }: Owner): StatusCause[] {
  const at = 'spec.template';
  const labels = metadata?.labels;
  const causes = [];
  // Without a selector nothing is selected.
  if (!selector || (isReadable && !isEmptySelector(selector) && !matchesLabelSelector(selector, labels))) {
    causes.push(invalid(`${at}.metadata.labels`, labels ?? null, '`selector` does not match template `labels`'));
  }
  causes.push(...validateLabels(labels, `${at}.labels`), ...validateAnnotations(metadata?.annotations, `${at}.annotations`));
  causes.push(...validatePodSpec(spec, `${at}.spec`));
  const { restartPolicy } = spec;
  if (restartPolicy && restartPolicy !== 'Always') causes.push(notSupported(`${at}.spec.restartPolicy`, restartPolicy, ['Always']));
  if (spec.activeDeadlineSeconds !== undefined) {
    causes.push(forbidden(`${at}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${named[name] ?? 'ReplicaSet'} is not Supported`));
  }
  return causes;
}

/** A cause for each of the fields that is below zero. */
export const nonNegative = (object: AnyObject['spec'], at: string, fields: readonly string[]): StatusCause[] =>
  fields.filter((field) => object?.[field] < 0).map((field) => invalid(`${at}.${field}`, object[field], negativeText));
