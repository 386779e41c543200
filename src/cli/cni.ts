import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { latestVersion, supportedVersions } from '../cni-plugin/versions.ts';
import { tryParsePrefix } from '../net/index.ts';
import { cidr, duration, repeatable, wholeNumber } from './flags.ts';
import { outputOption } from './output.ts';

/** `podwire cni`: the CNI plugin by hand. In a lab the agent does all of this. What a command does is loaded when it runs. */
export function command(): Command {
  const cni = new Command('cni').description('install the CNI plugin, look at its attachments');
  for (const one of [install, check, explain, list, journal, plugin]) cni.addCommand(one());
  return cni;
}

/** Where the reservations are. */
const withState = (command: Command): Command =>
  command
    .option('--state-dir <folder>', 'where address reservations are kept', '/var/lib/cni/podwire')
    .option('--network <name>', 'name of the network', 'podwire');

/** Where a container runtime looks, and whose pod CIDRs count. */
const withNode = (command: Command): Command =>
  command
    .option('--conf-dir <folder>', 'where the runtime looks for network configurations', '/etc/cni/net.d')
    .option('--bin-dir <folder>', 'where the runtime looks for plugins', '/opt/cni/bin')
    .option('--executable <file>', 'the plugin (default: the one that the build made)')
    .option('--kubeconfig <file>', 'how to reach the API server, to read the pod CIDRs of a Node')
    .option('--node-name <name>', 'name of that Node');

const install = (): Command =>
  withNode(withState(new Command('install')))
    .description('install the plugin and a network configuration on this machine, for any container runtime; again: bring both up to date')
    .option('--pod-cidr <cidr>', 'addresses for the pods of this machine; repeat for the other family', repeatable(cidrText), [])
    .option('--follow', "stay, and keep the configuration as the Node's pod CIDRs are, until asked to stop", false)
    .option('--bridge <link>', 'bridge the pods are joined by', 'podwire0')
    .option('--mtu <bytes>', 'MTU of the pods', wholeNumber(1_280, 65_535, 'bytes'), 1_500)
    .addOption(
      new Option('--cni-version <version>', 'version of the CNI specification to declare')
        .choices(supportedVersions)
        .default(latestVersion),
    )
    .action(async (flags, command: Command) => (await import('./cni-install.ts')).install(flags, command));

const check = (): Command =>
  withNode(new Command('check'))
    .description('look through the installation and every attachment, and tell what is wrong and what mends it; 0 when nothing is, else 1')
    .option('--conf-file <name>', 'the network configuration that is to be used', '10-podwire.conflist')
    .option('--cache-dir <folder>', "where the runtime's CNI library keeps results", '/var/lib/cni')
    .addOption(outputOption())
    .action(async (flags) => (await import('./cni-check.ts')).check(flags));

const explain = (): Command =>
  new Command('explain')
    .description(
      'print the exact operations of a request (ip batch lines, nft, tc, what is claimed) and its answer, and do none of it; the request is in ' +
        'CNI_* of the environment and on standard input, as a container runtime gives it, or in the options; 0 when it would succeed, else 1',
    )
    .addArgument(new Argument('[command]', 'in the place of CNI_COMMAND').choices(['ADD', 'DEL']))
    .option('--conf <file>', 'network configuration, or a list of which our plugin is taken, in the place of standard input')
    .option('--container-id <id>', 'in the place of CNI_CONTAINERID')
    .option('--netns <path>', 'in the place of CNI_NETNS; one that does not exist is taken to be empty')
    .option('--ifname <name>', 'in the place of CNI_IFNAME (default: eth0)')
    .option('--args <key=value;...>', 'in the place of CNI_ARGS')
    .option('--path <folders>', 'in the place of CNI_PATH')
    .option('--runtime-config <json>', 'what the runtime gives to the capabilities, such as {"portMappings": [...]}')
    .option('--address <cidr>', 'what another IPAM plugin is taken to give; may be repeated', repeatable(addressText), [])
    .addOption(new Option('-o, --output <format>', 'how the answer is printed').choices(['text', 'json', 'yaml']).default('text'))
    .action(async (command: 'ADD' | 'DEL' | undefined, flags) => (await import('./cni-explain.ts')).explainRequest(command, flags));

const list = (): Command =>
  withState(new Command('list').description('list which pod holds which addresses'))
    .addOption(outputOption())
    .action(async (flags) => (await import('./cni-list.ts')).list(flags));

const journal = (): Command =>
  withState(new Command('journal'))
    .description('tell who had which address when; 1 when what is asked for is not in the journal')
    .addArgument(new Argument('[about]', 'an address, a CIDR, NAMESPACE/POD, a pod, or the beginning of a container id'))
    .option('--at <time>', 'only who had it at this time (RFC 3339)', time)
    .option('--since <duration>', 'only what lasted until this long ago or later, such as 1h', duration)
    .addOption(outputOption())
    .action(async (about: string | undefined, flags) => (await import('./cni-list.ts')).journal(about, flags));

const plugin = (): Command =>
  new Command('plugin')
    .description('run the plugin itself, as a container runtime does: CNI_* in the environment, the configuration on standard input')
    .action(async () => (await import('../cni-plugin/main.ts')).main());

function cidrText(text: string): string {
  return cidr(text).text;
}

/** An address with the length of its prefix. */
function addressText(text: string): string {
  if (!tryParsePrefix(text)) throw new InvalidArgumentError('Expected an address with a prefix length, such as 10.1.0.7/24.');
  return text;
}

function time(text: string): number {
  const value = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(value))
    throw new InvalidArgumentError('Expected a time such as 2026-01-01T12:00:00Z.');
  return value;
}
