import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goJsonProblem } from '../../src/objects/index.ts';

describe('what Go says of JSON', () => {
  it.each([
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['a', "invalid character 'a' looking for beginning of value"],
    ['{a', "invalid character 'a' looking for beginning of object key string"],
    ['{"a"}', "invalid character '}' after object key"],
    ['{"a":1 "b"', `invalid character '"' after object key:value pair`],
    ['[1 2', "invalid character '2' after array element"],
    ['1 2', "invalid character '2' after top-level value"],
    ['"\n"', String.raw`invalid character '\n' in string literal`],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', String.raw`invalid character 'g' in \u hexadecimal character escape`],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['tru ', "invalid character ' ' in literal true (expecting 'e')"],
    ["'", String.raw`invalid character '\'' looking for beginning of value`],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ])('%j: %s', (text, problem) => expect(goJsonProblem(text)).toBe(problem));

  it('is about the depth when the text is nested deeper than the stack allows', () => {
    expect(goJsonProblem('['.repeat(50_000))).toBe('exceeded max depth');
    expect(goJsonProblem('{"a":'.repeat(50_000))).toBe('exceeded max depth');
  });

  it('is nothing for what JSON.parse reads, and something for the rest', () => {
    const reads = (text: string): boolean => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    const broken = fc.record({ text: fc.json(), at: fc.nat(), by: fc.string({ maxLength: 2 }) });
    fc.assert(
      fc.property(broken, ({ text, at, by }) => {
        const place = at % (text.length + 1);
        const mangled = text.slice(0, place) + by + text.slice(place + 1);
        expect([goJsonProblem(text), goJsonProblem(mangled) === undefined]).toEqual([undefined, reads(mangled)]);
      }),
      { numRuns: 500 },
    );
  });
});
