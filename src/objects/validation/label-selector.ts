import type { LabelSelector, StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, required } from './causes.ts';
import { validateLabels } from './metadata.ts';
import { labelValueRule, qualifiedName } from './names.ts';

/** Rules for a meta/v1 LabelSelector at the path `field`. */
export function validateLabelSelector(selector: LabelSelector | undefined, field: string): StatusCause[] {
  const causes = validateLabels(selector?.matchLabels, `${field}.matchLabels`);
  for (const [index, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) causes.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        break;
      default:
        causes.push(invalid(`${at}.operator`, operator ?? '', 'not a valid selector operator'));
    }
    causes.push(...invalids(`${at}.key`, key ?? '', qualifiedName(key ?? '')));
    for (const [position, value] of values.entries()) causes.push(...invalids(`${at}.values[${position}]`, value, labelValueRule(value)));
  }
  return causes;
}

/** True for `{}`: a selector that matches everything. */
export const isEmptySelector = (selector: LabelSelector): boolean =>
  Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
