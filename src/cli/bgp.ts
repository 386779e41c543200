import { type Command, InvalidArgumentError } from 'commander';
import { startBgp } from '../bgp/daemon.ts';
import type { StaticPeer } from '../bgp/index.ts';
import { systemRunner } from '../kernel/command-runner.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { Daemon } from '../runtime/daemon.ts';
import { systemTcp } from '../transport/tcp.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';
import { anyText, port, repeatable, wholeNumber } from './flags.ts';

interface Flags {
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly asn: number;
  readonly holdTime: number;
  readonly restartTime: number;
  readonly deferralTime?: number;
  readonly listenPort: number;
  readonly resyncInterval: number;
  readonly routerId?: string;
  readonly localAddress: string[];
  readonly advertise: string[];
  readonly peer: StaticPeer[];
  readonly ceaseOnStop: boolean;
}

/** Reads `ADDRESS,ASN[,import=all|none][,export=all|none][,port=N][,next-hop-self][,password=TEXT]`. */
export function parsePeer(text: string): StaticPeer {
  const [address, asn, ...words] = text.split(',');
  if (!address || !asn || !/^\d{1,10}$/.test(asn)) throw new InvalidArgumentError('Expected ADDRESS,ASN such as 192.0.2.1,64513.');
  const peer: StaticPeer = { address, asn: Number(asn) };
  for (const word of words) {
    const [name, value = ''] = word.split('=', 2);
    if ((name === 'import' || name === 'export') && (value === 'all' || value === 'none')) peer[name] = value;
    else if (name === 'port') peer.port = port(value);
    else if (name === 'next-hop-self') peer.nextHopSelf = true;
    else if (name === 'password') peer.password = value;
    else
      throw new InvalidArgumentError(
        `${JSON.stringify(word)} is not one of import=all|none, export=all|none, port=N, next-hop-self, password=TEXT.`,
      );
  }
  return peer;
}

function configure(command: Command): void {
  command
    .option('--kubeconfig <file>', 'the cluster whose nodes form the mesh; without it only the flags count')
    .option('--node-name <name>', 'the Node that this is (with --kubeconfig)')
    .option('--asn <number>', 'AS number of this node, and of all nodes', wholeNumber(1, 0xffff_fffe), 64_512)
    .option('--hold-time <seconds>', 'hold time to propose', wholeNumber(0, 65_535, 'seconds'), 90)
    .option(
      '--restart-time <seconds>',
      'how long peers keep our routes after a lost connection; 0 turns graceful restart off',
      wholeNumber(0, 4_095, 'seconds'),
      120,
    )
    .option(
      '--deferral-time <seconds>',
      'how long routes found in the kernel wait for the peers after a restart (default: as --restart-time)',
      wholeNumber(0, 4_095, 'seconds'),
    )
    .option('--listen-port <port>', 'TCP port to listen on', port, 179)
    .option(
      '--resync-interval <milliseconds>',
      'how often the kernel routes are checked',
      wholeNumber(100, 3_600_000, 'milliseconds'),
      3_000,
    )
    .option('--router-id <address>', 'BGP identifier (default: the IPv4 address)')
    .option(
      '--local-address <address>',
      'our address, once per address family (without --kubeconfig; default: the router id)',
      repeatable(anyText),
      [],
    )
    .option('--advertise <prefix>', 'prefix to advertise; may be repeated', repeatable(anyText), [])
    .option(
      '--peer <address,asn[,...]>',
      'peer besides the nodes; may be repeated. Words after the AS number: import=all|none and export=all|none (all inside our AS, else none: RFC 8212), port=N, next-hop-self',
      repeatable(parsePeer),
      [],
    )
    .option('--cease-on-stop', 'on stop, tell peers to drop our routes at once', false)
    .hook('preAction', (self) => {
      const { kubeconfig, nodeName, localAddress, routerId } = self.opts<Flags>();
      if ((kubeconfig === undefined) !== (nodeName === undefined))
        self.error('error: --kubeconfig and --node-name go together', { exitCode: 2 });
      if (kubeconfig === undefined && routerId === undefined && localAddress.length === 0) {
        self.error('error: give --kubeconfig and --node-name, or --local-address (or --router-id) to run without a cluster', {
          exitCode: 2,
        });
      }
    });
}

/** `podwire bgp`: the route daemon alone. */
export const command = (): Command =>
  daemonCommand<Flags>('bgp', 'run the route daemon alone', 10_179, configure, (flags, context) => {
    const { kubeconfig, nodeName, routerId, deferralTime } = flags;
    const start = (cluster?: ClusterCache): Promise<Daemon> =>
      startBgp(
        {
          ...(nodeName === undefined ? {} : { nodeName }),
          ...(routerId === undefined ? {} : { routerId }),
          ...(deferralTime === undefined ? {} : { deferralTime }),
          asn: flags.asn,
          holdTime: flags.holdTime,
          restartTime: flags.restartTime,
          listenPort: flags.listenPort,
          resyncInterval: flags.resyncInterval,
          localAddresses:
            flags.localAddress.length === 0 && kubeconfig === undefined && routerId !== undefined ? [routerId] : flags.localAddress,
          advertise: flags.advertise,
          peers: flags.peer,
          ceaseOnStop: flags.ceaseOnStop,
        },
        { ...(cluster ? { cluster } : {}), runner: systemRunner, tcp: systemTcp },
        context,
      );
    return kubeconfig === undefined ? start() : withCluster({ kubeconfig }, context, 'podwire-bgp', ({ cluster }) => start(cluster));
  });
