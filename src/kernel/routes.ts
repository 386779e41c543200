import type { Route, RouteChange } from '../dataplane/routes.ts';
import { routeMetric } from '../dataplane/routes.ts';
import { parseAddress, parsePrefix } from '../net/index.ts';
import type { CommandRunner } from './command-runner.ts';
import { ipBatch, ipJson } from './ip.ts';

/** A route that the kernel did not take. `conflict`: the place is taken by a route of another protocol, which is left alone. */
export interface RouteFailure {
  readonly route: Route;
  readonly reason: 'conflict' | 'unreachable' | 'failed';
  /** The kernel's words. */
  readonly detail: string;
}

/** The routes of one protocol number in the main table, of both families. */
export interface RouteDriver {
  /** @throws CommandError */
  list(): Promise<Route[]>;
  /** Applies the change as one batch and tells which routes were refused; the others are done. @throws CommandError */
  apply(change: RouteChange): Promise<readonly RouteFailure[]>;
}

interface RouteJson {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly metric?: number;
  readonly flags?: readonly string[];
}

/**
 * Drives `ip route` for the routes with a protocol number of our own (1 to 255). Routes of other protocols are neither listed nor replaced nor
 * removed: a new route is added exclusively, so that the kernel refuses it where a foreign one of the same destination and metric is.
 */
export function createRouteDriver(runner: CommandRunner, { protocol }: { readonly protocol: number }): RouteDriver {
  // Numbers instead of names (-N), as /etc/iproute2/rt_protos may name any of them.
  const show = (family: '-4' | '-6'): Promise<RouteJson[]> =>
    ipJson<RouteJson>(runner, ['-N', family, 'route', 'show', 'table', 'main', 'proto', String(protocol)]);
  return {
    async list() {
      const [four, six] = await Promise.all([show('-4'), show('-6')]);
      return [...four.map((route) => fromJson(route, '0.0.0.0/0')), ...six.map((route) => fromJson(route, '::/0'))];
    },
    async apply({ remove, replace, add }) {
      const operations = [
        ...remove.map((route) => ({ route, verb: 'del' })),
        ...replace.map((route) => ({ route, verb: 'replace' })),
        ...add.map((route) => ({ route, verb: 'add' })),
      ];
      const lines = operations.map(({ route, verb }) => `route ${verb} ${describe(route)} proto ${protocol} table main`);
      const failures = await ipBatch(runner, lines, { force: true });
      return failures.flatMap(({ line, detail }) => {
        const operation = operations[line - 1];
        // Gone already is what a removal wants.
        if (!operation || (operation.verb === 'del' && /No such process/.test(detail))) return [];
        return [{ route: operation.route, reason: classify(detail), detail }];
      });
    },
  };
}

function describe(route: Route): string {
  const { destination, gateway, device } = route;
  return `${destination.text}${gateway ? ` via ${gateway.text}` : ''}${device ? ` dev ${device}` : ''} metric ${routeMetric(route)}`;
}

function classify(detail: string): RouteFailure['reason'] {
  if (/File exists/.test(detail)) return 'conflict';
  return /invalid gateway|unreachable|No route to host|Network is down/i.test(detail) ? 'unreachable' : 'failed';
}

function fromJson({ dst, gateway, dev, metric, flags }: RouteJson, everything: string): Route {
  const text = dst === 'default' ? everything : dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`;
  return {
    destination: parsePrefix(text),
    ...(gateway === undefined ? {} : { gateway: parseAddress(gateway) }),
    ...(dev === undefined ? {} : { device: dev }),
    ...(metric === undefined ? {} : { metric }),
    up: !flags?.some((flag) => flag === 'dead' || flag === 'linkdown'),
  };
}
