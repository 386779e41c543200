import { readFileSync } from 'node:fs';
import { type AnyObject, findKindByName } from '../objects/index.ts';
import { ensureObject } from './auth/default-policy/ensure.ts';
import { checkObject, expectedOf } from './decode.ts';
import type { Registry } from './registry/registry.ts';

/**
 * Makes the objects of a YAML file before the server listens: what a cluster needs from its first moment on, such as the roles of its own
 * daemons. Objects that exist stay as they are; roles and bindings get what they lack.
 * @throws Error in plain words naming the file and the object.
 */
export async function ensureInitialObjects(registry: Registry, file: string): Promise<void> {
  const { parseAllDocuments } = await import('./yaml.ts');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`--initial-objects: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  for (const [index, document] of parseAllDocuments(text).entries()) {
    const where = `--initial-objects: ${file}: document ${index + 1}`;
    if (document.errors.length > 0) throw new Error(`${where}: ${document.errors[0]!.message}`);
    const object = document.toJS({ maxAliasCount: 100 }) as AnyObject | null;
    if (object === null) continue;
    const kind = findKindByName(String(object.apiVersion), String(object.kind));
    if (!kind) throw new Error(`${where}: this server keeps no ${String(object.kind)} of ${String(object.apiVersion)}`);
    try {
      checkObject(object, expectedOf(kind), 'Strict');
      await ensureObject(registry, kind, object);
    } catch (error) {
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    }
  }
}
