import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { startDns } from '../dns/daemon.ts';
import { nameserversOf, parseUpstream } from '../dns/index.ts';
import { joinHostPort } from '../net/index.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';
import { address, oneOf, port, repeatable, wholeNumber } from './flags.ts';

interface DnsFlags {
  readonly kubeconfig: string;
  readonly listenAddress?: string[];
  readonly port: number;
  readonly clusterDomain: string;
  readonly ttl: number;
  readonly pods: 'disabled' | 'insecure' | 'verified';
  readonly forward?: string[];
}

/** `podwire dns`: the cluster's DNS server of one node. */
export const command = (): Command =>
  daemonCommand<DnsFlags>('dns', 'answer the names of Services and Pods', 9_153, configure, (flags, context) =>
    withCluster(flags, context, 'podwire-dns', ({ cluster }) =>
      startDns(
        {
          ...(flags.listenAddress ? { listenAddresses: flags.listenAddress } : {}),
          port: flags.port,
          clusterDomain: flags.clusterDomain,
          ttlSeconds: flags.ttl,
          pods: flags.pods,
          ...(flags.forward ? { forward: flags.forward } : {}),
        },
        { cluster },
        context,
      ),
    ),
  );

function configure(command: Command): void {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option(
      '--listen-address <address>',
      'address to answer on, UDP and TCP; repeatable; all of IPv4 and IPv6 when not given',
      repeatable(address),
    )
    .option('--port <port>', 'port to answer on', port, 53)
    .option('--cluster-domain <domain>', 'the zone answered from the cluster', 'cluster.local')
    .option('--ttl <seconds>', 'how long answers may be kept', wholeNumber(0, 3_600, 'seconds'), 5)
    .option(
      '--pods <mode>',
      'names made of pod addresses: disabled, insecure (any address) or verified (of existing pods)',
      oneOf('disabled', 'insecure', 'verified'),
      'insecure',
    )
    .option(
      '--forward <server>',
      'upstream for all other names: an address, address:port, or the path of a resolv.conf; repeatable',
      repeatable(upstreams),
    );
}

/** An upstream, or all of a resolv.conf. */
function upstreams(text: string): string[] {
  try {
    if (!text.startsWith('/')) {
      const { address, port } = parseUpstream(text);
      return [joinHostPort(address, port)];
    }
    const found = nameserversOf(readFileSync(text, 'utf8'));
    if (found.length === 0) throw new Error(`${text} names no nameserver`);
    return found;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
