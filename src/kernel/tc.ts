import { bucketLatency, type RootQdisc, type TokenBucket } from '../dataplane/qdisc.ts';
import type { CommandRunner } from './command-runner.ts';

/** Traffic control of one network namespace, through `tc`; each call is one process. */
export interface TrafficControl {
  /** Puts a token bucket at the root of the link's way out, in the place of what is there. @throws CommandError quoting tc */
  setRoot(device: string, bucket: TokenBucket): Promise<void>;
  /** What is at the root; undefined when there is no such link. @throws CommandError */
  readRoot(device: string): Promise<RootQdisc | undefined>;
}

interface TcQdisc {
  readonly kind: string;
  readonly root?: boolean;
  /** `rate` in bytes per second. */
  readonly options?: { readonly rate?: number; readonly burst?: number };
}

export const createTrafficControl = (runner: CommandRunner): TrafficControl => ({
  async setRoot(device, { rate, burst }) {
    const bucket = ['rate', `${rate}bit`, 'burst', `${burst}`, 'latency', `${bucketLatency}ms`];
    await runner.run('tc', ['qdisc', 'replace', 'dev', device, 'root', 'tbf', ...bucket]);
  },
  async readRoot(device) {
    const { stdout, exitCode } = await runner.run('tc', ['-json', 'qdisc', 'show', 'dev', device], { acceptExitCodes: [1] });
    if (exitCode !== 0) return undefined;
    const root = (JSON.parse(stdout || '[]') as TcQdisc[]).find((qdisc) => qdisc.root);
    if (!root) return { kind: 'other', name: 'noqueue' };
    const { rate, burst } = root.options ?? {};
    if (root.kind !== 'tbf' || rate === undefined || burst === undefined) return { kind: 'other', name: root.kind };
    return { kind: 'tbf', bucket: { rate: rate * 8, burst } };
  },
});
