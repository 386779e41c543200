import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import {
  addNetworkNamespaces,
  listNetworkNamespaces,
  networkNamespacePath,
  networkNamespaceProcesses,
  removeNetworkNamespaces,
} from '../../kernel/netns.ts';
import { endProcess, identify } from '../../kernel/processes.ts';
import type { Clock } from '../../runtime/clock.ts';
import { podBandwidth } from '../cni/bandwidth.ts';
import type { NetworkConfigList } from '../cni/conflist.ts';
import { type Attachment, type CniResult, resultAddresses } from '../cni/requests.ts';
import type { CniInvoker } from '../cni-invoker.ts';
import { PodRunnerError } from '../errors.ts';
import { type PodFiles, podFiles, readIfThere, writeWhole } from './pod-files.ts';
import type { HostPort, PodRef } from './runtime.ts';

/** A pod's network as kept on disk, with what DEL and CHECK will need. */
interface SandboxRecord extends PodRef {
  readonly id: string;
  readonly namespaceName: string;
  readonly list: NetworkConfigList;
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
  /** Undefined while ADD has not answered. */
  readonly result?: CniResult;
  readonly addresses?: readonly string[];
}

export interface SandboxParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly cni: CniInvoker;
  readonly root: string;
  /** Namespaces are named `<prefix>.<id>`. */
  readonly prefix: string;
  /** The network configuration as of now. */
  readonly conflist: () => NetworkConfigList | undefined;
}

/** Interface of a pod's network; CRI runtimes name it so. */
const ifName = 'eth0';
/** Pods and `ip` address a namespace by name; ten hex digits keep names short and, with a node's few hundred pods, apart. */
const shortLength = 10;

export interface Sandboxes {
  /** @throws PodRunnerError for an annotation that cannot be kept, and as Runtime.createSandbox */
  create(pod: PodRef, hostPorts: readonly HostPort[], annotations?: Readonly<Record<string, string>>): Promise<readonly string[]>;
  remove(pod: PodRef): Promise<void>;
  /** The addresses of a finished network. */
  addresses(uid: string): readonly string[] | undefined;
  /** Path of the pod's network namespace, as long as it has one. */
  netns(uid: string): string | undefined;
  /** Removes the namespaces with our prefix that no record names. */
  removeStrays(uids: readonly string[]): Promise<void>;
}

/** Network namespaces with the links that CNI plugins put into them. */
export function createSandboxes({ runner, clock, cni, root, prefix, conflist }: SandboxParts): Sandboxes {
  const read = (uid: string): SandboxRecord | undefined => parseRecord(readIfThere(podFiles(root, uid).sandboxFile));

  function attachment(record: SandboxRecord): Attachment {
    const there = listNetworkNamespaces().includes(record.namespaceName);
    return {
      containerID: record.id,
      netns: there ? networkNamespacePath(record.namespaceName) : undefined,
      ifName,
      args: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', record.namespace],
        ['K8S_POD_NAME', record.name],
        ['K8S_POD_INFRA_CONTAINER_ID', record.id],
        ['K8S_POD_UID', record.uid],
      ],
      capabilityArgs: record.capabilityArgs,
    };
  }

  async function removeNamespace(name: string): Promise<void> {
    // What still runs inside would keep the namespace and its links alive after its name is gone.
    const inside = networkNamespaceProcesses([name]).flatMap((pid) => identify(pid) ?? []);
    await Promise.all(inside.map((identity) => endProcess(identity, clock, 0)));
    await removeNetworkNamespaces(runner, [name]);
  }

  async function undo(record: SandboxRecord, files: PodFiles): Promise<void> {
    await cni.del(record.list, attachment(record), record.result);
    await removeNamespace(record.namespaceName);
    rmSync(files.sandboxFile, { force: true });
  }

  async function make(record: SandboxRecord): Promise<CniResult> {
    const { namespaceName } = record;
    // A crash, or a boot with a /run that was kept, may have left a namespace of the same name.
    if (listNetworkNamespaces().includes(namespaceName)) await removeNamespace(namespaceName);
    await addNetworkNamespaces(runner, [namespaceName]);
    const up = runner.run('ip', ['-n', namespaceName, 'link', 'set', 'dev', 'lo', 'up']);
    const [loopback, added] = await Promise.allSettled([up, cni.add(record.list, attachment(record))]);
    if (loopback.status === 'rejected') throw loopback.reason;
    if (added.status === 'rejected') throw added.reason;
    return added.value;
  }

  return {
    async create(pod, hostPorts, annotations = {}) {
      const list = conflist();
      if (!list) throw new PodRunnerError('network', 'cni config uninitialized');
      const bandwidth = podBandwidth(annotations);
      const files = podFiles(root, pod.uid);
      mkdirSync(files.dir, { recursive: true, mode: 0o700 });
      // A network that a runner before us began and did not finish.
      const unfinished = read(pod.uid);
      if (unfinished) await undo(unfinished, files);
      const id = createHash('sha256').update(`${pod.uid}/${clock.now()}`).digest('hex');
      const namespaceName = `${prefix}.${id.slice(0, shortLength)}`;
      const record: SandboxRecord = {
        ...pod,
        id,
        namespaceName,
        list,
        capabilityArgs: { ...(hostPorts.length > 0 ? { portMappings: hostPorts } : {}), ...(bandwidth ? { bandwidth } : {}) },
      };
      // On disk before anything is made, so that a crash at any moment leaves a record of what there may be.
      writeWhole(files.sandboxFile, JSON.stringify(record));
      try {
        const result = await make(record);
        const addresses = resultAddresses(result, ifName);
        writeWhole(files.sandboxFile, JSON.stringify({ ...record, result, addresses }));
        return addresses;
      } catch (error) {
        // The first failure is the one to tell. What cannot be undone now stays on record and is undone before the next try.
        await undo(record, files).catch(() => undefined);
        throw error;
      }
    },
    async remove(pod) {
      const record = read(pod.uid);
      if (record) await undo(record, podFiles(root, pod.uid));
    },
    addresses: (uid) => read(uid)?.addresses,
    netns(uid) {
      const record = read(uid);
      return record && networkNamespacePath(record.namespaceName);
    },
    async removeStrays(uids) {
      const known = new Set(uids.flatMap((uid) => read(uid)?.namespaceName ?? []));
      for (const name of listNetworkNamespaces()) if (name.startsWith(`${prefix}.`) && !known.has(name)) await removeNamespace(name);
    },
  };
}

function parseRecord(text: string | undefined): SandboxRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as SandboxRecord;
    return typeof record.id === 'string' && typeof record.namespaceName === 'string' && Array.isArray(record.list?.plugins)
      ? record
      : undefined;
  } catch {
    return undefined;
  }
}
