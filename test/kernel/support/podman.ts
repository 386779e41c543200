// A podman of the test's own inside the node of a CNI test, with our plugin as its network.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { networkNamespaceProcesses } from '../../../src/kernel/netns.ts';
import { withDescendants } from '../../../src/kernel/process-table.ts';
import { endProcess } from '../../../src/kernel/processes.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { writeBusyboxRoot } from './busybox.ts';
import { type CniNode, createCniNode, executable } from './cni-node.ts';

export interface PodmanNode extends CniNode {
  /** Root file system for `--rootfs`. */
  readonly rootfs: string;
  /** Runs podman; gives its standard output, throws when it fails. */
  podman(...args: string[]): string;
  destroy(): Promise<void>;
}

/** What podman would have on the host is its own here: /run, where it keeps namespaces and locks, and what Debian's package configures. crun, also without using them, refuses machines with cgroups of both versions or none. */
const isolate = `
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs none /sys/fs/cgroup
for folder in /etc/containers /var/lib/containers; do
  if [ -d "$folder" ]; then mount --bind "$1" "$folder"; fi
done
echo ready
exec sleep infinity
`;

export async function startPodmanNode(label: string): Promise<PodmanNode> {
  const node = createCniNode(label);
  const folder = mkdtempSync(join(tmpdir(), 'pwpodman-'));
  const at = (name: string): string => join(folder, name);
  for (const name of ['net.d', 'bin', 'empty']) mkdirSync(at(name));
  linkSync(executable, at('bin/podwire-cni'));
  writeBusyboxRoot(at('rootfs'));
  const plugin = { ...node.config, name: undefined, cniVersion: undefined, capabilities: { portMappings: true, ips: true, mac: true } };
  writeFileSync(at('net.d/10-podwire.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'podwire', plugins: [plugin] }));
  const text = (value: string | readonly string[]): string => JSON.stringify(value);
  writeFileSync(
    at('containers.conf'),
    [
      '[containers]',
      'cgroups = "disabled"',
      'log_driver = "k8s-file"',
      // Podman's own limits are higher than whoever lacks CAP_SYS_RESOURCE may set.
      'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]',
      '[engine]',
      'runtime = "crun"',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "none"',
      '[network]',
      'network_backend = "cni"',
      `cni_plugin_dirs = ${text([at('bin')])}`,
      `network_config_dir = ${text(at('net.d'))}`,
      '',
    ].join('\n'),
  );
  const storage = ['[storage]', 'driver = "vfs"', `graphroot = ${text(at('graph'))}`, `runroot = ${text(at('run'))}`, ''];
  writeFileSync(at('storage.conf'), storage.join('\n'));

  // One process keeps the mounts of all that podman does.
  const keeper = spawn(
    'nsenter',
    [`--net=${node.namespace}`, '--', 'unshare', '--mount', '--propagation=private', 'sh', '-euc', isolate, 'sh', at('empty')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );

  async function destroy(): Promise<void> {
    // conmon is in the node's network, and the containers are its children.
    const left = withDescendants(networkNamespaceProcesses([basename(node.namespace)]));
    await Promise.all(left.map((identity) => endProcess(identity, systemClock, 0)));
    node.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  try {
    await Promise.race([
      once(keeper.stdout, 'data'),
      once(keeper, 'exit').then(() => Promise.reject(new Error('podman cannot be isolated here'))),
    ]);
  } catch (error) {
    await destroy();
    throw error;
  }
  return {
    ...node,
    rootfs: at('rootfs'),
    podman(...args) {
      const inside = [`--target=${keeper.pid}`, '--mount', '--net', '--'];
      return execFileSync('nsenter', [...inside, 'podman', '--tmpdir', at('tmp'), ...args], {
        encoding: 'utf8',
        timeout: 60_000,
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          HOME: folder,
          CONTAINERS_CONF: at('containers.conf'),
          CONTAINERS_STORAGE_CONF: at('storage.conf'),
        },
      });
    },
    destroy,
  };
}
