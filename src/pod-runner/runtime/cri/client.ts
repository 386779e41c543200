import { existsSync } from 'node:fs';
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError, status as codes } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assetFile } from '../../../runtime/program-files.ts';
import { PodRunnerError } from '../../errors.ts';
import type { CriMethods } from './messages.ts';

/** The runtime did not do what it was asked for. The message says what, and why in the runtime's own words. */
export class CriError extends Error {
  readonly method: keyof CriMethods;
  readonly code: number;
  constructor(method: keyof CriMethods, code: number, message: string) {
    super(message);
    this.name = 'CriError';
    this.method = method;
    this.code = code;
  }
}

/** Calls to a container runtime over the Container Runtime Interface (CRI). */
export interface CriClient {
  /** @param timeout ms. @throws CriError */
  call<Method extends keyof CriMethods>(method: Method, request: CriMethods[Method][0], timeout?: number): Promise<CriMethods[Method][1]>;
  close(): void;
}

/** kubelet's --runtime-request-timeout (ms). */
const usualTimeout = 120_000;

const channelOptions = {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A list of all containers of a node.
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
};

/** The versions have the same messages. A runtime that is new has only the first, one that is old only the second. */
const packages = ['runtime.v1', 'runtime.v1alpha2'] as const;

/** @param endpoint `unix:///path` or a path, as kubelet's --container-runtime-endpoint. @throws PodRunnerError when it is neither */
export function connectCri(endpoint: string): CriClient {
  const socket = socketPath(endpoint);
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), channelOptions);
  let spoken: (typeof packages)[number] | undefined;

  function unary<Method extends keyof CriMethods>(
    version: (typeof packages)[number],
    method: Method,
    request: CriMethods[Method][0],
    timeout: number,
  ): Promise<CriMethods[Method][1]> {
    const { path, requestSerialize, responseDeserialize } = methods().get(method) as MethodDefinition<
      CriMethods[Method][0],
      CriMethods[Method][1]
    >;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path.replace(packages[0], version),
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + timeout },
        (error, response) => (error || response === undefined ? reject(error ?? new Error('no answer')) : resolve(response)),
      );
    });
  }

  /** Which version of the interface the runtime speaks, asked once. */
  async function version(): Promise<(typeof packages)[number]> {
    for (const name of spoken ? [] : packages) {
      try {
        await unary(name, 'Version', {}, usualTimeout);
        spoken = name;
        break;
      } catch (error) {
        if ((error as ServiceError).code !== codes.UNIMPLEMENTED) throw error;
      }
    }
    if (!spoken) throw new PodRunnerError(endpoint, `whoever answers there speaks neither ${packages.join(' nor ')} of CRI`);
    return spoken;
  }

  return {
    async call(method, request, timeout = usualTimeout) {
      try {
        return await unary(await version(), method, request, timeout);
      } catch (error) {
        if (error instanceof PodRunnerError) throw error;
        const failure = error as ServiceError;
        throw new CriError(method, failure.code, messageOf(method, failure, socket, timeout));
      }
    },
    close: () => client.close(),
  };
}

export const isNotFound = (error: unknown): boolean => error instanceof CriError && error.code === codes.NOT_FOUND;
export const isTimeout = (error: unknown): boolean => error instanceof CriError && error.code === codes.DEADLINE_EXCEEDED;

function socketPath(endpoint: string): string {
  const path = endpoint.startsWith('unix://') ? endpoint.slice('unix://'.length) : endpoint;
  if (!path.startsWith('/'))
    throw new PodRunnerError(
      '--container-runtime-endpoint',
      `${JSON.stringify(endpoint)} is not a unix socket such as unix:///run/containerd/containerd.sock`,
    );
  return path;
}

function messageOf(method: string, { code, details, message }: ServiceError, socket: string, timeout: number): string {
  if (code === codes.UNAVAILABLE && !existsSync(socket)) return `the container runtime is down: there is no socket ${socket}`;
  if (code === codes.UNAVAILABLE) return `the container runtime is down: ${socket} does not answer (${details || message})`;
  if (code === codes.UNIMPLEMENTED) return `the container runtime at ${socket} has no ${method}: ${details || message}`;
  if (code === codes.DEADLINE_EXCEEDED) return `the container runtime did not finish ${method} within ${timeout / 1_000} s`;
  return details || message;
}

let loaded: ReadonlyMap<string, MethodDefinition<object, object>> | undefined;

/** The methods of both services by name. */
function methods(): ReadonlyMap<string, MethodDefinition<object, object>> {
  if (loaded) return loaded;
  const definition = loadSync(assetFile('pod-runner/runtime/cri/runtime.proto'), {
    longs: String,
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
  });
  const services = ['RuntimeService', 'ImageService'].map((service) => definition[`${packages[0]}.${service}`]);
  loaded = new Map(services.flatMap((service) => Object.entries(service as unknown as Record<string, MethodDefinition<object, object>>)));
  return loaded;
}
