import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { configFileNames, type NetworkConfigList, parseConflist, type PluginConfig } from './cni/conflist.ts';
import { type Attachment, type CniCommand, type CniResult, parseAnswer, pluginOrder, pluginRequest } from './cni/requests.ts';
import { CniError, PodRunnerError } from './errors.ts';
import { isProgram } from './runtime/find-program.ts';

/** Runs the plugins of a network configuration list as the CNI spec 1.1.0, section 3 says a runtime does. */
export interface CniInvoker {
  /** Runs the chain in order and gives its final result. @throws CniError of the first plugin that fails; nothing is undone. */
  add(list: NetworkConfigList, attachment: Attachment): Promise<CniResult>;
  /** Runs the chain backwards, each plugin with the stored final result. @throws CniError of the first plugin that fails. */
  del(list: NetworkConfigList, attachment: Attachment, result: CniResult | undefined): Promise<void>;
  /** @throws CniError of the first plugin that finds the attachment not as it left it. */
  check(list: NetworkConfigList, attachment: Attachment, result: CniResult): Promise<void>;
}

export interface CniInvokerParts {
  readonly runner: CommandRunner;
  /** CNI_PATH: folders with plugins, searched in order. */
  readonly path: readonly string[];
  /** For one plugin (ms). */
  readonly timeout?: number;
}

/** The spec gives any exit code but 0 the meaning of an error; its text is on standard output. */
const everyExitCode = Array.from({ length: 255 }, (_, index) => index + 1);

export function createCniInvoker({ runner, path, timeout = 60_000 }: CniInvokerParts): CniInvoker {
  async function invoke(
    command: CniCommand,
    list: NetworkConfigList,
    plugin: PluginConfig,
    attachment: Attachment,
    previous: CniResult | undefined,
  ) {
    const file = path.map((folder) => join(folder, plugin.type)).find(isProgram);
    if (!file) throw new CniError(plugin.type, command, undefined, `failed to find plugin "${plugin.type}" in path [${path.join(' ')}]`);
    const request = pluginRequest(command, list, plugin, attachment, previous, path);
    const { exitCode, stdout, stderr } = await runner.run(file, [], {
      input: request.stdin,
      env: request.env,
      timeout,
      acceptExitCodes: everyExitCode,
    });
    return parseAnswer(command, plugin.type, exitCode, stdout, stderr);
  }

  return {
    async add(list, attachment) {
      let result: CniResult | undefined;
      for (const plugin of pluginOrder(list, 'ADD')) result = await invoke('ADD', list, plugin, attachment, result);
      return result!;
    },
    async del(list, attachment, result) {
      // Before 0.4.0 the stored result was not passed to DEL.
      const previous = /^0\.[0-3]\./.test(list.cniVersion) ? undefined : result;
      for (const plugin of pluginOrder(list, 'DEL')) await invoke('DEL', list, plugin, attachment, previous);
    },
    async check(list, attachment, result) {
      if (list.disableCheck) return;
      for (const plugin of pluginOrder(list, 'CHECK')) await invoke('CHECK', list, plugin, attachment, result);
    },
  };
}

/**
 * The network configuration of a net.d folder: the first file that holds one. Undefined when there is none yet.
 * @throws PodRunnerError when the first file is broken; a broken one is not passed over, as the pods would land in another network.
 */
export function loadConflist(folder: string): NetworkConfigList | undefined {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [first] = configFileNames(names);
  if (first === undefined) return undefined;
  const file = join(folder, first);
  try {
    return parseConflist(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof PodRunnerError) throw error;
    // Gone between listing and reading: its writer renames a new one into place.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
