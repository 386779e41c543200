import type { FastifyReply, FastifyRequest } from 'fastify';
import { createWebSocketStream } from 'ws';
import { type AnyObject, resources } from '../../objects/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import { storeKey } from '../cached-object.ts';
import { kindOf } from '../bootstrap.ts';
import type { Watches } from '../handlers/watch.ts';
import type { KubeletClientOptions } from '../options.ts';
import type { Registry } from '../registry/registry.ts';
import { isTrue, type RequestInfo } from '../request-info.ts';
import { badRequest, methodNotAllowed, notFound } from '../status-errors.ts';
import { subprotocolsOf, upgradeHeaders } from './client-headers.ts';
import { createKubeletClient } from './kubelet-client.ts';
import { type KubeletEndpoint, kubeletEndpoint } from './kubelet-endpoint.ts';
import { sendLog } from './log.ts';
import { kubeletLogQuery } from './log-options.ts';
import { join, passThrough } from './pass-through.ts';
import { chooseContainer, commandPath, commandStreams, forwardPath } from './pod-target.ts';
import { translate, translatedProtocol, translatedSubprotocol } from './translate.ts';
import { type Upgrade, upgradeOf } from './upgrades.ts';
import { acceptWebsocket } from './websocket.ts';

/** Subresources of pods that are answered by the kubelet of the pod's node. */
export interface Streaming {
  serves(info: RequestInfo): boolean;
  /** Answers such a request, which has been authenticated and authorized. @throws StatusError */
  serve(info: RequestInfo, query: URLSearchParams, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
  close(): void;
}

const subresources: ReadonlySet<string> = new Set(['log', 'exec', 'attach', 'portforward']);
/** Port-forward with its SPDY frames inside a WebSocket (KEP-4006). */
const tunnelSubprotocol = 'SPDY/3.1+portforward.k8s.io';
const forwardProtocol = 'portforward.k8s.io';

interface Target {
  readonly endpoint: KubeletEndpoint;
  readonly path: string;
}

/** @throws Error in plain words when a file cannot be read. */
export function createStreaming(registry: Registry, running: Watches, clock: Clock, options: KubeletClientOptions): Streaming {
  const kubelets = createKubeletClient(options);
  const pods = kindOf(resources.pods);
  const nodes = kindOf(resources.nodes);

  function findPod({ namespace, name }: RequestInfo): AnyObject {
    const found = registry.cache.of(pods).get(storeKey(pods.resource, namespace, name));
    if (!found) throw notFound(pods.resource, name);
    return found.parse();
  }

  function endpointOf(node: string): KubeletEndpoint {
    const found = registry.cache.of(nodes).get(storeKey(nodes.resource, undefined, node));
    if (!found) throw notFound(nodes.resource, node);
    return kubeletEndpoint(found.parse(), options.preferredAddressTypes);
  }

  function targetOf(info: RequestInfo, query: URLSearchParams): Target {
    const pod = findPod(info);
    const path =
      info.subresource === 'portforward'
        ? forwardPath(pod, query)
        : commandPath(info.subresource as 'exec' | 'attach', pod, chooseContainer(pod, query.get('container') ?? ''), query);
    if (!pod.spec.nodeName) throw badRequest(`pod ${info.name} does not have a host assigned`);
    return { endpoint: endpointOf(pod.spec.nodeName), path };
  }

  async function log(info: RequestInfo, query: URLSearchParams, reply: FastifyReply): Promise<FastifyReply> {
    if (info.verb !== 'get') throw methodNotAllowed();
    const wanted = kubeletLogQuery(info.name, query);
    const pod = findPod(info);
    const container = chooseContainer(pod, query.get('container') ?? '');
    // As the reference: a pod that nobody runs has said nothing yet.
    if (!pod.spec.nodeName) return reply.code(204).send();
    const path = `/containerLogs/${[info.namespace, info.name, container].map(encodeURIComponent).join('/')}?${wanted}`;
    const insecure = query.has('insecureSkipTLSVerifyBackend') && isTrue(query.get('insecureSkipTLSVerifyBackend'));
    await sendLog(kubelets, { endpoint: endpointOf(pod.spec.nodeName), path, insecure }, info.name, () => {
      reply.hijack();
      const forget = running.add(() => reply.raw.destroy());
      reply.raw.once('close', forget);
      return reply.raw;
    });
    return reply;
  }

  async function upgrade(
    info: RequestInfo,
    query: URLSearchParams,
    request: FastifyRequest,
    reply: FastifyReply,
    client: Upgrade,
  ): Promise<FastifyReply> {
    const target = targetOf(info, query);
    const offered = request.headers.upgrade?.toLowerCase() === 'websocket' ? subprotocolsOf(request.headers) : [];
    const tunnels = info.subresource === 'portforward' && offered.includes(tunnelSubprotocol);
    const translates = info.subresource !== 'portforward' && offered.includes(translatedSubprotocol);
    const spdy = (protocol: string) => ({ connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol });
    const answer = await kubelets.upgrade({
      ...target,
      method: tunnels || translates ? 'POST' : request.method,
      headers: tunnels ? spdy(forwardProtocol) : translates ? spdy(translatedProtocol) : upgradeHeaders(request.raw),
    });
    // As it is: clients of upgrades know kubelet's own words.
    if (!answer.upgraded)
      return reply
        .code(answer.code >= 400 ? answer.code : 500)
        .type(answer.contentType)
        .send(answer.body);
    if (client.socket.destroyed) {
      answer.socket.destroy();
      return reply.hijack();
    }
    reply.hijack();
    reply.raw.statusCode = 101;
    const forget = running.add(() => client.socket.destroy());
    client.socket.once('close', () => {
      forget();
      answer.socket.destroy();
    });
    if (!tunnels && !translates) {
      passThrough(client, answer);
      return reply;
    }
    const websocket = await acceptWebsocket(request.raw, client, tunnels ? tunnelSubprotocol : translatedSubprotocol);
    if (!websocket) answer.socket.destroy();
    else if (translates) translate(websocket, answer, commandStreams(query), clock);
    else {
      const stream = createWebSocketStream(websocket);
      if (answer.head.length > 0) stream.write(answer.head);
      join(stream, answer.socket);
    }
    return reply;
  }

  return {
    serves: ({ kind, subresource, name }) => kind === pods && name !== '' && subresources.has(subresource),
    async serve(info, query, request, reply) {
      if (info.subresource === 'log') return log(info, query, reply);
      if (info.verb !== 'get' && info.verb !== 'create') throw methodNotAllowed();
      const client = upgradeOf(request.raw);
      if (client) return upgrade(info, query, request, reply, client);
      // What is wrong with the target is told first, as the reference does.
      targetOf(info, query);
      throw badRequest('Upgrade request required');
    },
    close: () => kubelets.close(),
  };
}
