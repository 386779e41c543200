import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { createEventRecorder } from '../kube/events.ts';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { type Pod, resources } from '../objects/client.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { Counter, Gauge, Histogram } from '../runtime/metrics.ts';
import { createCniInvoker } from './cni-invoker.ts';
import { createKubeletApiHandler, type KnownPod } from './effects/kubelet-api/handler.ts';
import { type KubeletApi, startKubeletApi } from './effects/kubelet-api/server.ts';
import { readMachine } from './effects/machine.ts';
import { createMirrors } from './effects/mirrors.ts';
import { watchNetworkConfig } from './effects/network-config.ts';
import { startNodeLease } from './effects/node-lease.ts';
import { startNodeRegistration } from './effects/node-registration.ts';
import { createPodSet } from './effects/pod-set.ts';
import { nodeResources } from './render/node.ts';
import { checkMachine, takeFolder } from './effects/preflight.ts';
import { watchManifests } from './effects/static-pods.ts';
import { type PodRunnerOptions, podRunnerOptions } from './options.ts';
import { connectCri } from './runtime/cri/client.ts';
import { type CriRuntime, openCriRuntime } from './runtime/cri/cri.ts';
import { createNetnsRuntime } from './runtime/netns.ts';
import type { ContainerAccess, Runtime } from './runtime/runtime.ts';
import { createSandboxes } from './runtime/sandbox.ts';

export interface PodRunnerDependencies {
  readonly client: KubeClient;
  readonly cluster: ClusterCache;
  readonly runner: CommandRunner;
}

/**
 * Runs the pods bound to one node, as kubelet does: registers the Node, keeps its Lease, and for each pod makes a network by CNI, starts the
 * containers' processes and writes the status. Pods that an earlier runner left are taken over as they are, and go on when this one stops.
 * Resolves at once; what needs the API server is tried until it works. @throws PodRunnerError for settings or a machine that cannot be used.
 */
export async function startPodRunner(
  given: Partial<PodRunnerOptions> & Pick<PodRunnerOptions, 'nodeName' | 'nodeIPs'>,
  { client, cluster, runner }: PodRunnerDependencies,
  context: DaemonContext,
): Promise<Daemon> {
  const options = podRunnerOptions(given);
  const { clock, log, health } = context;
  checkMachine();
  const giveBack = takeFolder(options.rootDir);
  const events = createEventRecorder({ client, clock, log, component: 'kubelet', host: options.nodeName });
  const metrics = podRunnerMetrics(context);
  let stopping = false;
  /** The pods of the API are known. */
  let started = false;

  /** Pods can be started now, or cannot any more. */
  let pokeAll = (): void => undefined;
  const network = watchNetworkConfig(options.cniConfDir, context, () => pokeAll());
  const giveUp = (error: unknown): never => {
    network.stop();
    giveBack();
    throw error;
  };
  const cri = await openCri(options, context, () => pokeAll()).catch(giveUp);
  const problem = (): string | undefined => network.problem ?? cri?.problem;
  const cni = createCniInvoker({ runner: timed(runner, metrics.cniDuration, clock), path: options.cniBinDirs });
  const sandboxes = createSandboxes({
    runner,
    clock,
    cni,
    root: options.rootDir,
    prefix: options.netnsPrefix,
    conflist: () => network.list,
  });
  const runtime: Runtime & ContainerAccess = cri ?? createNetnsRuntime({ runner, clock, log, root: options.rootDir, sandboxes });
  const found = await runtime.listPods().catch((error: unknown) => {
    runtime.close();
    return giveUp(error);
  });

  const machine = readMachine(options.rootDir);
  const kubeletApi = await startApi(options, runtime, context, () => (started ? [...pods.workers.values()] : []));
  const informer = cluster.informer(resources.pods, { fieldSelector: `spec.nodeName=${options.nodeName}` });
  const registration = startNodeRegistration({
    client,
    cluster,
    clock,
    log,
    events,
    machine,
    identity: {
      name: options.nodeName,
      addresses: options.nodeIPs,
      labels: options.nodeLabels,
      maxPods: options.maxPods,
      kubeletPort: kubeletApi?.port,
      containerRuntimeVersion: cri?.version,
    },
    problem,
  });
  const lease = startNodeLease({
    client,
    clock,
    log,
    nodeName: options.nodeName,
    durationSeconds: options.nodeLeaseDurationSeconds,
    node: () => registration.node,
  });
  const ownPods = (): ReadonlyMap<string, Pod> | undefined =>
    informer.synced && !stopping ? new Map([...informer.store].filter(([, { spec }]) => spec.nodeName === options.nodeName)) : undefined;
  const mirrors = createMirrors({ client, clock, log, node: () => registration.node, apiPods: ownPods });

  const pods = createPodSet(
    found,
    options.nodeName,
    {
      options,
      runtime,
      client,
      resources: nodeResources(machine, options.maxPods),
      events,
      clock,
      log,
      networkProblem: problem,
      onRestart: () => metrics.restarts.inc(),
      onStarted: (duration) => metrics.startDuration.observe(duration / 1_000),
    },
    () => metrics.pods.set(pods?.workers.size ?? 0),
  );
  pokeAll = () => {
    registration.poke();
    pods.pokeAll();
  };
  const unsubscribe = [
    runtime.onChange((uid) => pods.workers.get(uid)?.poke()),
    informer.onChange((before, after) => {
      // Before the first list is whole, a pod that is not in it yet would be taken for gone.
      if (started) pods.change(before, after);
      mirrors.poke();
    }),
    cluster.informer(resources.nodes, { fieldSelector: `metadata.name=${options.nodeName}` }).onChange(() => mirrors.poke()),
  ];
  const manifests = options.podManifestPath
    ? watchManifests(options.podManifestPath, options.nodeName, context, (statics) => {
        pods.setStatic(statics);
        mirrors.want(statics.values());
      })
    : undefined;

  const begin = async (): Promise<void> => {
    await informer.whenSynced();
    if (stopping) return;
    started = true;
    for (const pod of informer.store.values()) pods.change(undefined, pod);
    mirrors.poke();
    for (const orphan of pods.orphans()) {
      log.info({ pod: orphan.ref.name, uid: orphan.ref.uid }, 'what an earlier runner left of a pod that is gone is removed');
      await runtime.removePod(orphan.ref);
    }
    await runtime.removeStrays();
  };
  const beginning = begin().catch((error: unknown) =>
    log.error({ err: error }, 'what earlier runners left could not be removed; the next start will'),
  );

  health.addReady('node', () => (registration.registered ? undefined : 'the node is not registered yet'));
  health.addReady('pods', () => (started ? undefined : 'the pods of the node are not known yet'));
  health.addReady('lease', () => {
    const age = clock.monotonic() - (lease.renewedAt ?? Number.NEGATIVE_INFINITY);
    return age < options.nodeLeaseDurationSeconds * 1_000 ? undefined : 'the lease of the node is not renewed';
  });

  return {
    async stop() {
      stopping = true;
      for (const end of unsubscribe) end();
      manifests?.stop();
      mirrors.stop();
      network.stop();
      registration.stop();
      lease.stop();
      pods.stop();
      await kubeletApi?.close();
      runtime.close();
      if (started) await beginning;
      await events.flush();
      giveBack();
    },
  };
}

