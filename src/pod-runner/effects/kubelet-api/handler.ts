import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Pod, PodStatus } from '../../../objects/client.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Logger } from '../../../runtime/log.ts';
import type { Registry as Metrics } from '../../../runtime/metrics.ts';
import { largestMessage } from '../../../transport/websocket-channels.ts';
import { LogOptionsError, parseLogOptions } from '../../logs/log-options.ts';
import { logRun } from '../../logs/log-status.ts';
import { isSupervised } from '../../machine/types.ts';
import { BadQuery, negotiate, parseCommandOptions, parseForwardPorts, parsePodRequest, type PodRequest } from '../../remote/requests.ts';
import type { Interaction } from '../../runtime/interaction.ts';
import type { ContainerAccess, PodRef } from '../../runtime/runtime.ts';
import type { TerminalSize } from '../../render/terminal.ts';
import { sendLog } from './container-logs.ts';
import { forwardOverSpdy, forwardOverWebsocket, type ForwardParts, forwardProtocol, forwardSubprotocols } from './port-forward.ts';
import { serveRemoteCommand } from './remote-command.ts';
import { type KubeletApiHandler, refuseUpgrade, sendText } from './server.ts';
import { commandProtocols, spdyStreams } from './spdy-streams.ts';
import { commandSubprotocols, websocketStreams } from './websocket-streams.ts';

/** A pod of the node, as it is at the moment. */
export interface KnownPod {
  readonly ref: PodRef;
  readonly pod: Pod;
  readonly status: PodStatus;
}

export interface HandlerParts {
  readonly pods: () => Iterable<KnownPod>;
  readonly access: ContainerAccess;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
  /** A connection that carries nothing for so long (ms) is ended. */
  readonly idleTimeout: number;
}

/** An answer that is an error. Its text is for people. */
class Refusal extends Error {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(code: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** Kubelet's API as far as API servers use it: exec, attach, portForward, containerLogs, pods, healthz, metrics. */
export function createKubeletApiHandler(parts: HandlerParts): KubeletApiHandler {
  const { access, clock, idleTimeout } = parts;

  function find(namespace: string, name: string): KnownPod | undefined {
    for (const known of parts.pods()) if (known.ref.name === name && known.ref.namespace === namespace) return known;
    return undefined;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = urlOf(request);
    if (pathname === '/healthz') return sendText(response, 200, 'ok');
    if (pathname === '/metrics')
      return sendText(response, 200, await parts.metrics.metrics(), { 'content-type': parts.metrics.contentType });
    if (pathname === '/pods' || pathname === '/pods/') {
      const items = [...parts.pods()].map(({ pod, status }) => ({ ...pod, status }));
      const list = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
      return sendText(response, 200, JSON.stringify(list), { 'content-type': 'application/json' });
    }
    const asked = parsePodRequest(pathname);
    if (!asked) throw new Refusal(404, '404: Page Not Found');
    if (asked.to !== 'containerLogs') throw new Refusal(400, 'unable to upgrade: missing upgrade headers in request');
    if (request.method !== 'GET') throw new Refusal(405, '405: Method Not Allowed');
    await logs(asked, searchParams, response);
  }

  async function logs(
    { namespace, pod: name, container }: PodRequest & { to: 'containerLogs' },
    query: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    const options = parseLogOptions(query, clock.now());
    const known = find(namespace, name);
    if (!known) throw new Refusal(404, `pod ${JSON.stringify(name)} does not exist`);
    if (!containerNames(known.pod).includes(container))
      throw new Refusal(404, `container ${JSON.stringify(container)} not found in pod ${JSON.stringify(name)}`);
    if (isSupervised(known.pod)) throw new Refusal(400, supervised(container, name));
    const run = logRun(name, known.status, container, options.previous);
    if ('problem' in run) throw new Refusal(400, run.problem);
    await sendLog(access.log(known.ref, container, run.attempt), options, response, clock);
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { pathname, searchParams } = urlOf(request);
    const asked = parsePodRequest(pathname);
    if (!asked || asked.to === 'containerLogs') throw new Refusal(404, '404: Page Not Found');
    const overWebsocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    const options = asked.to === 'portForward' ? undefined : parseCommandOptions(searchParams);
    const ports = asked.to === 'portForward' && overWebsocket ? parseForwardPorts(searchParams) : [];
    const known = find(asked.namespace, asked.pod);
    if (!known) throw new Refusal(404, 'pod does not exist');
    if (asked.uid && asked.uid !== known.ref.uid) throw new Refusal(404, 'pod not found');
    if (isSupervised(known.pod)) throw new Refusal(400, supervised('container' in asked ? asked.container : '', asked.pod));
    if (asked.to === 'portForward') {
      const forward: ForwardParts = {
        clock,
        idleTimeout,
        pod: known.ref,
        connect: (port) => access.connect(known.ref, Boolean(known.pod.spec.hostNetwork), port),
      };
      if (overWebsocket) forwardOverWebsocket(await acceptWebsocket(request, socket, head, forwardSubprotocols, parts), ports, forward);
      else {
        acceptSpdy(request, socket, [forwardProtocol]);
        forwardOverSpdy({ socket, head }, forward);
      }
      return;
    }
    const { container } = asked;
    // As kubelet, which asks its runtime before it upgrades.
    if (!isRunning(known.status, container)) throw new Refusal(500, `container not found (${JSON.stringify(container)})`);
    if (asked.to === 'exec' && options!.command.length === 0) throw new Refusal(400, 'you must specify a command');
    const begin = async (size: TerminalSize | undefined): Promise<Interaction> => {
      if (asked.to === 'exec')
        return access.interact(known.ref, container, { command: options!.command, tty: options!.tty, stdin: options!.stdin, size });
      const joined = await access.attach(known.ref, container);
      if (size) joined.resize(size);
      return joined;
    };
    const streams = overWebsocket
      ? websocketStreams(await acceptWebsocket(request, socket, head, commandSubprotocols, parts), options!)
      : await spdyStreams({ socket, head }, acceptSpdy(request, socket, commandProtocols), options!, clock, idleTimeout);
    await serveRemoteCommand(streams, begin, clock);
  }

  return {
    async request(request, response) {
      try {
        await answer(request, response);
      } catch (error) {
        // What has begun to be answered can only be cut off.
        if (response.headersSent) throw error;
        const { code, message, headers } = toRefusal(error);
        sendText(response, code, message, headers);
      }
    },
    async upgrade(request, socket, head) {
      let refused: Refusal | undefined;
      try {
        await upgrade(request, socket, head);
      } catch (error) {
        parts.log.debug({ err: error, url: request.url }, 'a streaming request ended');
        refused = toRefusal(error);
      }
      // Once it has left HTTP, only its end can tell.
      if (refused && !left.has(socket)) refuseUpgrade(socket, refused.code, refused.message, refused.headers);
      else if (refused) socket.destroy();
    },
  };
}

/** Connections that do not speak HTTP any more. */
const left = new WeakSet<Duplex>();

const urlOf = (request: IncomingMessage): URL => new URL(request.url ?? '/', 'https://kubelet');

const supervised = (container: string, pod: string): string =>
  `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod)} is a process of the node, which the pod runner only shows`;

function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof BadQuery) return new Refusal(400, error.message);
  if (error instanceof LogOptionsError) return new Refusal(422, error.message);
  return new Refusal(500, error instanceof Error ? error.message : String(error));
}

