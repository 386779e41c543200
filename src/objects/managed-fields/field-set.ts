import { inElementOrder, normalizeElement, PathElementError, printElement } from './path-element.ts';

/** What is at a path element: whether the field itself is in the set, and what of it is. Never neither. */
export interface FieldNode {
  readonly member: boolean;
  readonly children: FieldSet | undefined;
}

/** A set of fields, as a tree by path elements. Sets are values: the functions here give new ones, which may share parts. */
export type FieldSet = ReadonlyMap<string, FieldNode>;

export const noFields: FieldSet = new Map();
export const leaf: FieldNode = Object.freeze({ member: true, children: undefined });

/** A fieldsV1 document: path elements to what is below, `.` for the field itself. */
export interface FieldsV1 {
  [element: string]: FieldsV1;
}

const node = (member: boolean, children: FieldSet | undefined): FieldNode | undefined =>
  children !== undefined && children.size > 0 ? { member, children } : member ? leaf : undefined;

/** Fields that are in one of them. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [element, right] of b) {
    const left = result.get(element);
    result.set(element, left ? unionNode(left, right) : right);
  }
  return result;
}

function unionNode(a: FieldNode, b: FieldNode): FieldNode {
  const children = a.children && b.children ? union(a.children, b.children) : (a.children ?? b.children);
  return { member: a.member || b.member, children };
}

/** Fields that are in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map<string, FieldNode>();
  for (const [element, left] of a) {
    const right = b.get(element);
    if (!right) continue;
    const children = left.children && right.children && intersection(left.children, right.children);
    const both = node(left.member && right.member, children);
    if (both) result.set(element, both);
  }
  return result;
}

/** Fields that are in `a` and not in `b`. What is below a field of `b` stays. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, false);

/** As {@link difference}, and without all that is below the fields of `b`. */
export const recursiveDifference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, true);

function subtract(a: FieldSet, b: FieldSet, recursive: boolean): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  const result = new Map<string, FieldNode>();
  for (const [element, left] of a) {
    const right = b.get(element);
    if (!right) {
      result.set(element, left);
      continue;
    }
    const below = right.member && recursive ? undefined : left.children;
    const rest = node(left.member && !right.member, below && right.children ? subtract(below, right.children, recursive) : below);
    if (rest) result.set(element, rest);
  }
  return result;
}

/** A set of one path. */
export const setOfPath = (path: readonly string[]): FieldSet =>
  path.reduceRight<FieldSet>(
    (below, element) => new Map([[element, below.size > 0 ? { member: false, children: below } : leaf]]),
    noFields,
  );

export function has(set: FieldSet, path: readonly string[]): boolean {
  let at: FieldNode | undefined;
  let below: FieldSet | undefined = set;
  for (const element of path) {
    at = below?.get(element);
    below = at?.children;
  }
  return at?.member ?? false;
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [element, left] of a) {
    const right = b.get(element);
    if (!right || left.member !== right.member || !equalSets(left.children ?? noFields, right.children ?? noFields)) return false;
  }
  return true;
}

/** The paths of the set as people read them, each level's own fields first: `.spec.containers[name="web"].image`. */
export function printPaths(set: FieldSet, prefix = ''): string[] {
  const elements = inElementOrder(set);
  const own = elements.filter(([, { member }]) => member).map(([element]) => prefix + printElement(element));
  const below = elements.flatMap(([element, { children }]) => (children ? printPaths(children, prefix + printElement(element)) : []));
  return [...own, ...below];
}

/** The set as fieldsV1, in its order. */
export function toFieldsV1(set: FieldSet): FieldsV1 {
  const result: FieldsV1 = {};
  const elements = set.size > 1 ? inElementOrder(set) : set;
  for (const [element, { member, children }] of elements) {
    const below = children ? toFieldsV1(children) : {};
    result[element] = member && children ? { '.': {}, ...below } : below;
  }
  return result;
}

/** Levels that no schema reaches. */
const maxDepth = 300;

/** Reads fieldsV1. Elements of kinds that are not known are passed over. @throws PathElementError when it is malformed. */
export function fromFieldsV1(fields: unknown): FieldSet {
  return readLevel(fields, 0).children ?? noFields;
}

function readLevel(fields: unknown, depth: number): { isMember: boolean; children: FieldSet | undefined } {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new PathElementError('fieldsV1 must be an object');
  if (depth > maxDepth) throw new PathElementError(`fieldsV1 has more than ${maxDepth} levels`);
  const entries = Object.entries(fields);
  let isMember = false;
  let children: Map<string, FieldNode> | undefined;
  for (const [text, below] of entries) {
    if (text === '.') {
      isMember = true;
      continue;
    }
    const element = normalizeElement(text);
    if (element === undefined) continue;
    const read = readLevel(below, depth + 1);
    const one = node(read.isMember, read.children);
    if (one) (children ??= new Map()).set(element, one);
  }
  return { isMember: isMember || children === undefined, children };
}
