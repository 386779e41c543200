// A containerd of the test's own inside the node of a CNI test, with our plugin as its network.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, linkSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { networkNamespaceProcesses } from '../../../src/kernel/netns.ts';
import { withDescendants } from '../../../src/kernel/process-table.ts';
import { endProcess } from '../../../src/kernel/processes.ts';
import { containerdCommand, containerdLayout } from '../../../src/lab/cri/containerd.ts';
import { importImages, writeContainerdFiles } from '../../../src/lab/cri/start-files.ts';
import { connectCri, type CriClient } from '../../../src/pod-runner/runtime/cri/client.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { writeBusyboxArchive } from './busybox.ts';
import { type CniNode, createCniNode, executable } from './cni-node.ts';

export interface ContainerdNode extends CniNode {
  /** Everything of containerd and of its pods lies below. */
  readonly folder: string;
  readonly endpoint: string;
  readonly client: CriClient;
  /** Ends containerd as a crash does and starts it again. */
  restart(): Promise<void>;
  /** Ends containerd with all that it has started, and removes everything. */
  destroy(): Promise<void>;
}

/** A node whose containerd has our plugin (with `options` laid over the usual ones) and busybox. */
export async function startContainerdNode(label: string, options: object = {}): Promise<ContainerdNode> {
  const node = createCniNode(label);
  const folder = mkdtempSync(join(tmpdir(), 'pwcri-'));
  const [cniConfDir, cniBinDir] = [join(folder, 'net.d'), join(folder, 'bin')];
  const layout = containerdLayout(join(folder, 'cri'));
  const archive = join(folder, 'busybox.tar');
  let daemon: ChildProcess | undefined;

  function start(): void {
    const log = openSync(join(folder, 'containerd.log'), 'a');
    daemon = spawn('nsenter', [`--net=${node.namespace}`, '--', ...containerdCommand(layout)], { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  async function destroy(): Promise<void> {
    client.close();
    const left = withDescendants(networkNamespaceProcesses([basename(node.namespace)]));
    await Promise.all(left.map((identity) => endProcess(identity, systemClock, 0)));
    node.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  const client = connectCri(`unix://${layout.socket}`);
  try {
    mkdirSync(cniConfDir);
    await writeContainerdFiles(layout, { cniConfDir, cniBinDir });
    linkSync(executable, join(cniBinDir, 'podwire-cni'));
    const capabilities = { portMappings: true, bandwidth: true };
    const plugin = { ...node.config, ...options, name: undefined, cniVersion: undefined, capabilities };
    writeFileSync(join(cniConfDir, '10-podwire.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'podwire', plugins: [plugin] }));
    writeBusyboxArchive(archive);
    start();
    await importImages(layout, [archive], { runner: systemRunner, clock: systemClock });
  } catch (error) {
    const log = readFileSync(join(folder, 'containerd.log'), 'utf8');
    await destroy();
    throw new Error(`${(error as Error).message}\n${log.split('\n').slice(-10).join('\n')}`, { cause: error });
  }
  return {
    ...node,
    folder,
    endpoint: `unix://${layout.socket}`,
    client,
    async restart() {
      const old = daemon!;
      const gone = once(old, 'exit');
      old.kill('SIGKILL');
      await gone;
      start();
    },
    destroy,
  };
}
