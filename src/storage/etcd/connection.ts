import { checkServerIdentity as checkIdentity, type PeerCertificate } from 'node:tls';
import { Client, type ClientDuplexStream, connectivityState, credentials, Metadata, type MethodDefinition } from '@grpc/grpc-js';
import { isLoopback, tryParseAddress } from '../../net/index.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { StoreError } from '../store.ts';
import { failureOf, toStoreError } from './errors.ts';
import type { EtcdOptions } from './options.ts';
import { methods, type WatchRequest, type WatchResponse } from './rpc.ts';

/** Calls to whichever of the members answers. */
export interface EtcdConnection {
  /**
   * Calls until there is an answer or `requestTimeout` is over. `repeatable`: a call that broke is made again, at the next member; otherwise only
   * one that was not sent.
   * @throws StoreError `unavailable` (not carried out), `unknown` (not repeatable and broken), `full`, `invalid`; the gRPC error where `keep`
   * says so.
   */
  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: { readonly repeatable: boolean; readonly keep?: (error: unknown) => boolean; readonly timeout?: number },
  ): Promise<Response>;
  /** As call, at each of the members once. */
  callEach<Request, Response>(method: MethodDefinition<Request, Response>, request: Request, timeout: number): Promise<Response[]>;
  /** Opens a stream of watches at the present member once it is connected; it ends with an error when the member has no leader. */
  watch(signal: AbortSignal): Promise<{ readonly stream: ClientDuplexStream<WatchRequest, WatchResponse>; readonly endpoint: string }>;
  /** The next member is used from now on, if `endpoint` still is the present one. */
  leave(endpoint: string): void;
  close(): void;
}

interface Endpoint {
  readonly name: string;
  readonly client: Client;
}

const channelOptions = {
  // A member that is stopped or cut off keeps its TCP connections; etcd allows a ping every 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.max_send_message_length': 16 * 1024 * 1024,
  // Connections of two stores in one process, with other certificates, must not be mixed up.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
};

/** How long another member may take to connect, or to answer a read, before the next is tried (ms). */
const patience = 2_000;

/** @throws StoreError `invalid` for an endpoint that is no URL, or plain HTTP beyond loopback. */
export function connectEtcd(options: EtcdOptions, clock: Clock, random: () => number): EtcdConnection {
  const endpoints: Endpoint[] = options.servers.map((server) => ({ name: server, client: createClient(server, options) }));
  if (endpoints.length === 0) throw new StoreError('invalid', 'no etcd server is given');
  let current = 0;
  let closed = false;
  const timers = new AbortController();

  const leave = (endpoint: string): void => {
    if (endpoints[current]!.name === endpoint) current = (current + 1) % endpoints.length;
  };

  async function call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { repeatable, keep = () => false, timeout = options.requestTimeout }: Parameters<EtcdConnection['call']>[2],
  ): Promise<Response> {
    const end = clock.monotonic() + timeout;
    for (let failures = 1; ; failures++) {
      const { name, client } = endpoints[current]!;
      const left = end - clock.monotonic();
      const share = endpoints.length > 1 ? Math.min(left, patience) : left;
      let sent = false;
      try {
        await connected(client, share, endpoints.length > 1);
        sent = true;
        return await unary(client, method, request, repeatable ? share : left);
      } catch (error) {
        if (keep(error)) throw error;
        if (closed) throw new StoreError('closed', 'the store is closed');
        const failure = failureOf(error);
        const unsure = sent && !repeatable && failure === 'broken';
        const delay = backoffDelay(failures, { base: 20, cap: 1_000, random });
        if (failure === 'final' || unsure || clock.monotonic() + delay >= end) throw toStoreError(error, name, unsure);
        leave(name);
        await sleep(clock, delay, timers.signal);
      }
    }
  }

  return {
    call,
    callEach: (method, request, timeout) =>
      Promise.all(
        endpoints.map(async ({ name, client }) => {
          try {
            await connected(client, timeout, false);
            return await unary(client, method, request, timeout);
          } catch (error) {
            throw toStoreError(error, name, false);
          }
        }),
      ),
    async watch(signal) {
      const { name, client } = endpoints[current]!;
      try {
        await connected(client, patience, endpoints.length > 1);
      } catch (error) {
        leave(name);
        throw toStoreError(error, name, false);
      }
      const metadata = new Metadata();
      metadata.set('hasleader', 'true');
      const { path, requestSerialize, responseDeserialize } = methods().watch;
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      signal.addEventListener('abort', () => stream.cancel(), { once: true });
      if (signal.aborted) stream.cancel();
      return { stream, endpoint: name };
    },
    leave,
    close() {
      closed = true;
      timers.abort();
      for (const { client } of endpoints) client.close();
    },
  };
}

function createClient(server: string, { ca, clientCertificate }: EtcdOptions): Client {
  const url = URL.parse(server);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || !url.host || url.pathname !== '/' || url.search || url.username) {
    throw new StoreError('invalid', `the etcd server ${JSON.stringify(server)} is not a URL such as https://10.0.0.1:2379`);
  }
  const target = `dns:${url.hostname}:${url.port || '2379'}`;
  if (url.protocol === 'https:') {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isAddress = tryParseAddress(host) !== undefined;
    // RFC 6066 has no place for addresses in the server name; the certificate is checked for the address all the same.
    const checkServerIdentity = (_name: string, certificate: PeerCertificate) => checkIdentity(host, certificate);
    return new Client(
      target,
      credentials.createSsl(
        ca ?? null,
        clientCertificate?.key ?? null,
        clientCertificate?.certificate ?? null,
        isAddress ? { checkServerIdentity } : {},
      ),
      isAddress ? { ...channelOptions, 'grpc.ssl_target_name_override': 'etcd' } : channelOptions,
    );
  }
  if (!isLoopbackHost(url.hostname)) {
    throw new StoreError(
      'invalid',
      `the etcd server ${server} is reached in plain HTTP, which is only done on a loopback address; use https`,
    );
  }
  return new Client(target, credentials.createInsecure(), channelOptions);
}

const isLoopbackHost = (hostname: string): boolean => hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''));

/** Resolves once the channel is connected. Rejects when it is not in time, and on the first failure when `impatient`. */
async function connected(client: Client, timeout: number, impatient: boolean): Promise<void> {
  const channel = client.getChannel();
  const deadline = Date.now() + Math.max(timeout, 0);
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    if (state === connectivityState.SHUTDOWN) throw new StoreError('closed', 'the store is closed');
    if (state === connectivityState.TRANSIENT_FAILURE && impatient) await explain(client);
    const inTime = await new Promise<boolean>((resolve) => channel.watchConnectivityState(state, deadline, (error) => resolve(!error)));
    if (!inTime) await explain(client);
  }
}

/** A channel does not tell why it is not connected, a call does. @throws gRPC's error unless the connection stands by now. */
const explain = (client: Client): Promise<object> => unary(client, methods().status, {}, 500);

function unary<Request, Response>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
  request: Request,
  timeout: number,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + Math.max(timeout, 1);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, (error, response) =>
      error ? reject(error) : resolve(response!),
    );
  });
}
