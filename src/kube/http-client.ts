import { Agent, type Dispatcher, request } from 'undici';
import { apiVersionOf, type KubeObject, type Resource, resourcePath, type Status } from '../objects/client.ts';
import type { KubeClient, ListOptions, ObjectList, PatchType, WatchEvent } from './client.ts';
import { ApiError } from './errors.ts';
import type { ClientConfig } from './kubeconfig.ts';
import { splitLines } from '../runtime/split-lines.ts';

/** Longest answer to wait for: from the request's end to the answer's first byte, and between two pieces of a body (ms). */
const answerTimeout = 15_000;
/** A larger single watch event is refused. etcd's own limit for an object is 1.5 MiB. */
const longestEvent = 8 * 1024 * 1024;

const patchTypes: Record<PatchType, string> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/** A KubeClient over HTTP/1.1 with kept-alive connections. `userAgent` tells the API server which daemon asks. */
export function createKubeClient(config: ClientConfig, userAgent: string): KubeClient {
  const dispatcher = new Agent({
    keepAliveTimeout: 30_000,
    headersTimeout: answerTimeout,
    bodyTimeout: answerTimeout,
    connect: {
      timeout: 5_000,
      // A peer that vanished without a word is noticed after about 25 s, also by a watch that only listens.
      keepAlive: true,
      keepAliveInitialDelay: 15_000,
      ...(config.certificateAuthority === undefined ? {} : { ca: config.certificateAuthority }),
      ...(config.clientCertificate === undefined ? {} : { cert: config.clientCertificate }),
      ...(config.clientKey === undefined ? {} : { key: config.clientKey }),
      ...(config.tlsServerName === undefined ? {} : { servername: config.tlsServerName }),
      ...(config.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    },
  });
  const baseHeaders = {
    'user-agent': userAgent,
    accept: 'application/json',
    ...(config.token === undefined ? {} : { authorization: `Bearer ${config.token}` }),
  };

  async function send(method: Dispatcher.HttpMethod, path: string, body?: unknown, contentType = 'application/json'): Promise<unknown> {
    const response = await request(config.server + path, {
      method,
      dispatcher,
      headers: body === undefined ? baseHeaders : { ...baseHeaders, 'content-type': contentType },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode >= 400) throw new ApiError(toStatus(response.statusCode, text), `${method} ${path}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  return {
    get: (resource, name, namespace) => send('GET', resourcePath(resource, namespace, name)) as Promise<never>,
    async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}) {
      const list = (await send('GET', resourcePath(resource, options.namespace) + query(selectors(options)))) as {
        metadata: { resourceVersion: string };
        items: T[] | null;
      };
      // The items of a list carry no apiVersion and kind of their own.
      const items = (list.items ?? []).map((item) => ({ ...item, apiVersion: apiVersionOf(resource), kind: resource.kind }));
      return { resourceVersion: list.metadata.resourceVersion, items } satisfies ObjectList<T>;
    },
    async *watch<T extends KubeObject>(resource: Resource<T>, resourceVersion: string, options: ListOptions, signal: AbortSignal) {
      const path =
        resourcePath(resource, options.namespace) +
        query({ ...selectors(options), watch: 'true', allowWatchBookmarks: 'true', resourceVersion });
      const response = await request(config.server + path, { method: 'GET', dispatcher, headers: baseHeaders, signal, bodyTimeout: 0 });
      if (response.statusCode >= 400) throw new ApiError(toStatus(response.statusCode, await response.body.text()), `GET ${path}`);
      for await (const line of splitLines(response.body, longestEvent)) {
        const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: Status };
        if (event.type === 'ERROR') throw new ApiError(event.object, `GET ${path}`);
        yield event;
      }
    },
    create: (resource, object) => send('POST', resourcePath(resource, object.metadata.namespace), object) as Promise<never>,
    update: (resource, object, subresource) =>
      send('PUT', resourcePath(resource, object.metadata.namespace, object.metadata.name, subresource), object) as Promise<never>,
    patch: (resource, name, namespace, type, patch, subresource) =>
      send('PATCH', resourcePath(resource, namespace, name, subresource), patch, patchTypes[type]) as Promise<never>,
    async delete(resource, name, namespace, options = {}) {
      await send('DELETE', resourcePath(resource, namespace, name), { apiVersion: 'v1', kind: 'DeleteOptions', ...options });
    },
    createSubresource: (resource, name, namespace, subresource, body) =>
      send('POST', resourcePath(resource, namespace, name, subresource), body),
    close: () => dispatcher.destroy(),
  };
}

const selectors = ({ labelSelector, fieldSelector }: ListOptions): Record<string, string> => ({
  ...(labelSelector === undefined ? {} : { labelSelector }),
  ...(fieldSelector === undefined ? {} : { fieldSelector }),
});

function query(parameters: Record<string, string>): string {
  const text = new URLSearchParams(parameters).toString();
  return text === '' ? '' : `?${text}`;
}

/** The Status in an error body, or one made from the HTTP code when a proxy on the way answered something else. */
function toStatus(code: number, text: string): Status {
  try {
    const body = JSON.parse(text) as Status;
    if (body?.kind === 'Status') return { ...body, code: body.code ?? code };
  } catch {
    // Not JSON: fall through.
  }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, message: `HTTP ${code}: ${text.slice(0, 200).trim()}` };
}
