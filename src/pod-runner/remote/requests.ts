/** A request to kubelet's API that stands for something of a pod. */
export type PodRequest =
  | { readonly to: 'exec' | 'attach'; readonly namespace: string; readonly pod: string; readonly uid: string; readonly container: string }
  | { readonly to: 'containerLogs'; readonly namespace: string; readonly pod: string; readonly container: string }
  | { readonly to: 'portForward'; readonly namespace: string; readonly pod: string; readonly uid: string };

/** Reads a path as kubelet has it: `/exec/NS/POD/CONTAINER`, `/exec/NS/POD/UID/CONTAINER` and so on. Undefined for others. */
export function parsePodRequest(path: string): PodRequest | undefined {
  let parts: string[];
  try {
    parts = path.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const [to, namespace, pod, third, fourth, ...more] = parts;
  if (!namespace || !pod || third === '' || fourth === '' || more.length > 0) return undefined;
  switch (to) {
    case 'exec':
    case 'attach':
      if (third === undefined) return undefined;
      return fourth === undefined
        ? { to, namespace, pod, uid: '', container: third }
        : { to, namespace, pod, uid: third, container: fourth };
    case 'containerLogs':
      return third === undefined || fourth !== undefined ? undefined : { to, namespace, pod, container: third };
    case 'portForward':
      return fourth === undefined ? { to, namespace, pod, uid: third ?? '' } : undefined;
    default:
      return undefined;
  }
}

/** Which streams of a command a client wants. */
export interface RemoteCommandOptions {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** A query that asks for what cannot be. Its message is for the client. */
export class BadQuery extends Error {}

/** Reads the query of exec and attach as kubelet has it (`input`, `output`, `error`, `tty`, `command`). @throws BadQuery */
export function parseCommandOptions(query: URLSearchParams): RemoteCommandOptions {
  const flag = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const tty = flag('tty');
  const options = {
    command: query.getAll('command'),
    stdin: flag('input'),
    stdout: flag('output'),
    // On a terminal both are one.
    stderr: flag('error') && !tty,
    tty,
  };
  if (!options.stdin && !options.stdout && !options.stderr) throw new BadQuery('you must specify at least 1 of stdin, stdout, stderr');
  return options;
}

/** The ports of a WebSocket port-forward. @throws BadQuery */
export function parseForwardPorts(query: URLSearchParams): readonly number[] {
  const texts = query.getAll('port');
  if (texts.length === 0) throw new BadQuery('query parameter "port" is required');
  if (texts.includes('')) throw new BadQuery('query parameter "port" cannot be empty');
  return texts.flatMap((text) => text.split(',')).map(parsePort);
}

/** @throws BadQuery */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new BadQuery(`unable to parse ${JSON.stringify(text)} as a port`);
  if (port < 1) throw new BadQuery(`port ${JSON.stringify(text)} must be > 0`);
  return port;
}

/** The first protocol of the client's that the server has; undefined when there is none. A client that names none gets the oldest, ''. */
export function negotiate(wanted: readonly string[], served: readonly string[]): string | undefined {
  return wanted.length === 0 ? '' : wanted.find((protocol) => served.includes(protocol));
}
