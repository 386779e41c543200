import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemRunner } from '../kernel/command-runner.ts';
import { startPodRunner } from '../pod-runner/daemon.ts';
import { podRunnerDefaults } from '../pod-runner/index.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';
import { address, durationOption, list, listenPort, listOf, wholeNumber } from './flags.ts';

interface PodRunnerFlags {
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly nodeIp: string[];
  readonly nodeLabels: Record<string, string>;
  readonly clusterDns: string[];
  readonly clusterDomain: string;
  readonly rootDir: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string[];
  readonly podManifestPath?: string;
  readonly netnsPrefix: string;
  readonly containerRuntimeEndpoint?: string;
  readonly port: number;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
  readonly streamingConnectionIdleTimeout: number;
  readonly nodeLeaseDurationSeconds: number;
  readonly maxPods: number;
}

/** `podwire pod-runner`: runs the pods bound to one node, in kubelet's place. */
export const command = (): Command =>
  daemonCommand<PodRunnerFlags>('pod-runner', 'run the pods bound to one node', 10_248, configure, (flags, context) => {
    const { podManifestPath } = flags;
    return withCluster(flags, context, 'podwire-pod-runner', (connection) =>
      startPodRunner(
        {
          nodeName: flags.nodeName,
          nodeIPs: flags.nodeIp,
          nodeLabels: flags.nodeLabels,
          clusterDNS: flags.clusterDns,
          clusterDomain: flags.clusterDomain,
          rootDir: flags.rootDir,
          cniConfDir: flags.cniConfDir,
          cniBinDirs: flags.cniBinDir,
          ...(podManifestPath === undefined ? {} : { podManifestPath }),
          netnsPrefix: flags.netnsPrefix,
          ...(flags.containerRuntimeEndpoint === undefined ? {} : { containerRuntimeEndpoint: flags.containerRuntimeEndpoint }),
          port: flags.port,
          ...(flags.tlsCertFile === undefined ? {} : { tlsCertFile: flags.tlsCertFile }),
          ...(flags.tlsPrivateKeyFile === undefined ? {} : { tlsPrivateKeyFile: flags.tlsPrivateKeyFile }),
          ...(flags.clientCaFile === undefined ? {} : { clientCAFile: flags.clientCaFile }),
          streamingIdleTimeout: flags.streamingConnectionIdleTimeout,
          nodeLeaseDurationSeconds: flags.nodeLeaseDurationSeconds,
          maxPods: flags.maxPods,
        },
        { ...connection, runner: systemRunner },
        context,
      ),
    );
  });

function configure(command: Command): void {
  const { cniBinDirs, nodeLabels, clusterDNS, ...defaults } = podRunnerDefaults;
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .requiredOption('--node-name <name>', 'name of the Node to register')
    .requiredOption(
      '--node-ip <addresses>',
      "the node's address, or one of each family with a comma between, primary first",
      listOf(address),
    )
    .addOption(
      new Option('--node-labels <key=value>', 'labels to put on the Node, with commas between; repeatable')
        .argParser(labels)
        .default(nodeLabels, 'none'),
    )
    .addOption(
      new Option('--cluster-dns <addresses>', "name servers for the pods' resolv.conf, with commas between")
        .argParser(listOf(address))
        .default([...clusterDNS], "the node's own"),
    )
    .option('--cluster-domain <domain>', 'domain of the cluster', defaults.clusterDomain)
    .option('--root-dir <folder>', 'where state and logs are kept', defaults.rootDir)
    .option('--cni-conf-dir <folder>', 'folder of network configurations; the first in it is used', defaults.cniConfDir)
    .addOption(
      new Option('--cni-bin-dir <folders>', 'folders of CNI plugins, with commas between')
        .argParser(folders)
        .default([...cniBinDirs], cniBinDirs.join()),
    )
    .option('--pod-manifest-path <folder>', 'folder of static pod manifests (default: none)')
    .option('--netns-prefix <prefix>', 'pod network namespaces are named PREFIX.ID', defaults.netnsPrefix)
    .option(
      '--container-runtime-endpoint <socket>',
      'container runtime that runs the pods over CRI, such as unix:///run/containerd/containerd.sock (default: none, pods are processes in network namespaces)',
    )
    .option(
      '--port <port>',
      'port of the kubelet API (logs, exec, attach, port-forward) on the addresses of the node',
      listenPort,
      defaults.port,
    )
    .option('--tls-cert-file <file>', 'certificate of the kubelet API (default: it is not served)')
    .option('--tls-private-key-file <file>', 'its private key')
    .option('--client-ca-file <file>', "authority of the API server's client certificate, which alone is let in")
    .addOption(durationOption('--streaming-connection-idle-timeout <time>', 'how long exec, attach and port-forward may be silent', '4h'))
    .option(
      '--node-lease-duration-seconds <seconds>',
      "how long the node's Lease is good for; renewed every quarter of it",
      wholeNumber(1, 3_600, 'seconds'),
      defaults.nodeLeaseDurationSeconds,
    )
    .option('--max-pods <number>', 'how many pods the node may be given', wholeNumber(1, 1_000), defaults.maxPods);
}

function labels(text: string, before: Record<string, string>): Record<string, string> {
  const pairs = text.split(',').map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw new InvalidArgumentError('Expected KEY=VALUE.');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return { ...before, ...Object.fromEntries(pairs) };
}

function folders(text: string): string[] {
  const names = list(text);
  if (names.length === 0) throw new InvalidArgumentError('Expected a folder.');
  return names;
}