const containerNames = ({ spec }: Pod): string[] => [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name);

const isRunning = ({ containerStatuses = [], initContainerStatuses = [] }: PodStatus, container: string): boolean =>
  [...containerStatuses, ...initContainerStatuses].some(({ name, state }) => name === container && state?.running !== undefined);

/** Answers with 101 and the protocol chosen. @throws Refusal when there is none that both know. */
function acceptSpdy(request: IncomingMessage, socket: Duplex, served: readonly string[]): string {
  const wanted = (request.headersDistinct['x-stream-protocol-version'] ?? []).flatMap((text) => text.split(',')).map((text) => text.trim());
  const protocol = negotiate(wanted, served);
  if (protocol === undefined) {
    throw new Refusal(
      403,
      `unable to upgrade: unable to negotiate protocol: client supports ${JSON.stringify(wanted)}, server accepts ${JSON.stringify(served)}`,
      { 'x-accepted-stream-protocol-versions': served.join(',') },
    );
  }
  left.add(socket);
  const header = protocol === '' ? '' : `X-Stream-Protocol-Version: ${protocol}\r\n`;
  socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${header}\r\n`);
  return protocol;
}

/** Completes the WebSocket handshake. @throws Refusal for subprotocols that are not known. */
function acceptWebsocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  served: readonly string[],
  { clock, idleTimeout }: HandlerParts,
): Promise<WebSocket> {
  const wanted = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean);
  const protocol = negotiate(wanted, served);
  if (protocol === undefined)
    throw new Refusal(400, `none of the WebSocket subprotocols ${wanted.join(', ')} is known; known are ${served.join(', ')}`);
  left.add(socket);
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: largestMessage,
    handleProtocols: () => protocol || false,
  });
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the connection ended')));
    server.handleUpgrade(request, socket, head, (websocket) => {
      let cancel = (): void => undefined;
      const wait = (): void => {
        cancel();
        cancel = clock.setTimer(idleTimeout, () => websocket.terminate());
      };
      websocket.on('message', wait).once('close', () => cancel());
      wait();
      resolve(websocket);
    });
  });
}
