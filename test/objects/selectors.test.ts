import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatLabelSelector,
  matchesFieldRequirements,
  matchesLabelRequirements,
  matchesLabelSelector,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from '../../src/objects/index.ts';

describe('label selectors', () => {
  it.each([
    ['a=b', { a: 'b' }, { a: 'c' }],
    ['a==b', { a: 'b' }, {}],
    ['a!=b', {}, { a: 'b' }],
    ['a in (x, y)', { a: 'y' }, { a: 'z' }],
    ['a notin (x,y)', {}, { a: 'x' }],
    ['a', { a: '' }, {}],
    ['!a', {}, { a: '' }],
    ['! a', {}, { a: '1' }],
    ['a>5', { a: '6' }, { a: '5' }],
    ['a<5', { a: '-4' }, { a: 'five' }],
    ['a=b,c!=d, e in (f)', { a: 'b', e: 'f' }, { a: 'b', c: 'd', e: 'f' }],
    ['a=', { a: '' }, { a: 'x' }],
    ['a=,b', { a: '', b: '1' }, { a: '' }],
    ['a in (,x)', { a: '' }, { a: 'y' }],
    ['example.com/name=web', { 'example.com/name': 'web' }, {}],
    ['in=in', { in: 'in' }, {}],
  ])('%s', (text, match, other) => {
    const requirements = parseLabelSelector(text);
    expect(matchesLabelRequirements(requirements, match)).toBe(true);
    expect(matchesLabelRequirements(requirements, other)).toBe(false);
  });

  it('an empty selector matches everything', () => {
    expect(parseLabelSelector('')).toEqual([]);
    expect(matchesLabelRequirements([], { a: 'b' })).toBe(true);
  });

  it.each([
    'a b',
    '=a',
    'a in',
    'a in x',
    'a in (x',
    'a=b=c',
    ',a',
    'a,',
    'a in (x y)',
    'A B=c',
    '-a=b',
    'a=b!',
    'a=-x',
    '!a=b',
    'a>x',
    '((',
    'a/b/c=d',
  ])('%s is refused', (text) => expect(() => parseLabelSelector(text)).toThrow(SelectorError));

  it('says what is wrong', () => {
    expect(() => parseLabelSelector('a in x')).toThrow("unable to parse requirement: found 'x' expected: '('");
    expect(() => parseLabelSelector('a=b c')).toThrow("found 'c', expected: ',' or 'end of string'");
  });

  it('never takes a label from the prototype', () => {
    expect(matchesLabelRequirements(parseLabelSelector('constructor'), {})).toBe(false);
  });

  it('throws nothing but SelectorError', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab,=!()<> in/.-5') }), (text) => {
        try {
          parseLabelSelector(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SelectorError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('the text of a LabelSelector selects what the LabelSelector does', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const value = fc.constantFrom('x', 'y', '');
    const expression = fc.oneof(
      fc.record({ key, operator: fc.constantFrom('In' as const, 'NotIn' as const), values: fc.uniqueArray(value, { minLength: 1 }) }),
      fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
    );
    const selector = fc.record({ matchLabels: fc.dictionary(key, value), matchExpressions: fc.array(expression, { maxLength: 3 }) });
    fc.assert(
      fc.property(selector, fc.dictionary(key, value), (selector, labels) => {
        const parsed = parseLabelSelector(formatLabelSelector(selector));
        expect(matchesLabelRequirements(parsed, labels)).toBe(matchesLabelSelector(selector, labels));
      }),
    );
  });

  it('is written in order of keys', () => {
    const selector = {
      matchLabels: { z: '1', app: 'web' },
      matchExpressions: [{ key: 'tier', operator: 'In' as const, values: ['b', 'a'] }],
    };
    expect(formatLabelSelector(selector)).toBe('app=web,tier in (a,b),z=1');
    expect(formatLabelSelector(undefined)).toBe('');
  });
});

describe('field selectors', () => {
  const fields = { 'spec.nodeName': 'worker-1', 'status.phase': 'Running', 'metadata.name': 'a' };

  it.each([
    ['spec.nodeName=worker-1', true],
    ['spec.nodeName==worker-1,status.phase!=Failed', true],
    ['spec.nodeName!=worker-1', false],
    ['spec.nodeName=', false],
    ['metadata.name=a,', true],
    ['', true],
  ])('%s -> %s', (text, matches) => {
    expect(matchesFieldRequirements(parseFieldSelector(text, ['spec.nodeName', 'status.phase']), fields)).toBe(matches);
  });

  it('takes an absent field for empty', () => {
    expect(matchesFieldRequirements(parseFieldSelector('spec.nodeName='), {})).toBe(true);
  });

  it('undoes escapes in values', () => {
    expect(parseFieldSelector('a=b\\,c\\=d\\\\')).toEqual([{ field: 'a', equals: true, value: 'b,c=d\\' }]);
  });

  it('refuses what it cannot read, and fields that are not there', () => {
    expect(() => parseFieldSelector('nonsense')).toThrow("invalid selector: 'nonsense'; can't understand 'nonsense'");
    expect(() => parseFieldSelector('spec.foo=1', ['spec.nodeName'])).toThrow('field label not supported: spec.foo');
    expect(() => parseFieldSelector('a=b=c')).toThrow(SelectorError);
  });
});
