import type { ServerResponse } from 'node:http';
import { qualifiedResource, StatusError, badRequest, internalError } from '../status-errors.ts';
import { type KubeletCall, type KubeletClient, readError } from './kubelet-client.ts';

/** Sends what a kubelet answers to /containerLogs, at the pace of the client. @throws StatusError before anything is sent. */
export async function sendLog(kubelets: KubeletClient, call: KubeletCall, pod: string, response: () => ServerResponse): Promise<void> {
  const gone = new AbortController();
  const answer = await kubelets.get({ ...call, signal: gone.signal });
  const code = answer.statusCode ?? 0;
  if (code < 200 || code > 206) throw refused(code, await readError(answer), pod);
  const to = response();
  to.once('close', () => gone.abort());
  to.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
  to.flushHeaders();
  answer.on('error', () => to.destroy());
  answer.pipe(to);
}

/** A kubelet's error as the client gets it (apimachinery's generic server response). */
function refused(code: number, text: string, pod: string): StatusError {
  if (code === 500) return internalError(text);
  if (code === 400) return badRequest(text);
  const known: Readonly<Record<number, readonly [reason: string, message: string]>> = {
    401: ['Unauthorized', 'the server has asked for the client to provide credentials'],
    403: ['Forbidden', text],
    404: ['NotFound', 'the server could not find the requested resource'],
    405: ['MethodNotAllowed', 'the server does not allow this method on the requested resource'],
    422: ['Invalid', 'the server rejected our request due to an error in our request'],
  };
  const [reason, message] = known[code] ?? [
    'InternalError',
    `an error on the server (${JSON.stringify(text)}) has prevented the request from succeeding`,
  ];
  const resource = qualifiedResource({ group: '', plural: 'pods/log' });
  return new StatusError({ code, reason, message: `${message} ( ${resource} ${pod})`, details: { name: pod, kind: resource } });
}
