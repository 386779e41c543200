import type { LinkRoute, NamespaceState } from '../dataplane/links.ts';
import { type DesiredNamespace, diffNamespace, type LinkDifference } from '../dataplane/links-diff.ts';
import { addAgain, type Difference, inPod, quoted } from './check-repairs.ts';

/**
 * Every way in which the links, addresses, routes and neighbours of a namespace are not as ADD made them, each with the command that repairs
 * it. Links come first, so that the commands may be run in this order: what takes addresses and routes along comes before these.
 * @param netns path of the pod's namespace; undefined for the node's
 */
export function checkLinks(desired: DesiredNamespace, actual: NamespaceState, netns?: string): Difference[] {
  const where = netns === undefined ? 'the node' : 'the pod';
  return diffNamespace(desired, actual).map((difference) => {
    const command = repairOf(difference);
    return {
      problem: problemOf(difference, where),
      repair: command === undefined ? addAgain : netns === undefined ? command : inPod(netns, command),
    };
  });
}

function problemOf({ aspect, link, desired, actual }: LinkDifference, where: string): string {
  switch (aspect) {
    case 'link':
      return `link ${link} is missing in ${where}`;
    case 'up':
      return `link ${link} in ${where} is ${actual === 'true' ? 'up' : 'down'}`;
    case 'isolated':
      return `${link} in ${where} is ${actual === 'true' ? '' : 'not '}isolated`;
    case 'promisc':
      return `${link} in ${where} is ${actual === 'true' ? '' : 'not '}promiscuous`;
    case 'hairpin':
      return `hairpin mode of ${link} in ${where} is ${actual === 'true' ? 'on' : 'off'}`;
    case 'route':
      return `route ${desired} is missing in ${where}`;
    case 'address':
      return `address ${desired} is missing on ${link} in ${where} (it has ${actual})`;
    case 'neighbour':
      return `permanent neighbour ${desired} of ${link} is ${actual === 'absent' ? 'missing' : `at ${actual}`} in ${where}`;
    default:
      return `${aspect} of ${link} in ${where} is ${actual}, not ${desired}`;
  }
}

/** Undefined when nothing less than a new ADD helps. */
function repairOf({ aspect, link, desired, route }: LinkDifference): string | undefined {
  const device = quoted(link);
  switch (aspect) {
    case 'up':
      return `ip link set dev ${device} ${desired === 'true' ? 'up' : 'down'}`;
    case 'hairpin':
    case 'isolated':
      return `ip link set dev ${device} type bridge_slave ${aspect} ${desired === 'true' ? 'on' : 'off'}`;
    case 'promisc':
      return `ip link set dev ${device} promisc ${desired === 'true' ? 'on' : 'off'}`;
    case 'mtu':
      return `ip link set dev ${device} mtu ${desired}`;
    case 'mac':
      return `ip link set dev ${device} address ${desired}`;
    case 'master':
      return `ip link set dev ${device} master ${quoted(desired)}`;
    case 'address':
      // Without it an IPv6 address may not be used for a second or two.
      return `ip address replace ${desired} dev ${device}${desired.includes(':') ? ' nodad' : ''}`;
    case 'neighbour':
      return `ip neighbour replace ${desired} dev ${device} nud permanent`;
    case 'route':
      return route && `ip ${routeWords(route)}`;
    default:
      return undefined;
  }
}

/** `replace`: a route that differs in its MTU only is there already. */
function routeWords({ destination, gateway, device, table, metric, scope, mtu, advmss }: LinkRoute): string {
  const words = [`-${destination.family} route replace ${destination.text}`];
  const say = (name: string, value: string | number | undefined): void => void (value !== undefined && words.push(`${name} ${value}`));
  say('via', gateway?.text);
  say('dev', device && quoted(device));
  say('table', table);
  say('metric', metric);
  say('scope', scope);
  say('mtu', mtu);
  say('advmss', advmss);
  return words.join(' ');
}
