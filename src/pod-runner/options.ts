import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { parseAddress } from '../net/index.ts';
import { PodRunnerError } from './errors.ts';

const path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
const subdomain = '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$';

/** The settings of one node's pod runner. Named as kubelet's flags where kubelet has them. */
export const podRunnerSchema = Type.Object(
  {
    nodeName: Type.String({ pattern: subdomain, maxLength: 253, description: 'name of the Node' }),
    nodeIPs: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: 2,
      description: 'addresses of the node, one of each family, primary first',
    }),
    nodeLabels: Type.Record(Type.String(), Type.String({ maxLength: 63 }), { description: 'labels to put on the Node' }),
    clusterDNS: Type.Array(Type.String(), { maxItems: 3, description: "name servers for the pods' resolv.conf" }),
    clusterDomain: Type.String({ pattern: subdomain, maxLength: 200, description: 'domain of the cluster' }),
    rootDir: path('folder for state, logs and pods'),
    cniConfDir: path('folder of network configurations; the first one in it is used'),
    cniBinDirs: Type.Array(path('a folder'), { minItems: 1, maxItems: 16, description: 'folders of CNI plugins' }),
    podManifestPath: Type.Optional(path('folder of static pod manifests')),
    netnsPrefix: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
      maxLength: 100,
      description: 'pod network namespaces are named PREFIX.ID',
    }),
    containerRuntimeEndpoint: Type.Optional(
      path('unix socket of a container runtime (CRI) that runs the pods; without it they are processes in network namespaces'),
    ),
    port: Type.Integer({ minimum: 0, maximum: 65_535, description: 'port of the kubelet API; 0 takes any free one' }),
    tlsCertFile: Type.Optional(path('certificate of the kubelet API; without it, logs, exec and port-forward are not served')),
    tlsPrivateKeyFile: Type.Optional(path('its private key')),
    clientCAFile: Type.Optional(path("authority of the API server's client certificate")),
    streamingIdleTimeout: Type.Number({
      minimum: 1,
      maximum: 604_800_000,
      description: 'how long exec, attach and port-forward may be silent (ms)',
    }),
    nodeLeaseDurationSeconds: Type.Integer({ minimum: 1, maximum: 3600, description: 'how long the Lease of the node is good for' }),
    maxPods: Type.Integer({ minimum: 1, maximum: 1000, description: 'how many pods the node may be given' }),
  },
  { additionalProperties: false },
);

export type PodRunnerOptions = Readonly<Static<typeof podRunnerSchema>>;

/** What holds when nothing is said. */
export const podRunnerDefaults = {
  nodeLabels: {},
  clusterDNS: [],
  clusterDomain: 'cluster.local',
  rootDir: '/var/lib/podwire/pod-runner',
  cniConfDir: '/etc/cni/net.d',
  cniBinDirs: ['/opt/cni/bin'],
  netnsPrefix: 'pod',
  port: 10_250,
  streamingIdleTimeout: 4 * 60 * 60 * 1_000,
  nodeLeaseDurationSeconds: 40,
  maxPods: 110,
} as const;

/** The settings with defaults filled in, checked and frozen. @throws PodRunnerError naming the setting and the reason. */
export function podRunnerOptions(given: Partial<PodRunnerOptions> & Pick<PodRunnerOptions, 'nodeName' | 'nodeIPs'>): PodRunnerOptions {
  const options = { ...podRunnerDefaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
  if (!Value.Check(podRunnerSchema, options)) {
    const [first] = Value.Errors(podRunnerSchema, options);
    const setting = first?.instancePath.replace(/^\//, '').replaceAll('/', '.') || 'settings';
    throw new PodRunnerError(setting, first?.message ?? 'is not valid');
  }
  const families = addresses('nodeIPs', options.nodeIPs).map(({ family }) => family);
  if (new Set(families).size !== families.length)
    throw new PodRunnerError('nodeIPs', `${options.nodeIPs.join(', ')}: at most one address of each IP family`);
  addresses('clusterDNS', options.clusterDNS);
  const files = [options.tlsCertFile, options.tlsPrivateKeyFile, options.clientCAFile];
  if (files.includes(undefined) && files.some((file) => file !== undefined))
    throw new PodRunnerError('tlsCertFile, tlsPrivateKeyFile, clientCAFile', 'all three must be given, or none');
  return Object.freeze(options);
}

function addresses(setting: string, texts: readonly string[]) {
  return texts.map((text) => {
    try {
      return parseAddress(text);
    } catch (error) {
      throw new PodRunnerError(setting, (error as Error).message);
    }
  });
}
