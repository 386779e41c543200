import { parseAddress, parsePrefix, type Prefix, prefixContains } from '../net/index.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';

/** A route as the fake holds it. */
export interface FakeRoute {
  readonly destination: string;
  readonly gateway: string;
  readonly device: string;
  readonly protocol: number;
  readonly metric: number;
}

/** A main routing table in memory behind a CommandRunner. */
export interface FakeRouteKernel {
  /** Understands `ip -json route show` and `ip -batch` as src/kernel/routes.ts writes them, and nothing else. */
  readonly runner: CommandRunner;
  readonly routes: readonly FakeRoute[];
  /** Puts a route there, as another program would. */
  put(route: FakeRoute): void;
  /** Removes what is there for a destination, as another program would. */
  remove(destination: string): void;
  /** As a link going down: its routes vanish, and nothing is reachable over it until it is up. */
  setLink(device: string, up: boolean): void;
  /** How often a batch was applied. */
  readonly batches: number;
}

/** Refuses what the kernel refuses: a destination and metric that is taken, a gateway on no link, removing what is not there. */
export function createFakeRouteKernel(links: Readonly<Record<string, readonly string[]>>): FakeRouteKernel {
  const subnets = Object.entries(links).flatMap(([device, prefixes]) =>
    prefixes.map((text): [string, Prefix] => [device, parsePrefix(text)]),
  );
  const down = new Set<string>();
  let routes: FakeRoute[] = [];
  let batches = 0;

  function operate(line: string): string | undefined {
    const words = line.split(' ');
    const [object, verb, destination] = words;
    const option = (name: string): string | undefined => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
    if (object !== 'route' || destination === undefined || option('table') !== 'main')
      throw new Error(`the fake does not know: ip ${line}`);
    const gateway = option('via') ?? '';
    const key = { destination: parsePrefix(destination).text, metric: Number(option('metric')), protocol: Number(option('proto')) };
    const taken = routes.find((route) => route.destination === key.destination && route.metric === key.metric);
    if (verb === 'del') {
      const found = routes.find(
        (route) =>
          route.destination === key.destination &&
          route.metric === key.metric &&
          route.protocol === key.protocol &&
          (!gateway || route.gateway === gateway),
      );
      if (!found) return 'RTNETLINK answers: No such process';
      routes = routes.filter((route) => route !== found);
      return undefined;
    }
    if (verb === 'add' && taken) return 'RTNETLINK answers: File exists';
    if (verb !== 'add' && verb !== 'replace') throw new Error(`the fake does not know: ip ${line}`);
    const device = subnets.find(([name, prefix]) => !down.has(name) && prefixContains(prefix, parseAddress(gateway)))?.[0];
    if (device === undefined) return gateway.includes(':') ? 'RTNETLINK answers: No route to host' : 'Error: Nexthop has invalid gateway.';
    routes = [...routes.filter((route) => route !== taken), { ...key, gateway, device }];
    return undefined;
  }

  const show = (family: string, protocol: number): string =>
    JSON.stringify(
      routes
        .filter((route) => route.protocol === protocol && route.destination.includes(':') === (family === '-6'))
        .map(({ destination, gateway, device, metric }) => ({
          dst: destination.replace(/\/(32|128)$/, ''),
          gateway,
          dev: device,
          metric,
          flags: [],
        })),
    );

  return {
    runner: {
      async run(command, args, options) {
        if (command === 'ip' && args.includes('show')) {
          return { stdout: show(args.includes('-6') ? '-6' : '-4', Number(args.at(-1))), stderr: '', exitCode: 0 };
        }
        if (command !== 'ip' || !args.includes('-batch')) throw new CommandError('not-installed', [command, ...args], undefined, '');
        batches++;
        const errors = (options?.input ?? '')
          .trimEnd()
          .split('\n')
          .flatMap((line, index) => {
            const error = operate(line);
            return error === undefined ? [] : [`${error}\nCommand failed -:${index + 1}`];
          });
        return { stdout: '', stderr: errors.join('\n'), exitCode: errors.length > 0 ? 1 : 0 };
      },
    },
    get routes() {
      return routes;
    },
    get batches() {
      return batches;
    },
    put: (route) => void (routes = [...routes, route]),
    remove: (destination) => void (routes = routes.filter((route) => route.destination !== destination)),
    setLink(device, up) {
      if (up) return void down.delete(device);
      down.add(device);
      routes = routes.filter((route) => route.device !== device);
    },
  };
}
