import type { KubeObject } from '../objects/client.ts';
import type { ListOptions } from './client.ts';

/** Whether a list or watch with these options holds the object: namespace, `key=value` and `key!=value` label terms, equality field terms. */
export function fakeSelects(object: KubeObject, { namespace, labelSelector, fieldSelector }: ListOptions): boolean {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  const labels = object.metadata.labels ?? {};
  return (
    terms(labelSelector).every(([key, negated, value]) => (labels[key] === value) !== negated) &&
    terms(fieldSelector).every(([path, negated, value]) => (fieldAt(object, path) === value) !== negated)
  );
}

const terms = (selector: string | undefined): [key: string, negated: boolean, value: string][] =>
  (selector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]+)(!?)==?(.*)$/.exec(term);
      if (!match) throw new Error(`the fake client reads only equality selectors, not ${JSON.stringify(term)}`);
      return [match[1]!.trim(), match[2] === '!', match[3]!.trim()];
    });

function fieldAt(object: unknown, path: string): string {
  const value = path.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], object);
  return value === undefined || value === null ? '' : String(value);
}
