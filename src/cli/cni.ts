import { Command } from 'commander';
import { builtExecutable, installOnce, openReservations } from '../cni-plugin/daemon.ts';
import { type AttachmentReport, attachmentReports } from '../cni-plugin/index.ts';
import { main } from '../cni-plugin/main.ts';
import { listReservations } from '../ipam/index.ts';
import { anyText, repeatable, wholeNumber } from './flags.ts';
import { type Column, type OutputFormat, outputOption, renderRows } from './output.ts';

interface InstallFlags {
  readonly podCidr: string[];
  readonly confDir: string;
  readonly binDir: string;
  readonly stateDir: string;
  readonly network: string;
  readonly bridge: string;
  readonly mtu: number;
  readonly cniVersion: '0.3.1' | '0.4.0' | '1.0.0' | '1.1.0';
  readonly executable: string;
}

interface ListFlags {
  readonly stateDir: string;
  readonly network: string;
  readonly output: OutputFormat;
}

const defaultStateDir = '/var/lib/cni/podwire';

/** `podwire cni`: the CNI plugin by hand. In a lab the agent does all of this. */
export function command(): Command {
  const cni = new Command('cni').description('install the CNI plugin, look at its attachments');
  cni.addCommand(installCommand());
  cni.addCommand(listCommand());
  cni.addCommand(pluginCommand());
  return cni;
}

const installCommand = (): Command =>
  new Command('install')
    .description('install the plugin and a network configuration on this machine once, for any container runtime')
    .requiredOption('--pod-cidr <cidr>', 'addresses for the pods of this machine; repeat for the other family', repeatable(anyText))
    .option('--conf-dir <folder>', 'where the runtime looks for network configurations', '/etc/cni/net.d')
    .option('--bin-dir <folder>', 'where the runtime looks for plugins', '/opt/cni/bin')
    .option('--state-dir <folder>', 'where address reservations are kept', defaultStateDir)
    .option('--network <name>', 'name of the network', 'podwire')
    .option('--bridge <link>', 'bridge the pods are joined by', 'podwire0')
    .option('--mtu <bytes>', 'MTU of the pods', wholeNumber(1_280, 65_535, 'bytes'), 1_500)
    .option('--cni-version <version>', 'version of the CNI specification to declare', '1.1.0')
    .option('--executable <file>', 'the built plugin', builtExecutable)
    .action(({ podCidr, executable, ...rest }: InstallFlags) => {
      const paths = installOnce({ ...rest, nodeName: 'this' }, podCidr, executable);
      process.stdout.write(`${paths.executable}\n${paths.conflist}\n`);
    });

const columns: readonly Column<AttachmentReport>[] = [
  { header: 'POD', cell: ({ pod }) => pod },
  { header: 'INTERFACE', cell: (attachment) => attachment.interface },
  { header: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
  { header: 'HOST LINK', cell: ({ hostLink }) => hostLink },
  { header: 'STATE', cell: ({ state }) => state },
  { header: 'SINCE', cell: ({ since }) => since, wide: true },
  { header: 'CONTAINER', cell: ({ containerId }) => containerId, wide: true },
  { header: 'NAMESPACE', cell: ({ netns }) => netns, wide: true },
];

const listCommand = (): Command =>
  new Command('list')
    .description('list which pod holds which addresses')
    .option('--state-dir <folder>', 'where address reservations are kept', defaultStateDir)
    .option('--network <name>', 'name of the network', 'podwire')
    .addOption(outputOption())
    .action(({ stateDir, network, output }: ListFlags) => {
      const { reservations } = listReservations(openReservations(stateDir, network));
      process.stdout.write(renderRows(output, attachmentReports(reservations), columns));
    });

const pluginCommand = (): Command =>
  new Command('plugin')
    .description('run the plugin itself, as a container runtime does: CNI_* in the environment, the configuration on standard input')
    .action(main);