/** The container runtime that is to run the pods, when there is one. @throws PodRunnerError, CriError when it cannot be used */
async function openCri(
  { containerRuntimeEndpoint: endpoint, rootDir }: PodRunnerOptions,
  { clock, log }: DaemonContext,
  onProblem: () => void,
): Promise<CriRuntime | undefined> {
  return endpoint === undefined ? undefined : openCriRuntime({ client: connectCri(endpoint), clock, log, root: rootDir, onProblem });
}

/** Kubelet's API, when there are certificates for it. */
async function startApi(
  options: PodRunnerOptions,
  access: ContainerAccess,
  { clock, log, metrics }: DaemonContext,
  pods: () => Iterable<KnownPod>,
): Promise<KubeletApi | undefined> {
  const { tlsCertFile, tlsPrivateKeyFile, clientCAFile, streamingIdleTimeout } = options;
  if (!tlsCertFile || !tlsPrivateKeyFile || !clientCAFile) return undefined;
  const handler = createKubeletApiHandler({ pods, access, metrics, clock, log, idleTimeout: streamingIdleTimeout });
  const files = { certFile: tlsCertFile, privateKeyFile: tlsPrivateKeyFile, clientCAFile };
  return startKubeletApi({ addresses: options.nodeIPs, port: options.port, files, handler, log });
}

function podRunnerMetrics({ metrics }: DaemonContext) {
  const registers = [metrics];
  return {
    pods: new Gauge({ name: 'podwire_pod_runner_pods', help: 'Pods that the runner works on.', registers }),
    restarts: new Counter({
      name: 'podwire_pod_runner_container_restarts_total',
      help: 'Containers started again after they had ended.',
      registers,
    }),
    startDuration: new Histogram({
      name: 'podwire_pod_runner_pod_start_duration_seconds',
      help: 'From the moment a pod is seen to its first running container.',
      buckets: [0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    cniDuration: new Histogram({
      name: 'podwire_pod_runner_cni_operation_duration_seconds',
      help: 'Duration of one run of one CNI plugin.',
      labelNames: ['command'],
      buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
  };
}

/** A runner that measures how long CNI plugins take. */
const timed = (runner: CommandRunner, histogram: Histogram<'command'>, clock: DaemonContext['clock']): CommandRunner => ({
  async run(command, args, options) {
    const start = clock.monotonic();
    try {
      return await runner.run(command, args, options);
    } finally {
      histogram.observe({ command: options?.env?.['CNI_COMMAND'] ?? '' }, (clock.monotonic() - start) / 1_000);
    }
  },
});
