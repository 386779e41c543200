import { PodRunnerError } from '../errors.ts';

/** One plugin's configuration object, as written by the administrator. */
export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [key: string]: unknown;
}

/** A network configuration list (CNI spec 1.1.0, section 1). */
export interface NetworkConfigList {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck: boolean;
  readonly plugins: readonly PluginConfig[];
}

const longestConfig = 1024 * 1024;

/**
 * The files of a net.d folder that may hold a network configuration, in the order in which a runtime looks at them. Pure.
 */
export const configFileNames = (names: readonly string[]): string[] => names.filter((name) => /\.(conflist|conf|json)$/.test(name)).sort();

/**
 * Reads a network configuration: a list, or a single plugin's (`.conf`), which becomes a list of one.
 * @throws PodRunnerError naming the file and the key.
 */
export function parseConflist(text: string, file: string): NetworkConfigList {
  const fail = (problem: string): never => {
    throw new PodRunnerError(file, problem);
  };
  if (text.length > longestConfig) return fail(`is longer than ${longestConfig} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) return fail('is not a JSON object');
  const list = value['plugins'] === undefined ? { cniVersion: value['cniVersion'], name: value['name'], plugins: [value] } : value;
  const { cniVersion = '0.1.0', name, plugins, disableCheck = false } = list as Record<string, unknown>;
  if (typeof cniVersion !== 'string' || !/^\d+\.\d+\.\d+$/.test(cniVersion)) return fail('cniVersion must be a version such as "1.0.0"');
  if (typeof name !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    return fail('name must start with a letter or digit and hold only letters, digits, "_", "." and "-"');
  }
  if (disableCheck !== true && disableCheck !== false && disableCheck !== 'true' && disableCheck !== 'false')
    return fail('disableCheck must be a boolean');
  if (!Array.isArray(plugins) || plugins.length === 0) return fail('plugins must be a list of at least one plugin');
  for (const [index, plugin] of plugins.entries()) {
    if (!isObject(plugin)) return fail(`plugins[${index}] must be an object`);
    // The type names an executable; a slash would reach outside of CNI_PATH.
    if (typeof plugin['type'] !== 'string' || !/^[^/\0]+$/.test(plugin['type'])) return fail(`plugins[${index}].type must name a plugin`);
    if (plugin['capabilities'] !== undefined && !isObject(plugin['capabilities']))
      return fail(`plugins[${index}].capabilities must be an object`);
  }
  return { cniVersion, name, disableCheck: String(disableCheck) === 'true', plugins: plugins as PluginConfig[] };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
