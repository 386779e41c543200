import { inspectNode } from '../cni-plugin/effects/inspect-node.ts';
import type { Finding } from '../cni-plugin/inspect.ts';
import { systemRunner } from '../kernel/command-runner.ts';
import { type Column, type OutputFormat, renderRows } from './output.ts';

interface CheckFlags {
  readonly confDir: string;
  readonly confFile: string;
  readonly binDir: string;
  readonly cacheDir: string;
  readonly executable?: string;
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly output: OutputFormat;
}

const columns: readonly Column<Finding>[] = [
  { header: 'SUBJECT', cell: ({ subject }) => subject },
  { header: 'PROBLEM', cell: ({ problem }) => problem },
  { header: 'REPAIR', cell: ({ repair }) => repair || undefined },
];

/** `podwire cni check`. The process ends with 0 when all is well, 1 when something was found. */
export async function check({ kubeconfig, nodeName, output, ...options }: CheckFlags): Promise<void> {
  const { podCIDRs, unread } = await askNode(kubeconfig, nodeName);
  const findings = [...unread, ...(await inspectNode({ ...options, podCIDRs }, systemRunner))];
  if (findings.length > 0 || output === 'json' || output === 'yaml') process.stdout.write(renderRows(output, findings, columns));
  else process.stdout.write('The installation and every attachment are as they should be.\n');
  if (findings.length > 0) process.exitCode = 1;
}

/** A Node that cannot be read is a finding; the rest is looked at all the same. */
async function askNode(
  kubeconfig: string | undefined,
  nodeName: string | undefined,
): Promise<{ podCIDRs?: readonly string[]; unread: readonly Finding[] }> {
  if (kubeconfig === undefined || nodeName === undefined) return { unread: [] };
  try {
    return { podCIDRs: await (await import('./cni-install.ts')).readPodCIDRs(kubeconfig, nodeName), unread: [] };
  } catch (error) {
    const problem = `the pod CIDRs of Node ${nodeName} cannot be read: ${(error as Error).message}`;
    return { unread: [{ subject: 'installation', problem, repair: '' }] };
  }
}
