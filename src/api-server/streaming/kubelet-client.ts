import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { joinHostPort } from '../../net/index.ts';
import type { KubeletClientOptions } from '../options.ts';
import { StatusError } from '../status-errors.ts';
import type { KubeletEndpoint } from './kubelet-endpoint.ts';

/** kubelet's answer to a request to leave HTTP. */
export type UpgradeAnswer =
  | {
      readonly upgraded: true;
      readonly headers: IncomingHttpHeaders;
      readonly rawHeaders: readonly string[];
      readonly socket: Duplex;
      readonly head: Buffer;
    }
  | { readonly upgraded: false; readonly code: number; readonly contentType: string; readonly body: string };

export interface KubeletCall {
  readonly endpoint: KubeletEndpoint;
  /** Path and query. */
  readonly path: string;
  /** The kubelet's certificate is not looked at. */
  readonly insecure?: boolean;
  readonly signal?: AbortSignal;
}

/** Speaks to kubelets over HTTPS with the API server's client certificate. */
export interface KubeletClient {
  /** GET; resolves with the answer's head. @throws StatusError 500 when the kubelet cannot be reached. */
  get(call: KubeletCall): Promise<IncomingMessage>;
  /** @throws StatusError 500 when the kubelet cannot be reached. */
  upgrade(call: KubeletCall & { readonly method: string; readonly headers: OutgoingHttpHeaders }): Promise<UpgradeAnswer>;
  close(): void;
}

/** Of an answer that is an error, as much is read (bytes), as the reference. */
const longestError = 50_000;

/** @throws Error in plain words when a file cannot be read. */
export function createKubeletClient({ certificateAuthority, clientCertificate, clientKey, timeout }: KubeletClientOptions): KubeletClient {
  const read = (file: string | undefined, flag: string): Buffer | undefined => {
    if (file === undefined) return undefined;
    try {
      return readFileSync(file);
    } catch (error) {
      throw new Error(`${flag}: cannot read ${file}: ${(error as Error).message}`, { cause: error });
    }
  };
  const ca = read(certificateAuthority, '--kubelet-certificate-authority');
  const identity = { cert: read(clientCertificate, '--kubelet-client-certificate'), key: read(clientKey, '--kubelet-client-key') };
  // As the reference: without an authority, the kubelet's certificate is not checked.
  const checked = new Agent({ ...identity, ca, rejectUnauthorized: ca !== undefined, keepAlive: false });
  const unchecked = new Agent({ ...identity, rejectUnauthorized: false, keepAlive: false });

  const optionsFor = ({ endpoint, path, insecure, signal }: KubeletCall): RequestOptions => ({
    host: endpoint.host,
    port: endpoint.port,
    path,
    agent: insecure ? unchecked : checked,
    ...(signal ? { signal } : {}),
  });

  /** Time for the connection to stand; what comes over it may take as long as it likes. */
  function boundConnecting(request: ReturnType<typeof httpsRequest>, { endpoint }: KubeletCall, reject: (error: Error) => void): void {
    const place = joinHostPort(endpoint.host, endpoint.port);
    const timer = setTimeout(() => request.destroy(new Error('i/o timeout')), timeout);
    request.once('socket', (socket) => socket.once('secureConnect', () => clearTimeout(timer)));
    request.once('close', () => clearTimeout(timer));
    request.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(place, error)));
  }

  return {
    get: (call) =>
      new Promise((resolve, reject) => {
        const request = httpsRequest({ ...optionsFor(call), method: 'GET' }, resolve);
        boundConnecting(request, call, reject);
        request.end();
      }),
    upgrade: (call) =>
      new Promise((resolve, reject) => {
        const request = httpsRequest({ ...optionsFor(call), method: call.method, headers: call.headers });
        boundConnecting(request, call, reject);
        request.once('upgrade', ({ headers, rawHeaders }: IncomingMessage, socket: Duplex, head: Buffer) => {
          socket.on('error', () => undefined);
          resolve({ upgraded: true, headers, rawHeaders, socket, head });
        });
        request.once('response', (response) => {
          readError(response).then(
            (body) =>
              resolve({ upgraded: false, code: response.statusCode!, contentType: response.headers['content-type'] ?? 'text/plain', body }),
            reject,
          );
        });
        request.end();
      }),
    close() {
      checked.destroy();
      unchecked.destroy();
    },
  };
}

/** The text of an answer that is an error. */
export async function readError(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= longestError) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, longestError);
}

/** Go's words, which people search for. */
function unreachable(place: string, error: NodeJS.ErrnoException): StatusError {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'i/o timeout',
  };
  const reason = reasons[error.code ?? ''];
  const text = reason ?? error.message;
  const isTls = reason === undefined && /certificate|altname|self.signed|unable to verify/i.test(text);
  return new StatusError({ code: 500, message: `error dialing backend: ${isTls ? `tls: ${text}` : `dial tcp ${place}: ${text}`}` });
}
