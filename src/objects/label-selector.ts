import type { LabelSelector } from './types/index.ts';

type Labels = Readonly<Record<string, string>>;

/** Whether the labels satisfy a meta/v1 LabelSelector. An empty selector matches everything; an undefined one matches nothing. */
export function matchesLabelSelector(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  if (!selector) return false;
  return (
    matchesLabels(selector.matchLabels, labels) &&
    (selector.matchExpressions ?? []).every((requirement) => {
      const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
      switch (requirement.operator) {
        case 'In':
          return value !== undefined && (requirement.values ?? []).includes(value);
        case 'NotIn':
          return value === undefined || !(requirement.values ?? []).includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

/** Whether the labels hold every pair of an equality selector such as Service.spec.selector. */
export const matchesLabels = (wanted: Labels = {}, labels: Labels = {}): boolean =>
  Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
