import type { LabelSelector } from './types/index.ts';
import { labelValueRule, qualifiedName } from './validation/names.ts';

type Fields = Readonly<Record<string, string>>;

/** One term of a label selector in text form. `gt` and `lt` compare integers. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'doesNotExist' | 'gt' | 'lt';
  readonly values: readonly string[];
}

export interface FieldRequirement {
  readonly field: string;
  readonly equals: boolean;
  readonly value: string;
}

/** A selector that cannot be read; the API server answers 400 with the message. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

/** Longer selectors are refused before they are read. */
const maxLength = 64 * 1024;

/**
 * Reads a label selector as kubectl's `-l` takes it: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>5`.
 * An empty text matches everything.
 *
 * @throws SelectorError naming the text and what was expected.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  const refuse = (detail: string): never => {
    throw new SelectorError(detail);
  };
  const fail = (detail: string): never => refuse(`unable to parse requirement: ${detail}`);
  if (text.length > maxLength) fail(`the selector is longer than ${maxLength} characters`);
  const tokens = text.match(/[(),]|!=|==|[=!<>]|[^\s(),=!<>]+/g) ?? [];
  let at = 0;
  const requirements: LabelRequirement[] = [];
  const readValue = (): string => {
    const token = tokens[at];
    // `a=` and `a=,b` mean the empty value.
    if (token === undefined || token === ',') return '';
    if (!isWord(token)) fail(`found '${token}', expected: identifier`);
    at++;
    return token;
  };
  const readValues = (): string[] => {
    if (tokens[at] !== '(') fail(`found '${tokens[at] ?? ''}' expected: '('`);
    at++;
    const values = new Set<string>();
    for (;;) {
      const token = tokens[at];
      if (token !== undefined && isWord(token)) {
        values.add(token);
        at++;
      } else values.add('');
      const next = tokens[at++];
      if (next === ')') return [...values].toSorted();
      if (next !== ',') fail(`found '${next ?? ''}', expected: ',', ')' or identifier`);
    }
  };
  while (at < tokens.length) {
    const negated = tokens[at] === '!';
    if (negated) at++;
    const key = tokens[at];
    if (key === undefined || !isWord(key)) {
      const where = requirements.length > 0 && !negated ? "identifier after ','" : "!, identifier, or 'end of string'";
      refuse(`found '${key ?? ''}', expected: ${where}`);
    }
    at++;
    const operator = tokens[at];
    let requirement: LabelRequirement;
    if (negated || operator === undefined || operator === ',') {
      requirement = { key: key!, operator: negated ? 'doesNotExist' : 'exists', values: [] };
    } else {
      at++;
      switch (operator) {
        case '=':
        case '==':
          requirement = { key: key!, operator: 'in', values: [readValue()] };
          break;
        case '!=':
          requirement = { key: key!, operator: 'notin', values: [readValue()] };
          break;
        case '<':
        case '>':
          requirement = { key: key!, operator: operator === '<' ? 'lt' : 'gt', values: [readValue()] };
          break;
        case 'in':
        case 'notin':
          requirement = { key: key!, operator, values: readValues() };
          break;
        default:
          return fail(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
      }
    }
    checkRequirement(requirement, fail);
    requirements.push(requirement);
    if (at < tokens.length) {
      if (tokens[at] !== ',') refuse(`found '${tokens[at]}', expected: ',' or 'end of string'`);
      at++;
      if (at === tokens.length) refuse(`found '', expected: identifier after ','`);
    }
  }
  return requirements;
}

const isWord = (token: string): boolean => !/^[(),=!<>]/.test(token);

function checkRequirement({ key, operator, values }: LabelRequirement, fail: (detail: string) => never): void {
  const [keyProblem] = qualifiedName(key);
  if (keyProblem) fail(`key: Invalid value: ${JSON.stringify(key)}: ${keyProblem}`);
  for (const value of values) {
    if ((operator === 'gt' || operator === 'lt') && !/^-?\d+$/.test(value)) {
      fail(`values[0]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`);
    }
    const [problem] = labelValueRule(value);
    if (problem && operator !== 'gt' && operator !== 'lt') fail(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
  }
}

/** Whether labels satisfy all requirements. `!=` and `notin` are also satisfied by an absent label. */
export function matchesLabelRequirements(requirements: readonly LabelRequirement[], labels: Fields = {}): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'in':
        return value !== undefined && values.includes(value);
      case 'notin':
        return value === undefined || !values.includes(value);
      case 'exists':
        return value !== undefined;
      case 'doesNotExist':
        return value === undefined;
      default:
        if (value === undefined || !/^-?\d+$/.test(value)) return false;
        return operator === 'gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!);
    }
  });
}

/**
 * Reads a field selector: `spec.nodeName=worker-1,status.phase!=Running`. A backslash escapes `,`, `=` and itself in values.
 * `allowed` names the fields that exist besides metadata.name and metadata.namespace; without it every name passes.
 *
 * @throws SelectorError
 */
export function parseFieldSelector(text: string, allowed?: readonly string[]): FieldRequirement[] {
  if (text.length > maxLength) throw new SelectorError(`the field selector is longer than ${maxLength} characters`);
  if (text === '') return [];
  return splitUnescaped(text).flatMap((term) => {
    if (term === '') return [];
    const match = /^((?:\\.|[^\\=!])*)(!=|==|=)(.*)$/s.exec(term);
    if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator, value = ''] = match;
    const plain = unescape(value);
    if (allowed && field !== 'metadata.name' && field !== 'metadata.namespace' && !allowed.includes(field)) {
      const general = `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`;
      throw new SelectorError(allowed.length > 0 ? `field label not supported: ${field}` : general);
    }
    return [{ field, equals: operator !== '!=', value: plain }];
  });
}

const splitUnescaped = (text: string): string[] => text.match(/(?:\\.|[^\\,])+|(?<=,)(?=,)/gs) ?? [];

function unescape(value: string): string {
  if (/(?:^|[^\\])(?:\\\\)*=/.test(value)) throw new SelectorError('invalid field selector: unescaped character in value: 61');
  return value.replace(/\\(.?)/gs, (_, character: string) => {
    if (!['\\', ',', '='].includes(character)) throw new SelectorError(`invalid field selector: invalid escape sequence: \\${character}`);
    return character;
  });
}

/** Whether the values of the fields (see KindDeclaration.selectableFields) satisfy all requirements; an absent field is ''. */
export const matchesFieldRequirements = (requirements: readonly FieldRequirement[], fields: Fields): boolean =>
  requirements.every(({ field, equals, value }) => ((Object.hasOwn(fields, field) ? fields[field] : '') === value) === equals);

/** The text form of a meta/v1 LabelSelector, e.g. for Scale.status.selector: `app=web,tier in (a,b),!x`. Keys are in order. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  const terms = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }));
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const list = `(${values.toSorted().join(',')})`;
    const text = { In: `${key} in ${list}`, NotIn: `${key} notin ${list}`, Exists: key, DoesNotExist: `!${key}` }[operator];
    terms.push({ key, text });
  }
  return terms
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ text }) => text)
    .join(',');
}
