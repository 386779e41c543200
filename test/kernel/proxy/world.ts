import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProxyOptionsInput } from '../../../src/kube-proxy/index.ts';
import type { EndpointSlice, Service } from '../../../src/objects/index.ts';
import { endpoint, node, service, slice } from '../../kube-proxy/objects.ts';
import { destinations, type Variant } from '../../kube-proxy/scenario-objects.ts';
import type { Bed } from './bed.ts';
import type { ClusterObjects } from './daemon-process.ts';
import type { PeerRequest } from './peer-process.ts';
import { endpointAddresses, type Place } from './topology.ts';

/** One Service `web` at every kind of address, and the daemon of the node that serves it. */
export interface WebState {
  readonly spec?: Partial<Service['spec']>;
  /** Indexes of `endpointAddresses`, and the state of each; default ready. */
  readonly endpoints: readonly (number | readonly [index: number, state: 'ready' | 'unready' | 'serving-terminating' | 'terminating'])[];
  readonly protocol?: 'TCP' | 'UDP';
  /** Port of the endpoints. Default 8080. */
  readonly target?: number;
  /** The Service is deleted. */
  readonly gone?: true;
}

export interface World {
  readonly bed: Bed;
  readonly variant: Variant;
  /** Brings the objects to this state and waits for the daemon's sync; starts the daemon when there is none. */
  set(state: WebState): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Another daemon from now on, with other options. */
  use(variant: Variant, more?: Partial<ProxyOptionsInput>): Promise<void>;
  ask(place: Place, request: PeerRequest): Promise<string>;
}

export const daemonProgram = fileURLToPath(new URL(`./daemon-process${extname(import.meta.url)}`, import.meta.url));

export interface WorldSettings {
  /** For every daemon of this world. */
  readonly options?: Partial<ProxyOptionsInput>;
  /** Where forking is dear: a folder for the shell that forks for the daemon. */
  readonly shellFolder?: string;
  /** The daemon's program, when it has been bundled. */
  readonly daemonFile?: string;
}

export function createWorld(
  bed: Bed,
  first: Variant,
  { options: common = {}, shellFolder, daemonFile = daemonProgram }: WorldSettings = {},
): World {
  let variant = first;
  let more: Partial<ProxyOptionsInput> = {};
  let child: ChildProcess | undefined;
  let last = 0;
  const kill = async (): Promise<void> => {
    const ending = child;
    child = undefined;
    if (!ending) return;
    await new Promise<void>((resolve) => {
      ending.once('exit', () => resolve());
      ending.kill('SIGKILL');
    });
  };
  const start = (): ChildProcess => {
    const options: ProxyOptionsInput = {
      nodeName: 'worker-1',
      clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
      minSyncPeriod: 10,
      // No row but one is about it, and reading takes time from the others.
      syncPeriod: 600_000,
      ...common,
      ...variant,
      ...more,
    };
    return bed.spawn('node', daemonFile, [JSON.stringify(options), ...(shellFolder === undefined ? [] : [shellFolder])]);
  };
  return {
    bed,
    get variant() {
      return variant;
    },
    async set(state) {
      const running = (child ??= start());
      const id = ++last;
      await new Promise<void>((resolve, reject) => {
        const ended = (code: number | null): void => reject(new Error(`the proxy ended with ${code}`));
        const answered = (message: { id: number; error?: string }): void => {
          if (message.id !== id) return;
          running.off('exit', ended).off('message', answered);
          if (message.error === undefined) resolve();
          else reject(new Error(message.error));
        };
        running.once('exit', ended).on('message', answered);
        running.send({ id, objects: objectsOf(state) });
      });
    },
    kill,
    async use(next, options = {}) {
      await kill();
      variant = next;
      more = options;
    },
    ask: async (place, request) => (await bed.ask(place, request))[0] ?? '',
  };
}

function objectsOf({ spec = {}, endpoints, protocol = 'TCP', target = 8080, gone }: WebState): ClusterObjects {
  const { clusterIP, loadBalancerIP } = destinations;
  const slices = ([4, 6] as const).map((family): EndpointSlice => {
    const list = endpoints.map((each) => (typeof each === 'number' ? ([each, 'ready'] as const) : each));
    const made = list.map(([index, state]) =>
      endpoint(endpointAddresses[index]![family === 4 ? 0 : 1], index < 3 ? 'worker-1' : 'worker-2', state),
    );
    return slice(made, { addressType: `IPv${family}`, ports: [{ name: 'http', port: target, protocol }] }, `web-${family}`);
  });
  const web = service(
    {
      clusterIP: clusterIP[0],
      clusterIPs: [...clusterIP],
      type: 'LoadBalancer',
      ports: [{ name: 'http', port: 80, protocol, nodePort: 30_080 }],
      ...spec,
    },
    {},
    { loadBalancer: { ingress: loadBalancerIP.map((ip) => ({ ip })) } },
  );
  return { services: gone ? [] : [web], endpointSlices: slices, nodes: [node()] };
}
