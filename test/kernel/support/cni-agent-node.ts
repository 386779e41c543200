import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CniNode, createCniNode, executable } from './cni-node.ts';

const root = resolve(import.meta.dirname, '../../..');

/** A {@link CniNode} with the launcher, and an agent's service that can be started, stopped and killed. */
export interface CniAgentNode extends CniNode {
  readonly binDir: string;
  startAgent(): Promise<void>;
  stopAgent(): Promise<void>;
  killAgent(): Promise<void>;
}

export function createCniAgentNode(label: string): CniAgentNode {
  let binDir = '';
  const node = createCniNode(label, (dataDir) => {
    binDir = `${dataDir}-bin`;
    mkdirSync(binDir);
    linkSync(executable, join(binDir, 'podwire-cni.standalone'));
    copyFileSync(join(root, 'src/cni-plugin/launcher.sh'), join(binDir, 'podwire-cni'));
    return join(binDir, 'podwire-cni');
  });
  let agent: ChildProcess | undefined;
  const end = async (stop: (child: ChildProcess) => void): Promise<void> => {
    const child = agent;
    agent = undefined;
    if (!child) return;
    const gone = once(child, 'exit');
    stop(child);
    await gone;
  };
  return {
    ...node,
    binDir,
    async startAgent() {
      const program = join(root, 'test/kernel/support/cni-service-process.ts');
      const words = [`--net=${node.namespace}`, '--', process.execPath, program, binDir, node.dataDir];
      agent = spawn('nsenter', words, { stdio: ['pipe', 'pipe', 'inherit'] });
      await Promise.race([
        once(agent.stdout!, 'data'),
        once(agent, 'exit').then(() => Promise.reject(new Error('the agent ended before it was ready'))),
      ]);
    },
    stopAgent: () => end((child) => void child.stdin!.end()),
    killAgent: () => end((child) => void child.kill('SIGKILL')),
    close() {
      agent?.kill('SIGKILL');
      node.close();
      rmSync(binDir, { recursive: true, force: true });
    },
  };
}
