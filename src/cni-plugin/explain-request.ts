import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, listField } from './fields.ts';
import { pluginType } from './render/conflist.ts';

/**
 * The configuration that a runtime would give to our plugin: the text itself, or, of a list, the entry of our type with the list's name and version,
 * and with what the runtime gives to its capabilities (CNI spec 1.1.0, section 3 "Deriving request configuration from network configuration").
 * @throws CniError 6 when a text is no JSON object, 7 when the list has no such plugin
 */
export function requestConfig(text: string, runtimeConfig: string | undefined): string {
  const fields = parse(text, 'the configuration');
  const given = runtimeConfig === undefined ? undefined : parse(runtimeConfig, 'the runtime configuration');
  if (fields['plugins'] === undefined) return given ? JSON.stringify({ ...fields, runtimeConfig: given }) : text;
  const plugin = listField(fields, 'plugins')
    .map((entry, index) => asObject(entry, `plugins[${index}]`))
    .find((entry) => entry['type'] === pluginType);
  if (!plugin) throw new CniError(cniErrorCodes.invalidConfig, `plugins: none of type ${pluginType}`);
  const capabilities = asObject(plugin['capabilities'] ?? {}, 'capabilities');
  const wanted = Object.fromEntries(Object.entries(given ?? {}).filter(([name]) => capabilities[name] === true));
  return JSON.stringify({
    ...plugin,
    name: fields['name'],
    cniVersion: fields['cniVersion'],
    ...(Object.keys(wanted).length > 0 ? { runtimeConfig: wanted } : {}),
  });
}

function parse(text: string, name: string): Fields {
  try {
    return asObject(JSON.parse(text), name);
  } catch (error) {
    throw error instanceof CniError ? error : new CniError(cniErrorCodes.decoding, `${name} is not JSON: ${(error as Error).message}`);
  }
}
