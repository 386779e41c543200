import { execFile, type ExecFileException } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where Debian's containernetworking-plugins are. */
export const referencePlugins = '/usr/lib/cni';

export interface ChainAnswer {
  readonly exitCode: number;
  /** The plugin that failed, or the last one. */
  readonly plugin: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
  readonly text: string;
}

export interface ChainPod {
  readonly containerId: string;
  readonly netns: string;
  readonly args?: string;
}

/** Runs the plugins of a configuration list as a container runtime does (CNI spec 1.1.0, section 3), in one network namespace. */
export interface CniChain {
  add(pod: ChainPod): Promise<ChainAnswer>;
  /** With the result of the ADD; all plugins but those of the types `skip`. */
  check(pod: ChainPod, skip?: readonly string[]): Promise<ChainAnswer>;
  del(pod: ChainPod): Promise<ChainAnswer>;
  gc(valid: readonly ChainPod[]): Promise<ChainAnswer>;
  status(): Promise<ChainAnswer>;
}

type PluginConfig = Readonly<Record<string, unknown>> & { readonly type: string };

/** @param folders where plugins are looked for, in this order */
export function createCniChain(
  namespace: string,
  folders: readonly string[],
  { cniVersion, name, plugins }: { readonly cniVersion: string; readonly name: string; readonly plugins: readonly PluginConfig[] },
): CniChain {
  const results = new Map<string, object>();
  const run = (plugin: PluginConfig, command: string, pod: ChainPod | undefined, more: object): Promise<ChainAnswer> => {
    const path = folders.map((folder) => join(folder, plugin.type)).find((candidate) => existsSync(candidate));
    if (path === undefined) throw new Error(`no plugin ${plugin.type} in ${folders.join(', ')}`);
    const env = {
      PATH: '/usr/sbin:/sbin:/usr/bin:/bin',
      CNI_COMMAND: command,
      CNI_PATH: folders.join(':'),
      ...(pod ? { CNI_CONTAINERID: pod.containerId, CNI_NETNS: pod.netns, CNI_IFNAME: 'eth0', CNI_ARGS: pod.args ?? '' } : {}),
    };
    return new Promise((done) => {
      const child = execFile(
        'nsenter',
        [`--net=${namespace}`, '--', path],
        { env, timeout: 60_000 },
        (error: ExecFileException | null, stdout, stderr) =>
          done({
            exitCode: error ? (typeof error.code === 'number' ? error.code : -1) : 0,
            plugin: plugin.type,
            json: stdout.trim() === '' ? undefined : (JSON.parse(stdout) as unknown),
            text: `${plugin.type}: ${stdout}${stderr}`,
          }),
      );
      child.stdin!.on('error', () => {});
      child.stdin!.end(JSON.stringify({ ...plugin, cniVersion, name, ...more }));
    });
  };
  const withResult = (pod: ChainPod): object => (results.has(pod.containerId) ? { prevResult: results.get(pod.containerId) } : {});
  const runAll = async (list: readonly PluginConfig[], command: string, pod: ChainPod | undefined, more: object): Promise<ChainAnswer> => {
    let answer: ChainAnswer | undefined;
    for (const plugin of list) {
      answer = await run(plugin, command, pod, more);
      if (answer.exitCode !== 0) return answer;
    }
    return answer!;
  };
  return {
    async add(pod) {
      let answer: ChainAnswer | undefined;
      for (const plugin of plugins) {
        answer = await run(plugin, 'ADD', pod, answer ? { prevResult: answer.json as unknown } : {});
        if (answer.exitCode !== 0) return answer;
      }
      results.set(pod.containerId, answer!.json as object);
      return answer!;
    },
    check: (pod, skip = []) =>
      runAll(
        plugins.filter(({ type }) => !skip.includes(type)),
        'CHECK',
        pod,
        withResult(pod),
      ),
    del: (pod) => runAll([...plugins].reverse(), 'DEL', pod, withResult(pod)),
    gc: (valid) =>
      runAll(plugins, 'GC', undefined, {
        'cni.dev/valid-attachments': valid.map(({ containerId }) => ({ containerID: containerId, ifname: 'eth0' })),
      }),
    status: () => runAll(plugins, 'STATUS', undefined, {}),
  };
}
