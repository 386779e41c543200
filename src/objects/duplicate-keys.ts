/** Deeper JSON is not looked into: JSON.parse has refused, or the schema check will. */
const maxDepth = 128;

/**
 * Paths of keys that stand twice in an object of a JSON text, e.g. `spec.replicas` or `spec.ports[0].name`; each once. The text must be valid
 * JSON (run JSON.parse first); JSON.parse keeps the last of them without a word.
 */
export function findDuplicateKeys(json: string): string[] {
  const found = new Set<string>();
  let at = 0;
  const skipSpace = () => {
    while (json.charCodeAt(at) <= 0x20) at++;
  };
  const readString = (): string => {
    const start = at++;
    while (json[at] !== '"' && at < json.length) at += json[at] === '\\' ? 2 : 1;
    at++;
    const raw = json.slice(start, at);
    return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  };
  const readValue = (path: string, depth: number): void => {
    skipSpace();
    const first = json[at];
    if (first === '"') readString();
    else if (first === '{' || first === '[') {
      if (depth > maxDepth) throw new RangeError('the JSON is nested too deeply');
      readContainer(path, depth, first === '{');
    } else while (at < json.length && !/[\s,\]}]/.test(json[at]!)) at++;
  };
  const readContainer = (path: string, depth: number, isObject: boolean): void => {
    const seen = new Set<string>();
    at++;
    for (let index = 0; ; index++) {
      skipSpace();
      if (at >= json.length || json[at] === '}' || json[at] === ']') break;
      let inner = `${path}[${index}]`;
      if (isObject) {
        const key = readString();
        inner = path ? `${path}.${key}` : key;
        if (seen.has(key)) found.add(inner);
        seen.add(key);
        skipSpace();
        at++; // the colon
      }
      readValue(inner, depth + 1);
      skipSpace();
      if (json[at] === ',') at++;
    }
    at++;
  };
  readValue('', 0);
  return [...found];
}
