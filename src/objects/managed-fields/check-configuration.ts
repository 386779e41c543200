import { ConfigurationError } from './apply-errors.ts';
import { itemElement, PathElementError, printElement } from './path-element.ts';
import type { ListStructure, ScalarStructure, Structure } from './structure.ts';
import { isObject, type JsonObject } from './values.ts';

/** More problems than these are not told. */
const maxProblems = 20;

/**
 * Checks a configuration against its structure: fields exist, values have the right type, items have keys and no key occurs twice
 * (structured-merge-diff's AsTyped).
 *
 * @throws ConfigurationError with the paths, such as `.spec.replica: field not declared in schema`.
 */
export function checkConfiguration(structure: Structure, value: unknown): void {
  const problems: string[] = [];
  check(structure, value, '', problems);
  if (problems.length === 1) throw new ConfigurationError(problems[0]!);
  if (problems.length > 1) throw new ConfigurationError(`errors:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
}

function check(structure: Structure, value: unknown, path: string, problems: string[]): void {
  if (value === null || value === undefined || problems.length >= maxProblems) return;
  switch (structure.kind) {
    case 'scalar':
      return checkScalar(structure, value, path, problems);
    case 'list':
      return checkList(structure, value, path, problems);
    case 'any':
      return;
    default:
      if (!isObject(value)) return void problems.push(problem(path, `expected map, got ${describe(value)}`));
      return checkFields(structure, value, path, problems);
  }
}

function checkFields(structure: Structure & { kind: 'struct' | 'map' }, value: JsonObject, path: string, problems: string[]): void {
  for (const [name, inner] of Object.entries(value)) {
    const at = `${path}.${name}`;
    const field = structure.kind === 'map' ? structure.value : structure.fields.get(name)?.structure;
    if (field) check(field, inner, at, problems);
    else problems.push(problem(at, 'field not declared in schema'));
  }
}

const wanted = {
  string: 'expected string',
  numeric: 'expected numeric (int or float)',
  boolean: 'expected boolean',
  untyped: 'expected scalar',
};

function checkScalar({ scalar }: ScalarStructure, value: unknown, path: string, problems: string[]): void {
  const fits = scalar === 'untyped' ? typeof value !== 'object' : typeof value === (scalar === 'numeric' ? 'number' : scalar);
  if (!fits) problems.push(problem(path, `${wanted[scalar]}, got ${describe(value)}`));
}

function checkList(structure: ListStructure, value: unknown, path: string, problems: string[]): void {
  if (!Array.isArray(value)) return void problems.push(problem(path, `expected list, got ${describe(value)}`));
  const seen = new Set<string>();
  for (const [index, item] of (value as unknown[]).entries()) {
    let at = `[${index}]`;
    if (structure.list.type !== 'atomic') {
      try {
        const element = itemElement(structure, item);
        at = printElement(element);
        if (seen.has(element)) problems.push(problem(path, `duplicate entries for key ${at}`));
        seen.add(element);
      } catch (error) {
        if (!(error instanceof PathElementError)) throw error;
        return void problems.push(problem(path, `element ${index}: ${error.message}`));
      }
    }
    check(structure.item, item, path + at, problems);
  }
}

const problem = (path: string, message: string): string => (path ? `${path}: ${message}` : message);

const describe = (value: unknown): string =>
  Array.isArray(value) ? 'list' : isObject(value) ? 'map' : `${typeof value} ${JSON.stringify(value).slice(0, 64)}`;
