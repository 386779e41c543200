import type { AnyObject } from '../../objects/index.ts';
import { isTrue } from '../request-info.ts';
import { badRequest } from '../status-errors.ts';

/** The container that a request means: the one it names, or the only one. @throws StatusError 400 in the reference's words. */
export function chooseContainer({ metadata, spec }: AnyObject, asked: string): string {
  const main: readonly { name: string }[] = spec?.containers ?? [];
  const all = [...(spec?.initContainers ?? []), ...main, ...(spec?.ephemeralContainers ?? [])].map(({ name }: { name: string }) => name);
  if (asked) {
    if (!all.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${metadata.name}`);
    return asked;
  }
  if (main.length > 1) throw badRequest(`a container name must be specified for pod ${metadata.name}, choose one of: [${all.join(' ')}]`);
  if (!main[0]) throw badRequest(`a container name must be specified for pod ${metadata.name}`);
  return main[0].name;
}

/** Which streams of a command a client wants (core/v1 PodExecOptions and PodAttachOptions, with their defaults). */
export interface CommandStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export function commandStreams(query: URLSearchParams): CommandStreams {
  const flag = (name: string, otherwise: boolean): boolean => (query.has(name) ? isTrue(query.get(name)) : otherwise);
  return { stdin: flag('stdin', false), stdout: flag('stdout', true), stderr: flag('stderr', true), tty: flag('tty', false) };
}

/** Path and query by which kubelet knows a command: `/exec/NS/POD/CONTAINER?input=1&output=1&command=sh`. */
export function commandPath(to: 'exec' | 'attach', { metadata }: AnyObject, container: string, query: URLSearchParams): string {
  const { stdin, stdout, stderr, tty } = commandStreams(query);
  const wanted = new URLSearchParams();
  for (const [name, on] of Object.entries({ input: stdin, output: stdout, error: stderr, tty })) if (on) wanted.append(name, '1');
  if (to === 'exec') for (const word of query.getAll('command')) wanted.append('command', word);
  return `/${[to, metadata.namespace!, metadata.name, container].map(encodeURIComponent).join('/')}?${wanted}`;
}

/** `/portForward/NS/POD`, with the ports that only WebSocket clients name there. */
export function forwardPath({ metadata }: AnyObject, query: URLSearchParams): string {
  const ports = new URLSearchParams(
    query.getAll('ports').flatMap((text) => text.split(',').map((port): [string, string] => ['port', port])),
  );
  return `/portForward/${encodeURIComponent(metadata.namespace!)}/${encodeURIComponent(metadata.name)}?${ports}`;
}
