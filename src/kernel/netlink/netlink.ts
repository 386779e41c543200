import type { LinkFailure, LinkFailureReason, LinkOperation, LinkOutcome, NamespaceState } from '../../dataplane/links.ts';
import type { CommandRunner } from '../command-runner.ts';
import { ipBatchQuery } from '../ip.ts';
import { operationLines } from './operation-lines.ts';
import { type IpLink, type IpNeighbour, type IpRoute, parseLink, parseNeighbours, parseRoutes } from './parse-ip-json.ts';

/** Links, addresses, routes and neighbours of one network namespace. Each call is one process. */
export interface Netlink {
  /**
   * Does the operations in order, going on past a failing one, and returns the failures. What an operation declares to be fine
   * (a bridge that exists, a link to delete that does not) is not among them but in `tolerated`. `show` names links to be read at the
   * end, in the same process.
   * @throws CommandError when `ip` is not installed or could not start at all.
   */
  apply(operations: readonly LinkOperation[], show?: readonly string[]): Promise<LinkOutcome>;
  /** Reads the named links (those that exist), their permanent neighbours, and all routes. @throws CommandError as above. */
  read(links: readonly string[]): Promise<NamespaceState>;
  /** Names of the veth links that are ports of a bridge; none when there is no such bridge. @throws CommandError as above. */
  readPorts(bridge: string): Promise<readonly string[]>;
}

/** Netlink by iproute2, in the network namespace of the runner. */
export function createNetlink(runner: CommandRunner): Netlink {
  return {
    async apply(operations, show = []) {
      const lines = operations.flatMap((operation) => operationLines(operation).map((text) => ({ operation, text })));
      const result = await ipBatchQuery<IpLink>(
        runner,
        lines.map(({ text }) => text),
        show.map((name) => `addr show dev ${name}`),
      );
      const failures = result.failures.map(
        ({ line, detail }): LinkFailure => ({ operation: lines[line - 1]!.operation, reason: classify(detail), detail }),
      );
      return {
        failures: failures.filter((failure) => !isTolerated(failure)),
        tolerated: failures.filter(isTolerated),
        shown: { links: linksOf(result.answers), routes: [] },
      };
    },
    async read(links) {
      const { answers } = await ipBatchQuery<IpLink | IpRoute | IpNeighbour>(
        runner,
        [],
        [
          'route show table all',
          ...links.map((name) => `addr show dev ${name}`),
          ...links.map((name) => `neigh show dev ${name} nud permanent`),
        ],
      );
      const [routes = [], ...others] = answers;
      return {
        links: linksOf(others.slice(0, links.length) as IpLink[][]),
        routes: parseRoutes(routes as IpRoute[]),
        neighbours: links.flatMap((name, index) => parseNeighbours(name, (others[links.length + index] ?? []) as IpNeighbour[])),
      };
    },
    async readPorts(bridge) {
      // Not `show master BRIDGE`: that is a malformed argument while there is no such bridge.
      const { answers } = await ipBatchQuery<IpLink>(runner, [], ['link show type veth']);
      return (answers[0] ?? []).filter(({ master }) => master === bridge).map(({ ifname }) => ifname);
    },
  };
}

const linksOf = (answers: readonly (readonly IpLink[] | undefined)[]) =>
  new Map(answers.flatMap((answer) => answer ?? []).map((link) => [link.ifname, parseLink(link)]));

/** What iproute2 6.1 and the kernel say, sorted once here. */
function classify(detail: string): LinkFailureReason {
  if (/file exists|already exists/i.test(detail)) return 'exists';
  if (/cannot find device|does not exist|no such (device|process|file)|address not found|cannot assign requested address/i.test(detail))
    return 'missing';
  if (/operation not permitted|permission denied/i.test(detail)) return 'not-permitted';
  return 'failed';
}

/** Is the state that the operation asks for there all the same? */
export function isTolerated({ operation, reason }: LinkFailure): boolean {
  if (operation.op === 'ensure-bridge') return reason === 'exists';
  return (operation.op.startsWith('delete-') || operation.op === 'forget-neighbour') && reason === 'missing';
}
