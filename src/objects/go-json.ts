/**
 * What Go's encoding/json says of a text that is no JSON, e.g. `invalid character '}' looking for beginning of value`; undefined when it is JSON.
 * Clients and people know these texts; JSON.parse has others.
 */
export function goJsonProblem(text: string): string | undefined {
  const scanner = { text, at: 0 };
  try {
    skipSpace(scanner);
    readValue(scanner, 0);
    skipSpace(scanner);
    if (scanner.at < text.length) fail(scanner, 'after top-level value');
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

class Problem extends Error {}

interface Scanner {
  readonly text: string;
  at: number;
}

/** Go's is 10,000, for which the stack of a process does not suffice; no object is nested as deep as this. */
const maxDepth = 1_000;

function fail({ text, at }: Scanner, where: string): never {
  if (at >= text.length) throw new Problem('unexpected end of JSON input');
  const character = String.fromCodePoint(text.codePointAt(at)!);
  const quoted = character === "'" ? String.raw`'\''` : character === '"' ? `'"'` : `'${JSON.stringify(character).slice(1, -1)}'`;
  throw new Problem(`invalid character ${quoted} ${where}`);
}

function skipSpace(scanner: Scanner): void {
  while (/[ \t\r\n]/.test(scanner.text[scanner.at] ?? '')) scanner.at++;
}

function readValue(scanner: Scanner, depth: number): void {
  if (depth > maxDepth) throw new Problem('exceeded max depth');
  const first = scanner.text[scanner.at] ?? '';
  if (first === '{') readObject(scanner, depth);
  else if (first === '[') readArray(scanner, depth);
  else if (first === '"') readString(scanner);
  else if (/[-0-9]/.test(first)) readNumber(scanner);
  else {
    const literal = ['true', 'false', 'null'].find((word) => word[0] === first);
    if (!literal) fail(scanner, 'looking for beginning of value');
    readLiteral(scanner, literal!);
  }
}

function readLiteral(scanner: Scanner, word: string): void {
  for (const expected of word) {
    if (scanner.text[scanner.at] !== expected) fail(scanner, `in literal ${word} (expecting '${expected}')`);
    scanner.at++;
  }
}

function readObject(scanner: Scanner, depth: number): void {
  scanner.at++;
  skipSpace(scanner);
  if (scanner.text[scanner.at] === '}') return void scanner.at++;
  for (;;) {
    skipSpace(scanner);
    if (scanner.text[scanner.at] !== '"') fail(scanner, 'looking for beginning of object key string');
    readString(scanner);
    skipSpace(scanner);
    if (scanner.text[scanner.at] !== ':') fail(scanner, 'after object key');
    scanner.at++;
    skipSpace(scanner);
    readValue(scanner, depth + 1);
    skipSpace(scanner);
    const next = scanner.text[scanner.at];
    if (next !== ',' && next !== '}') fail(scanner, 'after object key:value pair');
    scanner.at++;
    if (next === '}') return;
  }
}

function readArray(scanner: Scanner, depth: number): void {
  scanner.at++;
  skipSpace(scanner);
  if (scanner.text[scanner.at] === ']') return void scanner.at++;
  for (;;) {
    skipSpace(scanner);
    readValue(scanner, depth + 1);
    skipSpace(scanner);
    const next = scanner.text[scanner.at];
    if (next !== ',' && next !== ']') fail(scanner, 'after array element');
    scanner.at++;
    if (next === ']') return;
  }
}

function readString(scanner: Scanner): void {
  scanner.at++;
  for (;;) {
    const character = scanner.text[scanner.at];
    if (character === undefined || character < ' ') fail(scanner, 'in string literal');
    scanner.at++;
    if (character === '"') return;
    if (character !== '\\') continue;
    const escape = scanner.text[scanner.at] ?? '';
    if (!/["\\/bfnrtu]/.test(escape)) fail(scanner, 'in string escape code');
    scanner.at++;
    for (let digits = 0; escape === 'u' && digits < 4; digits++, scanner.at++) {
      if (!/[0-9a-fA-F]/.test(scanner.text[scanner.at] ?? '')) fail(scanner, String.raw`in \u hexadecimal character escape`);
    }
  }
}

function readNumber(scanner: Scanner): void {
  const digits = (where: string): void => {
    if (!/\d/.test(scanner.text[scanner.at] ?? '')) fail(scanner, where);
    while (/\d/.test(scanner.text[scanner.at] ?? '')) scanner.at++;
  };
  if (scanner.text[scanner.at] === '-') scanner.at++;
  if (scanner.text[scanner.at] === '0') scanner.at++;
  else digits('in numeric literal');
  if (scanner.text[scanner.at] === '.') {
    scanner.at++;
    digits('after decimal point in numeric literal');
  }
  if (!/[eE]/.test(scanner.text[scanner.at] ?? '')) return;
  scanner.at++;
  if (/[+-]/.test(scanner.text[scanner.at] ?? '')) scanner.at++;
  digits('in exponent of numeric literal');
}
