import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  difference,
  equalSets,
  type FieldSet,
  fromFieldsV1,
  has,
  intersection,
  noFields,
  printPaths,
  recursiveDifference,
  setOfPath,
  toFieldsV1,
  union,
} from '../../../src/objects/managed-fields/field-set.ts';
import { inElementOrder } from '../../../src/objects/managed-fields/path-element.ts';

const element = fc.constantFrom(
  ...['f:spec', 'f:name', 'f:a.b/c', 'f:ünï', 'k:{"name":"web"}', 'k:{"containerPort":80,"protocol":"TCP"}'],
  ...['k:{"containerPort":443,"protocol":"TCP"}', 'v:"10.0.0.1"', 'v:"a"', 'v:5', 'v:12', 'i:2', 'i:10'],
);
const path = fc.array(element, { minLength: 1, maxLength: 4 });
const paths = fc.array(path, { maxLength: 12 });
const setOf = (all: readonly string[][]): FieldSet => all.reduce<FieldSet>((set, one) => union(set, setOfPath(one)), noFields);

/** The same set, as plain paths. */
const keys = (set: FieldSet, prefix: string[] = []): string[] =>
  [...set].flatMap(([name, { member, children }]) => {
    const at = [...prefix, name];
    return [...(member ? [at.join(' ')] : []), ...(children ? keys(children, at) : [])];
  });
const sorted = (values: Iterable<string>): string[] => [...new Set(values)].toSorted();

describe('fieldsV1', () => {
  it('lists fields, then items by keys, by value and by index, numbers as numbers', () => {
    const elements = ['i:10', 'v:"b"', 'i:2', 'k:{"port":443}', 'f:b', 'v:7', 'f:a', 'k:{"port":80}', 'k:{"name":"z"}', 'v:12'];
    expect(inElementOrder(elements.map((each) => [each, 0] as const)).map(([each]) => each)).toEqual([
      ...['f:a', 'f:b', 'k:{"name":"z"}', 'k:{"port":80}', 'k:{"port":443}', 'v:7', 'v:12', 'v:"b"', 'i:2', 'i:10'],
    ]);
  });

  it('writes a field that is in the set with fields below it as a dot', () => {
    const set = setOf([
      ['f:metadata', 'f:labels'],
      ['f:metadata', 'f:labels', 'f:app'],
      ['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:port'],
    ]);
    const fields = {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
      'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { 'f:port': {} } } },
    };
    expect(JSON.stringify(toFieldsV1(set))).toBe(JSON.stringify(fields));
    expect(equalSets(fromFieldsV1(fields), set)).toBe(true);
  });

  it('reads keys in any order and of any spacing as the same item, and passes over what it does not know', () => {
    const fields = { 'f:ports': { 'k:{"protocol": "TCP", "port": 80}': {} }, 'x:future': { 'f:a': {} } };
    expect(toFieldsV1(fromFieldsV1(fields))).toEqual({ 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': {} } });
  });

  it.each([
    [{ spec: {} }],
    [{ 'k:[1]': {} }],
    [{ 'k:{': {} }],
    [{ 'i:-1': {} }],
    [{ 'v:x': {} }],
    [{ 'f:a': 1 }],
    [{ f: {} }],
    [[]],
    [null],
  ])('refuses %j', (fields) => {
    expect(() => fromFieldsV1(fields)).toThrow();
  });

  it('refuses a document that is nested without end', () => {
    let fields = {};
    for (let depth = 0; depth < 5_000; depth++) fields = { 'f:a': fields };
    expect(() => fromFieldsV1(fields)).toThrow('levels');
  });

  it('comes back as it went, whatever the set', () => {
    fc.assert(
      fc.property(paths, (all) => {
        const set = setOf(all);
        const text = JSON.stringify(toFieldsV1(set));
        const read = fromFieldsV1(JSON.parse(text));
        expect(equalSets(read, set)).toBe(true);
        expect(JSON.stringify(toFieldsV1(read))).toBe(text);
      }),
    );
  });

  it('prints paths as people read them, each level before what is below it', () => {
    const set = setOf([
      ['f:spec', 'f:containers', 'k:{"name":"web"}', 'f:image'],
      ['f:spec', 'f:containers', 'k:{"name":"web"}'],
      ['f:spec', 'f:replicas'],
      ['f:metadata', 'f:finalizers', 'v:"a/b"'],
    ]);
    expect(printPaths(set)).toEqual([
      '.metadata.finalizers[="a/b"]',
      '.spec.replicas',
      '.spec.containers[name="web"]',
      '.spec.containers[name="web"].image',
    ]);
  });
});

describe('sets of fields', () => {
  it('behave as sets of paths', () => {
    fc.assert(
      fc.property(paths, paths, path, (left, right, probe) => {
        const [a, b] = [setOf(left), setOf(right)];
        const [inA, inB] = [new Set(keys(a)), new Set(keys(b))];
        expect(sorted(keys(a))).toEqual(sorted(left.map((one) => one.join(' '))));
        expect(sorted(keys(union(a, b)))).toEqual(sorted([...inA, ...inB]));
        expect(sorted(keys(intersection(a, b)))).toEqual(sorted([...inA].filter((key) => inB.has(key))));
        expect(sorted(keys(difference(a, b)))).toEqual(sorted([...inA].filter((key) => !inB.has(key))));
        const covered = (key: string): boolean => [...inB].some((other) => key === other || key.startsWith(`${other} `));
        expect(sorted(keys(recursiveDifference(a, b)))).toEqual(sorted([...inA].filter((key) => !covered(key))));
        expect(has(a, probe)).toBe(inA.has(probe.join(' ')));
        expect(equalSets(a, b)).toBe(sorted(inA).join('|') === sorted(inB).join('|'));
      }),
    );
  });

  it('hold no branch without a field', () => {
    const isBare = (set: FieldSet): boolean =>
      [...set.values()].some(
        ({ member, children }) => (!member && !children) || (children !== undefined && (children.size === 0 || isBare(children))),
      );
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const [a, b] = [setOf(left), setOf(right)];
        for (const set of [union(a, b), intersection(a, b), difference(a, b), recursiveDifference(a, b)]) expect(isBare(set)).toBe(false);
      }),
    );
  });
});
